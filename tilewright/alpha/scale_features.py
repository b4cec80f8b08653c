"""28 past-only features of how widely a stock's next return will scatter.

In: prices (days, stocks), positive, NaN where there is none, and the days' ISO dates. Out: (days,
stocks, 28), NaN where there is no price or not enough past: a stock has its first features after
256 prices of its own, and a mean over some days is one of three fifths of them at least. Nothing is
filled forward. Row t uses closes up to and including day t, and no other date than its own. What is
forecast is the target of `features.target_and_features`: the next return over the EWMA volatility
of the day, so a feature says by how much that volatility is wrong.

own       log of the root mean square return of 1, 5, 22, 66, 252 days over the EWMA volatility
          (Corsi 2009 has such spans), the same of two other decays, the log volatility itself, the
          part of the last 22 days' squares that are losses, how far below the year's high
context   the same ten of the market, which is the mean return of all stocks; how far the day's
          returns lie apart, and how large they are on average, over the mean volatility; the rank
          of the stock's volatility among all, and its log over the mean one
calendar  days to the next weekday: 3 on Fridays. (A holiday is not seen: which days had no session
          is known for sure only afterwards.)
echo      the largest scaled move 61 to 65 sessions ago, of the stock and of the market (results
          come out once a quarter), and of the stock a year ago, 250 to 254 sessions

A square is never less than a hundredth of the EWMA variance here, so a day without a move has a
finite logarithm. Found on 20 survivors of the S&P 500, 2000 to 2022: other data are the clean test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from tilewright.alpha.features import FLOOR, Frame, ewma_volatility

HISTORY = 256
"""Days before the first day that has all features."""
SPANS, DECAYS = (1, 5, 22, 66, 252), (0.8, 0.985)
LEAST_SQUARE = 0.01
"""Of the EWMA variance."""
LEAST_SHARE = 0.6
"""Of the days that a mean is over."""
ECHO, YEAR = (61, 65), (250, 254)
"""Sessions ago."""

OWN = (
    *(f"move_{span}" for span in SPANS),
    *("fast", "slow", "level", "losses_22", "drawdown_252"),
)
NAMES = (
    *OWN,
    *(f"market_{name}" for name in OWN),
    *("dispersion", "mean_move", "rank_volatility", "relative_volatility"),
    "days_to_weekday",
    *("echo_quarter", "market_echo_quarter", "echo_year"),
)


def scale_features(
    prices: np.ndarray, days: Sequence[str], members: np.ndarray | None = None
) -> np.ndarray:
    """Features (days, stocks, 28), float64; where `days` are no dates, the next is one day on.

    The context is that of the `members` (days, stocks) of the day, if they are given, and who is
    none has no features then; a stock's own past counts, whether it was one or not.
    """
    import pandas as pd

    log_price = pd.DataFrame(np.log(prices))
    returns = log_price.diff()
    observed = log_price.notna()
    volatility = ewma_volatility(returns).where(observed)
    scaled = (returns / volatility.shift(1)).abs()  # NaN after a gap, as the return is
    found = _own(log_price, returns, volatility)
    if members is not None:
        returns, volatility = returns.where(members), volatility.where(members)
    found |= _market(returns, volatility)
    found["days_to_weekday"] = _same_for_all(days_to_weekday(days), returns)
    found["echo_quarter"] = _largest(scaled, *ECHO)
    market = returns.mean(axis=1).to_frame()
    market_scaled = (market / ewma_volatility(market).shift(1)).abs()
    found["market_echo_quarter"] = _same_for_all(_largest(market_scaled, *ECHO)[0], returns)
    found["echo_year"] = _largest(scaled, *YEAR)
    stacked = np.stack([found[name].to_numpy(np.float64) for name in NAMES], axis=-1)
    stacked[(~observed | (observed.cumsum() <= HISTORY)).to_numpy()] = np.nan
    return stacked


def _own(log_price: Frame, returns: Frame, volatility: Frame) -> dict[str, Frame]:
    """The ten of `OWN`, of every column."""
    variance = volatility**2
    squares = returns**2

    def over(square: Frame) -> Frame:
        return 0.5 * np.log(np.maximum(square / variance, LEAST_SQUARE))

    found = {f"move_{span}": over(_rolling(squares, span).mean()) for span in SPANS}
    for name, decay in zip(("fast", "slow"), DECAYS, strict=True):
        found[name] = over(squares.ewm(alpha=1 - decay).mean())
    found["level"] = np.log(volatility)
    losses = _rolling(returns.clip(upper=0) ** 2, 22).mean()
    found["losses_22"] = losses / _rolling(squares, 22).mean().clip(lower=FLOOR**2)
    fall = _rolling(log_price, 252).max() - log_price
    found["drawdown_252"] = fall / volatility / 252**0.5
    return found


def _market(returns: Frame, volatility: Frame) -> dict[str, Frame]:
    """What all stocks say together, the same for each but for the last two."""
    mean = returns.mean(axis=1).to_frame()
    level = mean.fillna(0.0).cumsum()
    own = _own(level, mean, ewma_volatility(mean))
    found = {f"market_{name}": _same_for_all(frame[0], returns) for name, frame in own.items()}
    usual = volatility.mean(axis=1)
    apart = returns.std(axis=1, ddof=0) / usual
    found["dispersion"] = _same_for_all(apart.fillna(0.0), returns)
    found["mean_move"] = _same_for_all(returns.abs().mean(axis=1) / usual, returns)
    ranks = 2 * volatility.rank(axis=1, pct=True) - 1
    found["rank_volatility"] = ranks.sub(1 / volatility.notna().sum(axis=1), axis=0)
    found["relative_volatility"] = np.log(volatility.div(usual, axis=0))
    return found


def _largest(scaled: Frame, first: int, last: int) -> Frame:
    """Of the moves between so many sessions ago."""
    return scaled.shift(first).rolling(last - first + 1, min_periods=1).max()


def _rolling(frame: Frame, span: int) -> Any:
    """Over so many days, of which three fifths at least must be there."""
    return frame.rolling(span, min_periods=math.ceil(LEAST_SHARE * span))


def days_to_weekday(days: Sequence[str]) -> np.ndarray:
    """Calendar days from each day to the next weekday, (days,)."""
    if any(day.isdecimal() for day in days):
        return np.ones(len(days))
    weekdays = np.array([date.fromisoformat(day).weekday() for day in days])
    return np.where(weekdays >= 4, 7 - weekdays, 1).astype(float)  # Friday 3, Saturday 2, Sunday 1


def _same_for_all(series: Any, like: Frame) -> Frame:
    import pandas as pd

    values = np.asarray(series, np.float64)
    return pd.DataFrame(np.repeat(values[:, None], like.shape[1], axis=1))
