"""The 28 features of one stock-day by loops over days, as the docstring of the package says them.

In: prices (days, stocks) with gaps, their dates. Out: `at(day, stock)`, a float for each name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

NAN = math.nan


class ByHand:
    """Of a table."""

    def __init__(self, values: np.ndarray, days: Sequence[str]):
        self.days, self.stocks = days, values.shape[1]
        self.log_price = np.log(values)
        self.returns = np.full(values.shape, NAN)
        self.returns[1:] = self.log_price[1:] - self.log_price[:-1]
        rows = [row[np.isfinite(row)] for row in self.returns]
        self.market = np.array([row.mean() if len(row) else NAN for row in rows])
        self.level = np.nancumsum(self.market)

    def at(self, day: int, stock: int) -> dict[str, float]:
        """All of them."""
        found = _own(self.log_price[:, stock], self.returns[:, stock], day)
        market = _own(self.level, self.market, day)
        found |= {f"market_{name}": value for name, value in market.items()}
        there = [s for s in range(self.stocks) if np.isfinite(self.log_price[day, s])]
        scales = np.array([_volatility(self.returns[:, s], day) for s in there])
        moves = self.returns[day][np.isfinite(self.returns[day])]
        found["dispersion"] = float(np.std(moves)) / scales.mean() if len(moves) else 0.0
        found["mean_move"] = float(np.abs(moves).mean()) / scales.mean() if len(moves) else NAN
        mine = scales[there.index(stock)]
        rank = np.sum(scales < mine) + (np.sum(scales == mine) + 1) / 2
        found["rank_volatility"] = (2 * rank - 1) / len(scales) - 1
        found["relative_volatility"] = math.log(mine / scales.mean())
        found["days_to_weekday"] = _to_weekday(date.fromisoformat(self.days[day]))
        found["echo_quarter"] = _echo(self.returns[:, stock], day, 61, 65)
        found["market_echo_quarter"] = _echo(self.market, day, 61, 65)
        found["echo_year"] = _echo(self.returns[:, stock], day, 250, 254)
        return found


def _own(log_price: np.ndarray, returns: np.ndarray, day: int) -> dict[str, float]:
    volatility = _volatility(returns, day)

    def over(square: float) -> float:
        return 0.5 * math.log(max(square / volatility**2, 0.01)) if square == square else NAN

    found = {f"move_{span}": over(_mean(returns**2, day, span)) for span in (1, 5, 22, 66, 252)}
    found["fast"] = over(_decayed(returns**2, day, 0.8))
    found["slow"] = over(_decayed(returns**2, day, 0.985))
    found["level"] = math.log(volatility)
    losses = _mean(np.minimum(returns, 0) ** 2, day, 22)
    found["losses_22"] = losses / max(_mean(returns**2, day, 22), 1e-8)
    known = [p for p in log_price[max(0, day - 251) : day + 1] if np.isfinite(p)]
    fall = (max(known) - log_price[day]) / volatility / 252**0.5
    found["drawdown_252"] = fall if len(known) >= 152 else NAN
    return found


def _decayed(values: np.ndarray, day: int, decay: float) -> float:
    """Mean with weights that fall by the day, over those that are there."""
    known = [(decay ** (day - u), values[u]) for u in range(day + 1) if np.isfinite(values[u])]
    return sum(w * v for w, v in known) / sum(w for w, _ in known) if known else NAN


def _volatility(returns: np.ndarray, day: int) -> float:
    return max(math.sqrt(_decayed(returns**2, day, 0.94)), 1e-4)


def _mean(values: np.ndarray, day: int, span: int) -> float:
    known = [v for v in values[max(0, day - span + 1) : day + 1] if np.isfinite(v)]
    return sum(known) / len(known) if len(known) >= math.ceil(0.6 * span) else NAN


def _echo(returns: np.ndarray, day: int, first: int, last: int) -> float:
    moves = [
        abs(returns[day - ago]) / _volatility(returns, day - ago - 1)
        for ago in range(first, last + 1)
        if np.isfinite(returns[day - ago])
    ]
    return max(moves, default=NAN)


def _to_weekday(day: date) -> int:
    return next(n for n in (1, 2, 3) if (day + timedelta(n)).weekday() < 5)
