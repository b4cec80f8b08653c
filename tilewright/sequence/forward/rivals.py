"""What nets are held against, on the rows of one window: forecasts of the same target.

In: a panel, a window, its target. Out: for each model a `Forecast` of the test rows.

density      *null*: each stock's own scale, always the same. *EWMA*: the volatility of RiskMetrics.
             *HAR*, *HAR 20*, *linear*: log-scale linear in past volatilities, in twenty inputs, in
             the nets' own. *ridge*: a linear mean. *boosting*: trees for the log of the size of a
             return, by which a scale is then fitted on later days. All with Student-t noise.
volatility   *null*: each stock's own mean. *EWMA*: its log and a constant. *HAR*, *HAR 20*,
             *linear*, *ridge*: regressions refitted every month (`har.Rolling`). *boosting*: trees.

Trees are scikit-learn's histograms (Friedman 2001), their size and number chosen on later days.
With all rivals, GARCH-t, one a stock, and the Bayesian net of the scale (`alpha`), of densities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.baselines import NULL, RIDGE, baselines
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees, fit_scale
from tilewright.alpha.scale_baselines import of_scale, scale_regression
from tilewright.alpha.scale_features import NAMES as FEATURES
from tilewright.alpha.walking.scored import Forecast
from tilewright.alpha.walking.windows import Window
from tilewright.alpha.windows import own_inside
from tilewright.sequence.forward.har import TEXTBOOK, Rolling
from tilewright.sequence.forward.panel import ForwardPanel
from tilewright.sequence.forward.settings import DENSITY

EWMA, HAR, HAR20, LINEAR, BOOSTED = "EWMA", "HAR", "HAR 20", "linear", "boosting"
CHEAP = (NULL, EWMA, HAR, HAR20, LINEAR, RIDGE, BOOSTED)
HAR_OWN = tuple(FEATURES.index(name) for name in ("move_1", "move_5", "move_22", "level"))
LEVEL = FEATURES.index("level")
LATER = 0.15
"""Share of the training days on which trees are judged."""
LEAVES, TREES, RATE, LEAF_ROWS = (8, 31), 120, 0.08, 100
LEAST_SIZE = 0.05
"""Of a return, in units of the volatility: its logarithm is a number."""
LEAST_SPREAD = 0.01
"""Of logarithms that trees forecast: few rows may have no tree at all."""
OUTSIDE = 1000
"""Days before the test whose errors noise is fitted to."""


class Rivals:
    """Of one target; sums over days are made once."""

    def __init__(self, panel: ForwardPanel, target: np.ndarray):
        self.panel, self.target = panel, target
        self.rolling: dict[str, tuple[Rolling, np.ndarray, bool]] = {}
        if panel.kind != DENSITY:
            level = np.log(panel.unit)  # of what regressions forecast, to what is scored
            har = panel.har[..., list(TEXTBOOK)], panel.har, panel.inputs.astype(np.float64)
            nothing = np.zeros_like(level)
            for name, X, shift in zip((HAR, HAR20, LINEAR), har, (level, level, nothing),
                                      strict=True):  # fmt: skip
                self.rolling[name] = Rolling(X, target + shift), shift, False
            self.rolling[RIDGE] = (*self.rolling[LINEAR][:2], True)

    def forecasts(self, window: Window, places: np.ndarray) -> dict[str, Forecast]:
        """Of test rows `places` (rows, 2)."""
        if self.panel.kind == DENSITY:
            return self._densities(window, places)
        return self._volatilities(window, places)

    def _densities(self, window: Window, places: np.ndarray) -> dict[str, Forecast]:
        day, stock, y = self._training(window)
        X, har, X_test, har_test = self._inputs(day, stock, places)
        df = fit_degrees(y)
        unit = self.panel.unit
        own = [
            fit_scale((y * unit[day, stock])[stock == s], df) if (stock == s).any() else np.nan
            for s in range(len(self.panel.names))
        ]
        constant = np.array(own)[places[:, 1]] / unit[places[:, 0], places[:, 1]]
        columns = list(HAR_OWN)
        levels = X[:, [LEVEL]], X_test[:, [LEVEL]]
        ridge = baselines(X, y, X_test, df)[RIDGE]
        return {
            NULL: _where_known(constant, df),
            EWMA: of_scale(np.full(len(places), fit_scale(y, df)), df),
            HAR: scale_regression(X[:, columns], y, X_test[:, columns]),
            HAR20: scale_regression(
                np.hstack([har, levels[0]]), y, np.hstack([har_test, levels[1]])
            ),
            LINEAR: scale_regression(X, y, X_test),
            RIDGE: Mixture(ridge.location[None], np.array([ridge.scale]), ridge.df),
            BOOSTED: self._boosted_density(X, y, day, X_test),
        }

    def _boosted_density(
        self, X: np.ndarray, y: np.ndarray, day: np.ndarray, X_test: np.ndarray
    ) -> Mixture:
        size = np.log(np.maximum(np.abs(y), LEAST_SIZE))
        early, late = _divided(day)
        seen, said = boosted(X, size, early, late, X_test)
        centre, spread = seen.mean(), max(seen.std(), LEAST_SPREAD)
        return scale_regression(
            ((seen - centre) / spread)[:, None], y[late], ((said - centre) / spread)[:, None]
        )

    def _volatilities(self, window: Window, places: np.ndarray) -> dict[str, Forecast]:
        day, stock, y = self._training(window)
        level = np.log(self.panel.unit)
        absolute = y + level[day, stock]
        total = np.bincount(stock, absolute, len(self.panel.names))
        own = total / np.maximum(np.bincount(stock, minlength=len(total)), 1)
        null = own[places[:, 1]] - level[places[:, 0], places[:, 1]]
        found: dict[str, Forecast] = {
            NULL: with_noise(null, own[stock] - level[day, stock] - y),
            EWMA: with_noise(np.full(len(places), y.mean()), y - y.mean()),
        }
        for name, (rolling, shift, ridge) in self.rolling.items():
            found[name] = self._regression(window, places, rolling, shift, ridge)
        X, _, X_test, _ = self._inputs(day, stock, places)
        early, late = _divided(day)
        seen, said = boosted(X, y, early, late, X_test)
        found[BOOSTED] = with_noise(said, y[late] - seen)
        return found

    def _regression(
        self, window: Window, places: np.ndarray, rolling: Rolling, shift: np.ndarray, ridge: bool
    ) -> Mixture:
        days = window.stop - window.start
        first = window.stop - min(OUTSIDE, 2 * days // 3)  # what is before has been learned from
        horizon = window.test - window.stop
        before = rolling.forecasts((first, window.stop), horizon, ridge)
        error = (self.target + shift)[first : window.stop] - before
        ahead = rolling.forecasts((window.test, window.end), horizon, ridge)
        day, stock = places[:, 0], places[:, 1]
        location = ahead[day - window.test, stock] - shift[day, stock]
        return with_noise(location, error[np.isfinite(error)])

    def _training(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Day, stock and target of the training rows."""
        known = np.isfinite(self.target[window.start : window.stop])
        day, stock = np.nonzero(known)
        day += window.start
        return day, stock, self.target[day, stock]

    def _inputs(self, day: np.ndarray, stock: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
        """Nets' inputs and those of HAR 20 of the training rows, then of the test rows; all
        standardised by the former.
        """
        found: list[np.ndarray] = []
        for table in (self.panel.inputs, self.panel.har):
            rows = table[day, stock].astype(np.float64)
            centre, spread = rows.mean(axis=0), rows.std(axis=0)
            ahead = table[places[:, 0], places[:, 1]].astype(np.float64)
            found += [own_inside(rows, centre, spread), own_inside(ahead, centre, spread)]
        return [found[0], found[2], found[1], found[3]]


def with_noise(location: np.ndarray, errors: np.ndarray) -> Mixture:
    """Location (rows,) with Student-t noise that suits the errors."""
    df = fit_degrees(errors)
    return Mixture(location[None], np.array([fit_scale(errors, df)]), df)


def boosted(
    X: np.ndarray, y: np.ndarray, early: np.ndarray, late: np.ndarray, X_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of the late rows by trees of the early ones, and of test rows by trees of all.

    How large trees are and how many is what does best on the late rows.
    """
    tried = []
    for leaves in LEAVES:
        trees = _trees(leaves, TREES).fit(X[early], y[early])
        staged = list(trees.staged_predict(X[late]))
        errors = [float(np.mean((y[late] - said) ** 2)) for said in staged]
        best = int(np.argmin(errors))
        tried.append((errors[best], leaves, best + 1, staged[best]))
    _, leaves, count, seen = min(tried, key=lambda one: one[0])
    return seen, _trees(leaves, count).fit(X, y).predict(X_test)


def _trees(leaves: int, count: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    options: dict[str, Any] = dict(
        learning_rate=RATE, max_iter=count, max_leaf_nodes=leaves, min_samples_leaf=LEAF_ROWS,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    return HistGradientBoostingRegressor(**options)


def _divided(day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of earlier days, and of the last ones."""
    border = np.quantile(day, 1 - LATER)
    return np.flatnonzero(day <= border), np.flatnonzero(day > border)


def _where_known(scale: np.ndarray, df: float) -> Forecast:
    """A stock without a training row has no scale of its own."""
    known = np.flatnonzero(np.isfinite(scale))
    return [(known, of_scale(scale[known], df))]
