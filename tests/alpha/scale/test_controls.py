"""Controls: what is shuffled has no signal, what is planted is not linear."""

import numpy as np

from tests.alpha.scale.small import PRICES
from tilewright.alpha.scale.controls import STRENGTH, placebo, planted
from tilewright.alpha.scale.panel import make_panel
from tilewright.alpha.tables import Prices

PANEL = make_panel(PRICES, 1)


def test_a_placebo_has_the_same_days_in_another_order():
    mixed = placebo(PANEL, 0)
    known = np.isfinite(PANEL.target).all(axis=1)
    days = {tuple(row) for row in PANEL.target[known]}
    assert {tuple(row) for row in mixed[known]} == days
    assert not (mixed[known] == PANEL.target[known]).all(axis=1).mean() > 0.1
    np.testing.assert_array_equal(placebo(PANEL, 0), mixed)
    assert not np.array_equal(placebo(PANEL, 1)[known], mixed[known])


def test_days_with_gaps_change_places_among_themselves():
    values = PRICES.values.copy()
    values[350:380, 1] = np.nan
    gap = make_panel(Prices(PRICES.days, PRICES.names, values, "gap"), 1)
    mixed = placebo(gap, 0)
    assert not np.isfinite(mixed[~gap.there]).any()
    assert np.isfinite(mixed[gap.there]).sum() >= np.isfinite(gap.target[gap.there]).sum()


def test_what_is_planted_is_of_its_strength_and_not_linear():
    ratio = planted(PANEL, 0) / placebo(PANEL, 0)
    known = np.isfinite(ratio)
    signal = np.log(ratio[known])
    assert abs(signal.std() / STRENGTH - 1) < 0.02
    rows = np.column_stack([np.ones(known.sum()), PANEL.features[known].astype(np.float64)])
    left = signal - rows @ np.linalg.lstsq(rows, signal, rcond=None)[0]
    assert left.std() > 0.98 * signal.std()
