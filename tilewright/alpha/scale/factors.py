"""Forecasts as a factor: what alphalens, and others who rank instruments, read.

In: a `Walk`. Out: a series by date and asset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import quantile_name
from tilewright.alpha.scale.walk import Walk
from tilewright.alpha.walking.scored import LEVELS

SCALE, SHORTFALL = "scale", "expected_shortfall_05"
QUANTILES = tuple(quantile_name(level) for level in LEVELS)


def factor_series(walk: Walk, column: str = SCALE) -> Any:
    """What the net forecast on each day of all whole windows, known at that day's close.

    A `pandas.Series` of log returns with the index (date, asset), dates as timestamps; `column` is
    "scale", "expected_shortfall_05", or a quantile such as "q05". Raises `AlphaError` for another,
    for days that are row numbers, and where no window is whole yet.
    """
    import pandas as pd

    columns = (SCALE, SHORTFALL, *QUANTILES)
    if column not in columns:
        raise AlphaError(f"column must be one of {', '.join(columns)}, not {column!r}.")
    if walk.prices.days[0].isdecimal():
        raise AlphaError("A factor needs dates: the days of this table are row numbers.")
    places, values = [np.empty((0, 2), np.int32)], [np.empty(0)]
    for one in walk.scored():
        places.append(one.places)
        values.append(_values(one, column) * one.unit)
    day, stock = np.concatenate(places).T
    if not len(day):
        raise AlphaError(f"No window in {walk.folder.path} is whole yet.")
    dates = pd.to_datetime(np.array(walk.prices.days)[day])
    index = pd.MultiIndex.from_arrays(
        [dates, np.array(walk.prices.names, object)[stock]], names=["date", "asset"]
    )
    return pd.Series(np.concatenate(values), index, name=column)


def _values(one: Any, column: str) -> np.ndarray:
    """(rows,), in units of the volatility."""
    if column == SCALE:
        return one.scale
    return one.shortfall if column == SHORTFALL else one.quantiles[0, QUANTILES.index(column)]
