"""What a forecast of the mean would have been worth to who trades on it, after costs.

In: forecasts (days, stocks), made at the close of a day of the return to the next close, NaN where
there is none; prices (days, stocks). Out: `Trading`.

*Order*: the rank correlation of forecasts and returns within a day (the information coefficient),
and how it decays when the return is that of a later day. *Fifths*: mean returns of the stocks by
fifth of the forecast. *Book*: long and short by rank, one unit invested in all, changed at the
close *after* the one at which the forecast was made, each purchase or sale at a cost. Its Sharpe
ratio is deflated by the number of trials from which it may have been chosen (Bailey & López de
Prado 2014, Journal of Portfolio Management 40:5). Nothing is known of borrowing, taxes or impact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scores import centred_ranks, newey_west, rank_correlation
from tilewright.frozen import frozen

COST = 5.0
"""Of a purchase or a sale, in basis points of what is traded."""
DELAYS = (0, 1, 2, 3, 5, 10, 21)
"""Days between a forecast and the return that it is held against."""
DELAY = 1
"""Of the book: forecasts of a close are traded at the next one."""
FIFTHS, YEAR = 5, 252
"""Groups of stocks; days of a year, of which rates are made."""
LEAST = 4
"""Days, to say how likely a Sharpe ratio is."""


@frozen
class Trading:
    """`days` are positions of those with a forecast and a return; rates are shares of 1."""

    days: np.ndarray  # (days,)
    ic: np.ndarray  # (days,) with the next return
    decay: np.ndarray  # (DELAYS, 2) mean IC and its standard error
    fifths: np.ndarray  # (fifths, 2) mean return a day less that of all stocks, and its error
    spread: tuple[float, float]  # upper fifth less the lower, and its standard error
    turnover: float  # purchases and sales a day, as a share of what is invested
    gross: np.ndarray  # (days,) returns of the book
    net: np.ndarray  # after costs
    cost: float  # basis points
    others: tuple[float, ...]  # Sharpe ratios of the other trials, of a day and after costs

    @property
    def trials(self) -> int:
        return 1 + len(self.others)

    @property
    def likely(self) -> float:
        """Probability that it is better than the best of as many trials that are worthless."""
        from skfolio.measures import deflated_sharpe_ratio

        if len(self.net) < LEAST or not self.net.std():
            return float("nan")
        return float(deflated_sharpe_ratio(self.net, [self.sharpe, *self.others]))

    @property
    def sharpe(self) -> float:
        """Of a day, after costs."""
        deviation = float(self.net.std())
        return float(self.net.mean()) / deviation if deviation else 0.0

    @property
    def sharpe_a_year(self) -> float:
        return self.sharpe * YEAR**0.5


def trade(
    forecast: np.ndarray,
    prices: np.ndarray,
    unit: np.ndarray | None = None,
    cost: float = COST,
    others: Sequence[float] = (),
) -> Trading:
    """`unit` (days, stocks) is what returns are divided by before they are ranked (the volatility).

    `others` are Sharpe ratios, a day and after costs, of the other trials. Raises `AlphaError`
    where no day has forecasts of two stocks and a return to hold them against.
    """
    forecast = np.asarray(forecast, np.float64)
    later = {delay: _returns(prices, delay) for delay in {*DELAYS, DELAY}}
    scaled = {delay: r if unit is None else r / unit for delay, r in later.items()}
    pairs = (np.isfinite(forecast) & np.isfinite(later[0])).sum(axis=1)
    days = np.flatnonzero(pairs >= 2)
    if not len(days):
        raise AlphaError("No day has forecasts of two stocks, and returns that came.")
    told = forecast[days]
    coefficients = {delay: _correlations(told, scaled[delay][days]) for delay in DELAYS}
    decay = np.array([_mean(coefficients[delay]) for delay in DELAYS])
    groups = _groups(told, later[0][days])
    weights = _book(told)
    gross = np.nansum(weights * later[DELAY][days], axis=1)
    traded = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
    net = gross - traded * cost / 1e4
    return Trading(
        days, coefficients[0], decay, np.array([_mean(column) for column in groups.T]),
        _mean(groups[:, -1] - groups[:, 0]), float(traded.mean()), gross, net, cost,
        tuple(others),
    )  # fmt: skip


def _returns(prices: np.ndarray, delay: int) -> np.ndarray:
    """From the close of `delay` days on to the next: (days, stocks), NaN past the end."""
    found = np.full(prices.shape, np.nan)
    if delay + 1 < len(prices):
        found[: -delay - 1] = (prices[1:] / prices[:-1] - 1)[delay:]
    return found


def _correlations(forecast: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Rank correlation of each day, NaN where fewer than two stocks have both."""
    both = np.isfinite(forecast) & np.isfinite(outcome)
    found = rank_correlation(np.where(both, forecast, np.nan), np.where(both, outcome, np.nan))
    return np.where(both.sum(axis=1) >= 2, found, np.nan)


def _groups(forecast: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Mean return less that of all stocks, by fifth of the forecast: (days, fifths), lowest first.

    As many groups as there are stocks where those are fewer than five; NaN for an empty one.
    """
    from scipy.stats import rankdata

    known = np.isfinite(forecast) & np.isfinite(returns)
    count = min(FIFTHS, forecast.shape[1])
    rank = rankdata(np.where(known, forecast, np.nan), axis=1, method="ordinal", nan_policy="omit")
    group = np.floor((rank - 1) * count / known.sum(axis=1, keepdims=True))
    over = np.where(known, returns, 0.0)
    over = over - over.sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    found = np.full((len(forecast), count), np.nan)
    for number in range(count):
        mine = known & (group == number)
        size = mine.sum(axis=1)
        total = np.where(mine, over, 0.0).sum(axis=1)
        found[size > 0, number] = total[size > 0] / size[size > 0]
    return found


def _book(forecast: np.ndarray) -> np.ndarray:
    """Shares of each stock (days, stocks) by centred rank: sizes add up to 1, signs to 0."""
    rank = centred_ranks(forecast)
    size = np.abs(rank).sum(axis=1, keepdims=True)
    return rank / np.where(size > 0, size, 1.0)


def _mean(series: np.ndarray) -> tuple[float, float]:
    """Over days, and its standard error; NaN where there is none."""
    known = series[np.isfinite(series)]
    return (float(known.mean()), newey_west(known)) if len(known) else (np.nan, np.nan)
