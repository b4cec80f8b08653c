"""From prices to rows: features, targets, and a mask of what there is.

In: `Prices`, which may have gaps: a stock that was listed later, paused, or vanished. Nothing is
filled forward: a row is there when the stock has a price that day and enough past, and its target
when it has one `horizon` days on. Out: a `ScalePanel`, and of a window the rows of fixed number
that its program wants, those that are missing with a weight of 0.
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.scale_features import scale_features
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import Window
from tilewright.alpha.windows import own_inside
from tilewright.frozen import frozen

LEAST_ROWS = 100
"""Of a window's training rows."""
STALE = 22
"""Days without a move after which a price is no price: nobody traded at it."""


@frozen
class ScalePanel:
    """Arrays (days, stocks[, features]); features are 0 where they are missing, targets NaN.

    A target is the log return over `horizon` days from the day's close, over the volatility that
    was known then (`volatility`, a day's) times the root of the days.
    """

    features: np.ndarray  # float32
    there: np.ndarray  # bool: the row has features
    target: np.ndarray
    volatility: np.ndarray
    horizon: int

    @property
    def unit(self) -> np.ndarray:
        """(days, stocks): what a target is multiplied by to be a log return."""
        return self.volatility * self.horizon**0.5


@frozen
class Rows:
    """Training rows of a window as its program wants them, and what features are divided by."""

    X: np.ndarray  # (rows, 28) float32, standardised; 0 where missing
    y: np.ndarray  # (rows,) float32
    weight: np.ndarray  # (rows,) float32, 1 or 0
    centre: np.ndarray  # (28,)
    spread: np.ndarray  # (28,)

    @property
    def known(self) -> np.ndarray:
        """(rows,) which count."""
        return self.weight > 0


def make_panel(prices: Prices, horizon: int) -> ScalePanel:
    """The panel of a table; a price that does not move for `STALE` days is missing.

    Raises `AlphaError` for a price that never moves, and where none has enough past.
    """
    import pandas as pd

    _refuse_still(prices)
    values = without_stale(prices.values)
    extras = prices.extras
    features = scale_features(values, prices.days, extras.members)
    if extras.features is not None:
        features = np.concatenate([features, extras.features], axis=-1)
    log_price = pd.DataFrame(np.log(values))
    volatility = ewma_volatility(log_price.diff()).to_numpy(np.float64)
    ahead = (log_price.shift(-horizon) - log_price).to_numpy(np.float64)
    there = np.asarray(np.isfinite(features).all(axis=2))
    if not there.any():
        raise AlphaError(f"No column of {prices.source} has enough prices in a row for features.")
    return ScalePanel(
        np.where(there[..., None], features, 0.0).astype(np.float32),
        there,
        np.where(there, ahead / (volatility * horizon**0.5), np.nan),
        volatility,
        horizon,
    )


def _refuse_still(prices: Prices) -> None:
    """A price that never moves is none of anything that is traded."""
    for name, column in zip(prices.names, prices.values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) >= STALE and (known == known[0]).all():
            raise AlphaError(
                f"In {prices.source}, column {name!r} is constant: all of its {len(known)} prices "
                f"are {known[0]:g}."
            )


def without_stale(values: np.ndarray) -> np.ndarray:
    """Prices (days, stocks), NaN from the day on that is the `STALE`th without a move."""
    days = np.arange(len(values))[:, None]
    moved = np.ones(values.shape, np.bool_)
    moved[1:] = values[1:] != values[:-1]
    still = days - np.maximum.accumulate(np.where(moved, days, 0), axis=0)
    return np.where(still >= STALE, np.nan, values)


def training_rows(panel: ScalePanel, window: Window, target: np.ndarray | None = None) -> Rows:
    """Stocks pooled, days first; `target` in the place of the panel's, of controls."""
    days = slice(window.start, window.stop)
    y = (panel.target if target is None else target)[days].reshape(-1)
    known = panel.there[days].reshape(-1) & np.isfinite(y)
    if known.sum() < LEAST_ROWS:
        raise AlphaError(
            f"The window tested from {window.day} on has {known.sum()} training rows with features "
            f"and a target; {LEAST_ROWS} are needed."
        )
    X = panel.features[days].reshape(len(y), -1)
    used = X[known].astype(np.float64)
    centre, spread = used.mean(axis=0), used.std(axis=0)
    standard = np.where(known[:, None], own_inside(X.astype(np.float64), centre, spread), 0.0)
    return Rows(
        standard.astype(np.float32),
        np.where(known, y, 0.0).astype(np.float32),
        known.astype(np.float32),
        centre,
        spread,
    )


def test_rows(panel: ScalePanel, window: Window, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Positions (day, stock) of the test rows with features, (n, 2), and those, (n, 28)."""
    places = np.argwhere(panel.there[window.test : window.end]) + [window.test, 0]
    X = panel.features[places[:, 0], places[:, 1]].astype(np.float64)
    return places, own_inside(X, rows.centre, rows.spread)
