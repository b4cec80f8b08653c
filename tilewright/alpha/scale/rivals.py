"""What the scale net is held against, on the rows of one window: forecasts of the same targets.

In: a panel, a window, its training and test rows. Out: for each model of `RIVALS` a `Mixture` of
the test rows, but for boosting, which has `LEVELS` of quantiles and no density.

EWMA, HAR, linear, GARCH-t and GJR-t forecast the scale about a mean of 0 (`scale_baselines.py`);
ridge and least squares forecast the mean, with noise of one scale, Student-t or normal, from the
same features; boosting fits a tree ensemble to each quantile (Friedman 2001; scikit-learn's
histograms), with early stopping on a tenth of the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.baselines import NORMAL, NULL, RIDGE, Baseline, baselines
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.scale.panel import Rows, ScalePanel
from tilewright.alpha.scale_baselines import (
    GARCH,
    GJR,
    WITHIN,
    garch_scale,
    of_scale,
    pooled_baselines,
)
from tilewright.alpha.walking.scored import LEVELS, Forecast, Grouped
from tilewright.alpha.walking.windows import Window

BOOSTED = "boosting"
CHEAP = ("EWMA", "HAR", "linear", RIDGE, "OLS", NORMAL)
RIVALS = (*CHEAP, GARCH, GJR, BOOSTED)
TREES, LEAF_ROWS = 100, 100
"""Of boosting: at most so many, of leaves with so many rows at least."""

LEAST_GARCH = 250
"""Returns that a GARCH is fitted to, at least."""


def rivals(
    prices: np.ndarray,
    panel: ScalePanel,
    window: Window,
    rows: Rows,
    y: np.ndarray,
    places: np.ndarray,
    X_test: np.ndarray,
    market: bool = True,
    few: bool = False,
) -> dict[str, Forecast]:
    """Of the test rows `places` (n, 2), X_test (n, 28); `y` are all training rows' targets.

    `market` is False for targets that are no returns: GARCH, of prices, has nothing to say there.
    Without the package arch, or for a horizon of several days, it is left out as well; with `few`,
    all are but the quick ones and GJR-t.
    """  # fmt: skip
    X, y = rows.X[rows.known].astype(np.float64), y[rows.known]
    found: dict[str, Forecast] = dict(pooled_baselines(X, y, X_test))
    means = baselines(X, y, X_test, fit_degrees(y))
    found |= {name: _mixture(model) for name, model in means.items() if name != NULL}
    if market and panel.horizon == 1 and has_arch():
        for name, asymmetric in ((GJR, True),) if few else ((GARCH, False), (GJR, True)):
            found[name] = garch_of_window(prices, panel.volatility, window, places, asymmetric)
    if not few:
        found[BOOSTED] = boosted_quantiles(X, y, X_test)
    return found


def boosted_quantiles(X: np.ndarray, y: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """(levels, rows), in order even where the ensembles cross."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    options: dict[str, Any] = dict(
        loss="quantile", max_iter=TREES, min_samples_leaf=LEAF_ROWS, learning_rate=0.1,
        max_leaf_nodes=8, early_stopping=True, n_iter_no_change=5, random_state=0,
    )  # fmt: skip
    found = [
        HistGradientBoostingRegressor(quantile=float(level), **options).fit(X, y).predict(X_test)
        for level in LEVELS
    ]
    return np.sort(np.stack(found), axis=0)


def garch_of_window(
    prices: np.ndarray,
    volatility: np.ndarray,
    window: Window,
    places: np.ndarray,
    asymmetric: bool,
) -> Grouped:
    """Of rows at `places` (n, 2), the next return in units of `volatility` (days, stocks).

    One for each stock, over the days on which it has a return. Those with too few have none.
    """
    returns = np.diff(np.log(prices), axis=0, prepend=np.nan)
    found: Grouped = []
    for stock in np.unique(places[:, 1]):
        mine = np.flatnonzero(places[:, 1] == stock)
        days = (
            window.start
            + 1
            + np.flatnonzero(np.isfinite(returns[window.start + 1 : window.end, stock]))
        )
        last = int(np.searchsorted(days, window.stop + 1))
        first = int(np.searchsorted(days, places[:, 0].min()))
        if last < LEAST_GARCH or first >= len(days):
            continue
        scale, df = garch_scale(returns[days, stock], last, first, asymmetric)
        of_day = dict(zip(days[first:].tolist(), scale, strict=True))
        tested = places[mine, 0].tolist()
        known = np.array([day in of_day for day in tested])
        mine = mine[known]
        scales = np.array([of_day[day] for day in tested if day in of_day])
        found.append((mine, of_scale(scales / volatility[places[mine, 0], stock], df)))
    return found


def has_arch() -> bool:
    """Whether the package arch is installed."""
    from importlib.util import find_spec

    return find_spec("arch") is not None


def _mixture(model: Baseline) -> Mixture:
    scale = np.clip([model.scale], *WITHIN)
    return Mixture(model.location[None, :], scale, model.df)
