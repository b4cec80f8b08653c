"""What a forecast of the mean would have been worth: by hand, by foresight, by chance."""

import json

import numpy as np
import pytest

from tests.alpha.market import prices, result
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report.trading import (
    as_json,
    correlation,
    decay,
    fifths,
    over_time,
    sentences,
    trading_of,
)
from tilewright.alpha.settings import Settings
from tilewright.alpha.trading import DELAYS, trade

RNG = np.random.default_rng(0)
RETURNS = 0.01 * RNG.normal(size=(800, 10))
PRICES = np.exp(np.concatenate([np.zeros((1, 10)), RETURNS.cumsum(axis=0)]))
AHEAD = np.concatenate([RETURNS, np.full((1, 10), np.nan)])
"""Row t: the return from t to t + 1."""


def test_the_book_by_hand():
    """Ranks 1, 2, 3 are shares of -1/2, 0, 1/2; bought a day later, at 100 basis points."""
    table = np.array([[10.0, 10, 10], [10, 10, 10], [11, 10, 9], [11, 10, 9]])
    forecast = np.array([[-1.0, 0, 1], [1, 0, -1], [np.nan] * 3, [np.nan] * 3])
    found = trade(forecast, table, cost=100)
    assert found.days.tolist() == [0, 1]
    np.testing.assert_allclose(found.gross, [-0.5 * 0.1 - 0.5 * 0.1, 0])
    np.testing.assert_allclose(found.net, found.gross - [0.01, 0.02])
    assert found.turnover == pytest.approx(1.5)


def test_who_knows_the_next_return_gains_nothing_a_day_later():
    found = trade(AHEAD, PRICES)
    np.testing.assert_allclose(found.ic[:-1], 1)
    assert found.decay[0, 0] > 0.99
    assert abs(found.decay[1:, 0]).max() < 4 * found.decay[1:, 1].max()
    assert abs(found.gross.mean()) < 4 * found.gross.std() / 800**0.5
    assert (np.diff(found.fifths[:, 0]) > 0).all()
    assert found.spread[0] > 0.02
    assert found.net.sum() < found.gross.sum()


def test_who_knows_the_one_after_gains():
    later = np.concatenate([AHEAD[1:], np.full((1, 10), np.nan)])
    found = trade(later, PRICES)
    assert found.decay[DELAYS.index(1), 0] == pytest.approx(1)
    assert found.gross[:-1].min() > 0
    assert found.likely > 0.999


def test_trials_deflate():
    rng = np.random.default_rng(4)
    later = np.concatenate([AHEAD[1:], np.full((1, 10), np.nan)])
    weak = np.nan_to_num(later) + 0.12 * rng.normal(size=later.shape)
    alone = trade(weak, PRICES, cost=0)
    others = (0.06 * rng.normal(size=20)).tolist()
    among = trade(weak, PRICES, cost=0, others=others)
    assert among.trials == 21
    assert among.sharpe == alone.sharpe
    assert among.likely < alone.likely < 1


def test_stocks_without_a_forecast_are_left_out():
    some = AHEAD.copy()
    some[:, 3] = np.nan
    rest = [i for i in range(10) if i != 3]
    found, other = trade(some, PRICES), trade(AHEAD[:, rest], PRICES[:, rest])
    for name in ("days", "ic", "gross", "net"):
        np.testing.assert_allclose(getattr(found, name), getattr(other, name))
    np.testing.assert_allclose(found.fifths, other.fifths)


def test_one_forecast_for_all_is_no_book():
    found = trade(np.ones_like(PRICES), PRICES)
    assert not found.gross.any()
    assert found.sharpe == found.turnover == 0
    with pytest.raises(AlphaError, match="No day has forecasts of two stocks"):
        trade(np.full_like(PRICES, np.nan), PRICES)


def test_the_report_counts_the_jobs_in_the_folder_around(tmp_path):
    results = [result("real", i, 504 + 21 * (3 - i), 4) for i in range(4)]
    table = prices(days=620, stocks=4)
    outcome = Outcome(table, Settings(), {("real", r.index): r for r in results}, 4, 4, {})
    alone = trading_of(tmp_path / "mine", outcome)
    for name, text in (("one", {"trading": {"sharpe_a_day": 0.1}}), ("other", {"trading": None})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(text))
    found = trading_of(tmp_path / "mine", outcome)
    assert alone is not None
    assert found is not None
    assert (alone.trials, found.trials) == (1, 2)
    assert len(found.days) == 84
    assert "best of 2 trials" in sentences(found)[1]
    assert json.loads(json.dumps(as_json(found)))["trials"] == 2
    for draw in (over_time, correlation):
        assert len(draw(found, list(table.days)).to_dict()["data"])
    for draw in (decay, fifths):
        assert len(draw(found).to_dict()["data"])
    few = Outcome(table, Settings(), {("real", 0): results[0]}, 1, 1, {})
    short = trading_of(tmp_path / "mine", few)
    assert short is not None
    (told,) = sentences(short)
    assert "cannot be told from 21 days" in told
    one = Outcome(prices(stocks=1), Settings(), {}, 0, 0, {})
    assert trading_of(tmp_path / "mine", one) is None
