"""Rivals that take their time: GARCH-t, one a stock, and the Bayesian net of the scale.

In: prices, a panel, a window. Out: forecasts of the test rows. Without the package arch there is no
GARCH. Of the volatility of days to come GARCH says the next day's, and a constant that is fitted to
the last days before the test; the Bayesian net knows of densities only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewright.alpha.controls import REAL
from tilewright.alpha.scale.panel import ScalePanel, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.rivals import garch_of_window, has_arch
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale_baselines import GARCH
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.walking.scored import Forecast
from tilewright.alpha.walking.windows import Window
from tilewright.alpha.windows import own_inside
from tilewright.sequence.forward.panel import ForwardPanel
from tilewright.sequence.forward.rivals import OUTSIDE, with_noise
from tilewright.sequence.forward.settings import DENSITY

BAYES = "Bayesian net"
BAYES_DAYS = 1000
"""Training days of the Bayesian net: what its own job takes."""


def extra_rivals(
    prices: np.ndarray, panel: ForwardPanel, window: Window, places: np.ndarray
) -> dict[str, Forecast]:
    """Of test rows `places` (rows, 2)."""
    found: dict[str, Forecast] = {}
    if panel.kind == DENSITY:
        found[BAYES] = _bayes(panel, window, places)
        if has_arch():
            found[GARCH] = garch_of_window(prices, panel.unit, window, places, False)
    elif has_arch():
        found[GARCH] = _garch_volatility(prices, panel, window, places)
    return found


def _garch_volatility(
    prices: np.ndarray, panel: ForwardPanel, window: Window, places: np.ndarray
) -> Forecast:
    before = panel.places(max(window.start + 1, window.stop - OUTSIDE), window.stop)
    both = np.concatenate([before, places])
    said = np.full(len(both), np.nan)
    for mine, mixture in garch_of_window(prices, panel.unit, window, both, False):
        said[mine] = np.log(mixture.deviation())
    old, new = said[: len(before)], said[len(before) :]
    error = panel.target[before[:, 0], before[:, 1]] - old
    error = error[np.isfinite(error)]
    known = np.flatnonzero(np.isfinite(new))
    if not len(error) or not len(known):  # too few days for any stock's GARCH
        return []
    return [(known, with_noise(new[known] + error.mean(), error - error.mean()))]


def _bayes(panel: ForwardPanel, window: Window, places: np.ndarray) -> Forecast:
    """The net of the scale of `tilewright alpha`, as it comes, on its own features."""
    features = panel.inputs[..., : len(NAMES)]
    days = replace(window, start=max(window.start, window.stop - BAYES_DAYS))
    scale = ScalePanel(features, panel.there, panel.target, panel.unit, 1)
    rows = training_rows(scale, days)
    fit = fit_window(ScaleSettings(), rows, days, None, REAL)
    X = features[places[:, 0], places[:, 1]].astype(np.float64)
    return fit.distribution(own_inside(X, rows.centre, rows.spread))
