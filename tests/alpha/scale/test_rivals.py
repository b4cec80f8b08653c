"""Simpler models on the rows of a window: all there, in order, and none looks ahead."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.scale.panel import make_panel, test_rows, training_rows
from tilewright.alpha.scale.rivals import BOOSTED, CHEAP, GJR, RIVALS, rivals
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.scored import LEVELS, columns
from tilewright.alpha.walking.windows import windows_of

test_rows.__test__ = False  # a name of the package, no test
TABLE = prices(640, 2)
SETTINGS = ScaleSettings(train=300, test=21)
WINDOW = windows_of(TABLE.days, SETTINGS)[0]


def forecasts(
    table: Prices, few: bool = True, market: bool = True
) -> tuple[dict[str, Any], np.ndarray]:
    panel = make_panel(table, 1)
    rows = training_rows(panel, WINDOW)
    places, X = test_rows(panel, WINDOW, rows)
    y = panel.target[WINDOW.start : WINDOW.stop].reshape(-1)
    return rivals(table.values, panel, WINDOW, rows, y, places, X, market, few), places


def test_all_of_them():
    pytest.importorskip("arch", reason="arch is not installed (the extra alpha has it)")
    found, places = forecasts(TABLE, few=False)
    assert set(found) == set(RIVALS)
    assert found[BOOSTED].shape == (len(LEVELS), len(places))
    assert (np.diff(found[BOOSTED], axis=0) >= 0).all()
    for name in CHEAP:
        assert isinstance(found[name], Mixture)
        assert len(found[name]) == len(places)
    assert sorted(np.concatenate([rows for rows, _ in found[GJR]])) == list(range(len(places)))


def test_what_is_no_return_has_no_garch():
    assert set(forecasts(TABLE, market=False)[0]) == set(CHEAP)


def test_garch_of_a_stock_with_gaps_is_that_of_its_own_days():
    pytest.importorskip("arch", reason="arch is not installed (the extra alpha has it)")
    values = TABLE.values.copy()
    values[WINDOW.test + 4, 0] = np.nan
    gap, places = forecasts(replace(TABLE, values=values))
    whole, all_places = forecasts(TABLE)
    rows, mixture = gap[GJR][0]
    before = places[rows, 0] < WINDOW.test + 4
    same = [
        i for i, place in enumerate(all_places[whole[GJR][0][0]].tolist())
        if place in places[rows[before]].tolist()
    ]  # fmt: skip
    np.testing.assert_allclose(mixture.scale[0, before], whole[GJR][0][1].scale[0, same])
    assert WINDOW.test + 4 not in places[rows, 0]


def test_none_looks_ahead():
    values = TABLE.values.copy()
    values[WINDOW.test + 10 :] *= np.exp(
        np.random.default_rng(0).normal(size=values[WINDOW.test + 10 :].shape)
    )
    ours, places = forecasts(TABLE)
    theirs, _ = forecasts(replace(TABLE, values=values))
    early = places[:, 0] < WINDOW.test + 9
    for name in CHEAP:
        one, other = (np.broadcast_to(f[name].scale.T, (len(places), 1)) for f in (ours, theirs))
        np.testing.assert_array_equal(one[early], other[early])


def test_where_most_prices_stand_still_scores_are_finite():
    """The likeliest scale is none there, and what does move would score without bounds."""
    values = TABLE.values.copy()
    values[:] = np.where(np.arange(len(values)) % 30 < 25, 100.0, 101.0)[:, None]
    found, places = forecasts(replace(TABLE, values=values))
    outcome = np.linspace(-9, 9, len(places))
    for name in CHEAP:
        for part in columns(found[name], outcome):
            assert np.isfinite(part).all(), name
