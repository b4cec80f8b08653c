"""Instruments on which no feature here was found: the only clean test of the scale net.

In: nothing but packages. Out: `Prices` of the S&P 500 and the NASDAQ (1999-2018, of the package
arch) and of five stocks (2000-2013, of bokeh-sampledata), with gaps; and leads of one model over
another on some of the instruments. Two of the five, `SEEN`, are among the 20 stocks on which
features were found, and count for nothing. The years are the same, and markets move together: what
is clean are the instruments, not the times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.scored import MODELS
from tilewright.alpha.scale.walk import Walk
from tilewright.alpha.scores import newey_west
from tilewright.alpha.tables import Prices, prices_of
from tilewright.alpha.walking.tally import LAGS

INDICES = ("sp500", "nasdaq")
STOCKS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
SEEN = ("AAPL", "MSFT")
"""Among the 20 stocks of `tables.sp500`."""
CLEAN = (*INDICES, *(name for name in STOCKS if name not in SEEN))


class Difference(NamedTuple):
    """Of two models' log scores, by date: negative means that the first is better."""

    mean: float
    error: float  # standard error by date
    days: int

    @property
    def z(self) -> float:
        """The mean in standard errors."""
        return self.mean / self.error


def unseen() -> Prices:
    """Adjusted closes of all seven; raises `AlphaError` where a package is missing."""
    import pandas as pd

    try:
        from arch.data import nasdaq, sp500
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise AlphaError(
            f"The clean test needs the packages arch and bokeh-sampledata: {error}."
        ) from None
    series = {
        name: module.load()["Adj Close"]
        for name, module in zip(INDICES, (sp500, nasdaq), strict=True)
    }
    for name in STOCKS:
        one = getattr(stocks, name)
        series[name] = pd.Series(one["adj_close"], pd.to_datetime(one["date"]))
    source = "two indices, 1999-2018 (arch), and five stocks, 2000-2013 (bokeh)"
    return prices_of(pd.DataFrame(series).sort_index(), source, gaps=True)


def difference(walk: Walk, first: str, second: str, names: Iterable[str] = CLEAN) -> Difference:
    """Log score of one model less another's on the rows of these instruments that both have.

    A day's rows are averaged; the error is Newey & West's. Raises `AlphaError` without such rows.
    """
    chosen = [i for i, name in enumerate(walk.prices.names) if name in set(names)]
    a, b = MODELS.index(first), MODELS.index(second)
    days, leads = [], []
    for one in walk.scored():
        lead = one.log_score[a].astype(float) - one.log_score[b]
        used = np.isin(one.places[:, 1], chosen) & np.isfinite(lead)
        days.append(one.places[used, 0])
        leads.append(lead[used])
    if not sum(map(len, days)):
        raise AlphaError(f"No forecast of {', '.join(names)} has been scored.")
    _, day = np.unique(np.concatenate(days), return_inverse=True)
    daily = np.bincount(day, np.concatenate(leads)) / np.bincount(day)
    return Difference(float(daily.mean()), float(newey_west(daily, LAGS)), len(daily))
