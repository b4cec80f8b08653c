"""Rows of a window: what is missing counts for nothing, and nothing is filled forward."""

import numpy as np
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.panel import (
    STALE,
    make_panel,
    test_rows,
    training_rows,
    without_stale,
)
from tilewright.alpha.scale_features import HISTORY, NAMES
from tilewright.alpha.tables import Prices

test_rows.__test__ = False  # a name of the package, no test
PANEL = make_panel(PRICES, 1)


def with_values(values: np.ndarray) -> Prices:
    return Prices(PRICES.days, PRICES.names, values, "changed")


def test_what_is_rounding_is_no_feature():
    """Volatilities beside the mean of three that are alike: 1 but for the last bit."""
    alike = make_panel(with_values(np.repeat(PRICES.values[:, :1], 3, axis=1)), 1)
    place = NAMES.index("relative_volatility")
    assert 0 < np.abs(alike.features[HISTORY:, :, place]).max() < 1e-12
    assert np.abs(training_rows(alike, WINDOWS[0]).X[:, place]).max() < 1e-12


def test_a_whole_table_has_all_rows():
    assert PANEL.there[HISTORY:].all()
    assert not PANEL.there[:HISTORY].any()
    assert np.isnan(PANEL.target[-1]).all()
    rows = training_rows(PANEL, WINDOWS[0])
    assert rows.weight.tolist() == [1.0] * SMALL.train * 3
    np.testing.assert_allclose(rows.X.std(axis=0)[:5], 1, atol=0.05)


@pytest.mark.parametrize("horizon", [1, 3])
def test_targets_times_their_unit_are_returns(horizon):
    panel = make_panel(PRICES, horizon)
    log_price = np.log(PRICES.values)
    came = (panel.target * panel.unit)[300:-horizon]
    np.testing.assert_allclose(came, (log_price[300 + horizon :] - log_price[300:-horizon]))


def test_a_gap_takes_its_rows_and_targets_and_no_others():
    values = PRICES.values.copy()
    values[350, 0] = np.nan
    gap = make_panel(with_values(values), 1)
    assert not gap.there[350, 0]
    assert np.isnan(gap.target[[349, 350], 0]).all()
    lost = np.argwhere(gap.there != PANEL.there)
    assert lost.tolist() == [[350, 0], [351, 0]]  # the return of the day after is missing, too
    np.testing.assert_array_equal(gap.target[:349], PANEL.target[:349])


def test_a_late_listing_waits_for_its_own_past():
    values = PRICES.values.copy()
    values[:100, 2] = np.nan
    late = make_panel(with_values(values), 1)
    assert not late.there[: 100 + HISTORY, 2].any()
    assert late.there[100 + HISTORY :, 2].all()
    assert late.there[HISTORY:, :2].all()


def test_what_has_no_weight_changes_nothing():
    """The rows of a stock that is not there are zeros, however wild its features."""
    values = PRICES.values.copy()
    values[250:, 1] = np.nan
    rows = training_rows(make_panel(with_values(values), 1), WINDOWS[0])
    missing = np.arange(len(rows.y)) % 3 == 1
    assert not rows.weight[missing].any()
    assert not rows.X[missing].any()
    assert not rows.y[missing].any()
    assert rows.known.sum() == 2 * SMALL.train


def test_a_price_that_does_not_move_is_no_price():
    values = PRICES.values.copy()
    values[300:, 0] = values[300, 0]
    kept = without_stale(values)
    assert np.isfinite(kept[: 300 + STALE, 0]).all()
    assert np.isnan(kept[300 + STALE :, 0]).all()
    np.testing.assert_array_equal(kept[:, 1:], values[:, 1:])


def test_too_few_rows_are_said():
    values = PRICES.values.copy()
    values[250:, 1:] = np.nan
    with pytest.raises(AlphaError, match="has 60 training rows"):
        training_rows(make_panel(with_values(values), 1), WINDOWS[0])
    values[100:] = np.nan
    with pytest.raises(AlphaError, match="No column"):
        make_panel(with_values(values), 1)


def test_the_last_day_has_rows_to_forecast():
    rows = training_rows(PANEL, WINDOWS[-1])
    places, X = test_rows(PANEL, WINDOWS[-1], rows)
    assert places[-1].tolist() == [len(PRICES.days) - 1, 2]
    assert X.shape == (len(places), 28)
