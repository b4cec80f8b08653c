"""22 past-only features of each stock-day, and the target.

In: prices (days, stocks), positive, without gaps. Out: features (days, stocks, 22) and targets
(days, stocks), NaN where there is not enough past or no next day. Row t of the features uses closes
up to and including day t; row t of the target is the log return from close t to close t+1 over the
volatility known at t.

"Scaled" means divided by the stock's own EWMA volatility, so that stocks and years pool. No feature
is an exact linear function of others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Frame = Any
"""A pandas DataFrame (days, stocks)."""

HISTORY = 253
"""Days before the first day that has all features."""
DECAY = 0.94
"""Of the EWMA variance, per day (RiskMetrics 1996)."""
FLOOR = 1e-4
"""Least daily volatility, so that a suspended stock does not divide by zero."""

NAMES = (
    *(f"return_lag_{lag}" for lag in range(5)),  # scaled by the volatility of the day before
    *("return_10", "return_21", "return_63"),
    *("momentum_126", "momentum_252"),  # without the last 21 days
    *("reversal_5",),  # against the market
    *("volatility_21", "volatility_ratio", "downside_21", "skew_63", "largest_21"),
    *("gap_to_mean_50", "rank_return_1", "rank_momentum_252", "rank_volatility"),
    *("market_return_1", "market_volatility"),
)


def target_and_features(prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets (days, stocks) and features (days, stocks, 22), float64."""
    import pandas as pd

    log_price = pd.DataFrame(np.log(prices))
    returns = log_price.diff()
    volatility = ewma_volatility(returns)
    target = returns.shift(-1) / volatility
    columns = _features(log_price, returns, volatility)
    assert tuple(columns) == NAMES
    stacked = np.stack([frame.to_numpy(np.float64) for frame in columns.values()], axis=-1)
    stacked[:HISTORY] = np.nan
    return target.to_numpy(np.float64), stacked


def ewma_volatility(returns: Frame) -> Frame:
    """Volatility a day, (days, stocks), from returns up to that day."""
    return ((returns**2).ewm(alpha=1 - DECAY).mean() ** 0.5).clip(lower=FLOOR)


def _features(log_price: Frame, returns: Frame, volatility: Frame) -> dict[str, Frame]:
    scaled = returns / volatility.shift(1)
    recent = scaled.rolling(21)
    momentum = _over(log_price.shift(21), 231, volatility)
    market = scaled.mean(axis=1)
    found = {f"return_lag_{lag}": scaled.shift(lag) for lag in range(5)}
    for days in (10, 21, 63):
        found[f"return_{days}"] = _over(log_price, days, volatility)
    found["momentum_126"] = _over(log_price.shift(21), 105, volatility)
    found["momentum_252"] = momentum
    found["reversal_5"] = _against_market(_over(log_price, 5, volatility))
    deviation = returns.rolling(21).std().clip(lower=FLOOR)
    long_deviation = returns.rolling(252).std().clip(lower=FLOOR)
    found["volatility_21"] = np.log(deviation / long_deviation)
    found["volatility_ratio"] = np.log(volatility / returns.rolling(63).std().clip(lower=FLOOR))
    losses = (returns.clip(upper=0) ** 2).rolling(21).mean() ** 0.5
    found["downside_21"] = losses / deviation
    found["skew_63"] = scaled.rolling(63).skew()
    found["largest_21"] = recent.max()
    found["gap_to_mean_50"] = (log_price - log_price.rolling(50).mean()) / volatility / 50**0.5
    found["rank_return_1"] = _rank(scaled)
    found["rank_momentum_252"] = _rank(momentum)
    found["rank_volatility"] = _rank(long_deviation)
    found["market_return_1"] = _same_for_all(market, scaled)
    swing = np.log(market.rolling(21).std() / market.rolling(252).std())
    found["market_volatility"] = _same_for_all(swing, scaled)
    return found


def _over(log_price: Frame, days: int, volatility: Frame) -> Frame:
    """Scaled return over some days."""
    return log_price.diff(days) / volatility / days**0.5


def _against_market(frame: Frame) -> Frame:
    return frame.sub(frame.mean(axis=1), axis=0)


def _rank(frame: Frame) -> Frame:
    """Rank among the day's stocks, from -1 to 1."""
    return 2 * frame.rank(axis=1, pct=True) - 1 - 1 / frame.shape[1]


def _same_for_all(series: Any, like: Frame) -> Frame:
    import pandas as pd

    return pd.DataFrame(dict.fromkeys(like.columns, series))
