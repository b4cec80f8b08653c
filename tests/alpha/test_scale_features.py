"""Features of scale: nothing of the future, finite, and what they say they are."""

import numpy as np
import pytest

from tests.alpha.features_by_hand import ByHand
from tests.alpha.market import prices
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.scale_features import HISTORY, NAMES, days_to_weekday, scale_features

TABLE = prices()
FEATURES = scale_features(TABLE.values, TABLE.days)


def column(name: str, features=FEATURES) -> np.ndarray:
    return features[..., NAMES.index(name)]


def test_there_are_28_and_all_are_finite():
    assert len(set(NAMES)) == 28 == FEATURES.shape[2]
    assert np.isfinite(FEATURES[HISTORY:]).all()
    assert np.isnan(FEATURES[:HISTORY]).all()


@pytest.mark.parametrize("day", [HISTORY, 400, 618])
def test_the_future_changes_nothing(day):
    changed = TABLE.values.copy()
    changed[day + 1 :] *= np.exp(np.random.default_rng(1).normal(size=changed[day + 1 :].shape))
    days = (*TABLE.days[: day + 1], *(f"2031-01-{d:02d}" for d in range(1, 32)))[: len(changed)]
    cut = scale_features(changed[: len(days)], days)
    np.testing.assert_array_equal(cut[: day + 1], FEATURES[: day + 1])


def test_every_feature_depends_on_the_past():
    changed = TABLE.values.copy()
    changed[300:400:3, 0] *= 1.1
    other = scale_features(changed, TABLE.days)
    same = np.isclose(other, FEATURES, equal_nan=True).reshape(-1, 28)
    assert [name for i, name in enumerate(NAMES) if same[:, i].all()] == ["days_to_weekday"]


def test_a_split_changes_nothing():
    other = scale_features(TABLE.values * [7.0, 1.0, 0.1], TABLE.days)
    np.testing.assert_allclose(other[HISTORY:], FEATURES[HISTORY:], rtol=1e-6, atol=1e-6)


def test_by_hand():
    returns = np.diff(np.log(TABLE.values), axis=0, prepend=np.nan)
    market = returns.mean(axis=1)
    t, stock = 500, 1

    def volatility(series: np.ndarray, day: int) -> float:
        past = series[1 : day + 1] ** 2
        weights = 0.94 ** np.arange(len(past))[::-1]
        return float(np.sqrt(weights @ past / weights.sum()))

    own = volatility(returns[:, stock], t)
    rms = np.sqrt(np.mean(returns[t - 21 : t + 1, stock] ** 2))
    assert column("move_22")[t, stock] == pytest.approx(np.log(rms / own))
    assert column("level")[t, stock] == pytest.approx(np.log(own))
    losses = np.minimum(returns[t - 21 : t + 1, stock], 0)
    assert column("losses_22")[t, stock] == pytest.approx(np.mean(losses**2) / rms**2)
    high = np.log(TABLE.values[t - 251 : t + 1, stock]).max()
    fall = high - np.log(TABLE.values[t, stock])
    assert column("drawdown_252")[t, stock] == pytest.approx(fall / own / np.sqrt(252))
    rms = np.sqrt(np.mean(market[t - 4 : t + 1] ** 2))
    expected = np.log(rms / volatility(market, t))
    np.testing.assert_allclose(column("market_move_5")[t], expected)
    every = np.array([volatility(returns[:, s], t) for s in range(3)])
    np.testing.assert_allclose(column("dispersion")[t], returns[t].std() / every.mean())
    np.testing.assert_allclose(column("mean_move")[t], np.abs(returns[t]).mean() / every.mean())
    np.testing.assert_allclose(column("relative_volatility")[t], np.log(every / every.mean()))
    ranks = every.argsort().argsort()
    np.testing.assert_allclose(column("rank_volatility")[t], (ranks - 1) / 1.5, atol=1e-12)
    echoes = [
        abs(returns[t - ago, stock]) / volatility(returns[:, stock], t - ago - 1)
        for ago in range(61, 66)
    ]
    assert column("echo_quarter")[t, stock] == pytest.approx(max(echoes))


def test_a_stock_that_stands_still_has_finite_features():
    values = TABLE.values.copy()
    values[400:480, 0] = values[400, 0]
    assert np.isfinite(scale_features(values, TABLE.days)[HISTORY:]).all()


def test_one_instrument():
    found = scale_features(TABLE.values[:, :1], TABLE.days)
    assert np.isfinite(found[HISTORY:]).all()
    assert (column("dispersion", found)[HISTORY:] == 0).all()
    np.testing.assert_allclose(column("market_level", found), column("level", found))


def test_days_to_the_next_weekday():
    week = [f"2022-06-{day:02d}" for day in range(6, 13)]  # from a Monday on
    assert days_to_weekday(week).tolist() == [1, 1, 1, 1, 3, 2, 1]
    assert days_to_weekday(["1", "2"]).tolist() == [1, 1]


def test_market_volatility_is_that_of_the_mean_return():
    import pandas as pd

    market = pd.DataFrame(np.log(TABLE.values)).diff().mean(axis=1).to_frame()
    np.testing.assert_allclose(
        column("market_level")[300:, 0], np.log(ewma_volatility(market))[0][300:]
    )


def gappy() -> np.ndarray:
    """A stock listed late, one that paused, one with holes, one that vanished; none had a price on
    one day."""
    values = prices(800, 5, seed=4).values.copy()
    values[:200, 1] = np.nan
    values[500:530, 2] = np.nan
    values[np.random.default_rng(0).integers(0, 800, 40), 3] = np.nan
    values[700:, 4] = np.nan
    values[610:615] = values[609]
    values[640] = np.nan
    return values


def test_each_of_the_28_is_what_a_loop_over_days_says():
    values, days = gappy(), prices(800, 5).days
    found, by_hand, seen = scale_features(values, days), ByHand(values, days), 0
    for day in (257, 300, 456, 460, 499, 530, 531, 560, 612, 613, 641, 642, 699, 703, 704, 799):
        for stock in range(5):
            past = np.isfinite(values[: day + 1, stock]).sum()
            if past <= HISTORY or np.isnan(values[day, stock]):
                assert np.isnan(found[day, stock]).all()
                continue
            expected = by_hand.at(day, stock)
            assert set(expected) == set(NAMES)
            np.testing.assert_allclose(
                found[day, stock], [expected[name] for name in NAMES], rtol=1e-7, atol=1e-9,
                err_msg=f"day {day}, stock {stock}",
            )  # fmt: skip
            seen += 1
    assert seen > 50
