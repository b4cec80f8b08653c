"""From prices to what nets and their rivals read, and to the two targets.

In: `Prices`, which may have gaps. Out: a `ForwardPanel`. Row t knows closes up to and including day
t. Targets are in units of the volatility that was known then (the EWMA's):

    density      the next day's log return over it
    volatility   log of the root mean square of the next five days' log returns, less its log

A mean square is never less than a hundredth of the EWMA's, so a week without a move has a
logarithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.scale.panel import make_panel, without_stale
from tilewright.alpha.scale_features import LEAST_SQUARE, NAMES
from tilewright.alpha.tables import Prices
from tilewright.frozen import frozen
from tilewright.sequence.forward.har import har_inputs
from tilewright.sequence.forward.settings import DENSITY, HORIZONS, VOLATILITY
from tilewright.sequence.panel import Panel

SIGNED = ("scaled_return", "market_scaled_return")
"""The day's return over the volatility of the day before, of the stock and of the market."""
INPUTS = (*NAMES, *SIGNED)
MOST = 6.0
"""Deviations at which signed returns are cut."""


@frozen
class ForwardPanel:
    """Arrays (days, stocks[, columns]); 0 where inputs are missing, NaN where a target is."""

    days: tuple[str, ...]
    names: tuple[str, ...]
    inputs: np.ndarray  # (days, stocks, 30) float32
    har: np.ndarray  # (days, stocks, 20) of `har.NAMES`
    there: np.ndarray  # bool: the row has inputs
    target: np.ndarray
    unit: np.ndarray  # the EWMA volatility, a day's
    kind: str

    def rows(self, first: int, last: int, target: np.ndarray | None = None) -> Panel:
        """Rows of days first <= day < last, with a target or without."""
        import pandas as pd

        day, stock = np.nonzero(self.there[first:last])
        day += first
        frame = pd.DataFrame(self.inputs[day, stock].astype(np.float64), columns=list(INPUTS))
        frame["day"], frame["stock"] = day, stock
        if target is None:
            return Panel(frame, INPUTS, (), time="day", group="stock")
        frame["target"] = target[day, stock]
        return Panel(frame, INPUTS, "target", time="day", group="stock")

    def places(self, first: int, last: int) -> np.ndarray:
        """(rows, 2) day and stock, in the order of `rows`."""
        return np.argwhere(self.there[first:last]) + [first, 0]


def make_forward_panel(prices: Prices, kind: str) -> ForwardPanel:
    """All of a table; raises `AlphaError` where no column has enough prices."""
    import pandas as pd

    scale = make_panel(prices, 1)
    returns = pd.DataFrame(np.log(without_stale(prices.values))).diff()
    volatility = pd.DataFrame(scale.volatility)
    signed = np.stack([_signed(returns, volatility), _signed_market(returns)], axis=-1)
    there = scale.there & np.isfinite(signed).all(axis=-1)
    inputs = np.concatenate([scale.features, signed], axis=-1)
    har = har_inputs(returns, volatility, signed)
    there &= np.isfinite(har).all(axis=-1)
    target = scale.target if kind == DENSITY else _log_volatility_ahead(returns, volatility)
    return ForwardPanel(
        prices.days,
        prices.names,
        np.where(there[..., None], inputs, 0.0).astype(np.float32),
        np.where(there[..., None], har, 0.0),
        there,
        np.where(there, target, np.nan),
        scale.volatility,
        kind,
    )


def _signed(returns: Any, volatility: Any) -> np.ndarray:
    return (returns / volatility.shift(1)).clip(-MOST, MOST).to_numpy(np.float64)


def _signed_market(returns: Any) -> np.ndarray:
    from tilewright.alpha.features import ewma_volatility

    market = returns.mean(axis=1).to_frame()
    return np.repeat(_signed(market, ewma_volatility(market)), returns.shape[1], axis=1)


def _log_volatility_ahead(returns: Any, volatility: Any) -> np.ndarray:
    days = HORIZONS[VOLATILITY]
    ahead = (returns**2).rolling(days).mean().shift(-days)
    ratio = np.maximum((ahead / volatility**2).to_numpy(np.float64), LEAST_SQUARE)
    return np.where(np.isfinite(ahead.to_numpy()), 0.5 * np.log(ratio), np.nan)
