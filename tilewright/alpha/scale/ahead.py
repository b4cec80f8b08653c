"""Tomorrow's table: what the newest model says of every instrument that has a price today.

In: a job's folder. Out: a data frame, a row an instrument: `instrument`, `date` (today, the last
day of prices), `target_date`, `mean`, `scale`, and a column for each quantile, such as `q05`. All
are of the log return from today's close to the target date's; the scale is that of the Student-t
noise, the mean of all draws. Calendars are not known: the target date is so many sessions on, were
there one on every weekday on which there lately was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.scale.fit import Fit
from tilewright.alpha.scale.folder import ScaleFolder
from tilewright.alpha.scale.panel import ScalePanel, make_panel
from tilewright.alpha.walking.scored import LEVELS
from tilewright.alpha.walking.windows import of_day, windows_of
from tilewright.frozen import frozen

LATELY = 60
"""Days of a table, of whose weekdays those are sessions that come half as often as any."""


@frozen
class Ahead:
    """What is said of the last day's instruments: those that have a price and enough past."""

    stocks: np.ndarray  # (rows,) columns of the table
    forecast: Mixture  # of targets, in units of `unit`
    unit: np.ndarray  # (rows,) of log returns
    panel: ScalePanel


def ahead(job: ScaleFolder) -> Ahead:
    """Of the newest model; raises `AlphaError` when the day's window has none yet."""
    prices, settings = job.prices, job.settings
    windows, last = windows_of(prices.days, settings), len(prices.days) - 1
    window = of_day(windows, last)
    job.prepare([window])
    path = job.fit_path(window)
    if not path.exists():
        raise AlphaError(
            f"The model that serves {prices.days[last]} is not in {job.path} yet: run "
            f"`tilewright alpha resume {job.path}`."
        )
    fit, panel = Fit.load(path, settings), make_panel(prices, settings.horizon)
    stocks = np.flatnonzero(panel.there[last])
    if not len(stocks):
        raise AlphaError(f"No instrument has a price and enough past on {prices.days[last]}.")
    forecast = fit.distribution(fit.rows(panel.features[last, stocks]))
    return Ahead(stocks, forecast, panel.unit[last, stocks], panel)


def today(job: ScaleFolder) -> Any:
    """The table; raises `AlphaError` when the day's window has no model yet."""
    import pandas as pd

    found, day = ahead(job), job.prices.days[-1]
    forecast, unit = found.forecast, found.unit
    columns = {
        "instrument": [job.prices.names[stock] for stock in found.stocks],
        "date": day,
        "target_date": target_date(job.prices.days, job.settings.horizon),
        "mean": forecast.mean() * unit,
        "scale": forecast.scale.mean(axis=0) * unit,
    }
    quantiles = forecast.quantile(LEVELS) * unit
    columns |= {quantile_name(p): q for p, q in zip(LEVELS, quantiles, strict=True)}
    return pd.DataFrame(columns)


def quantile_name(level: float) -> str:
    """Such as q05."""
    return f"q{round(100 * level):02d}"


def target_date(days: Sequence[str], horizon: int) -> str:
    """So many sessions after the last of a table's days; where they are row numbers, so many rows.

    Markets of a week of its own, or that never close, are known by the weekdays of the last days.
    """
    last = days[-1]
    if last.isdecimal():
        return str(int(last) + horizon)
    counts = Counter(date.fromisoformat(day).weekday() for day in days[-LATELY:])
    often = max(counts.values()) / 2
    found = date.fromisoformat(last)
    for _ in range(horizon):
        found += timedelta(days=1)
        while counts[found.weekday()] < often:
            found += timedelta(days=1)
    return found.isoformat()
