"""Long tables: a row for each date and instrument, made wide.

In: a data frame of narwhals with a column of dates, one of instruments and one of prices (others,
such as volumes, are left alone). Out: a frame of pandas, a row a date, a column an instrument; what
is missing is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.dates import WORDS, dates_of
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.numbers import no_prices, not_a_number, numbers

INSTRUMENTS = ("instrument", "symbol", "ticker", "stock", "name", "asset", "permno", "isin")
PRICES = (
    *("adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close", "adjusted"),
    *("price", "close", "last"),
)
"""Those that know of splits and dividends first, where a table has both."""


def long_columns(names: list[str]) -> tuple[str, str, str] | None:
    """Those of dates, instruments and prices; None where the table is not long."""
    found = [named(names, words) for words in (WORDS, INSTRUMENTS, PRICES)]
    dates, instruments, prices = found
    return (dates, instruments, prices) if dates and instruments and prices else None


def widened(table: Any, columns: tuple[str, str, str], source: str) -> Any:
    """The wide frame; raises `AlphaError` for what is no price, and for a date and instrument that
    come twice."""
    dates, instruments, prices = columns
    _check_prices(table[prices], source)
    frame = table.select(list(columns)).to_pandas().copy()  # it may be the user's own
    nameless = frame[instruments].isna()
    if nameless.any():
        row = int(nameless.to_numpy().argmax()) + 1
        raise AlphaError(f"In {source}, row {row}: the instrument is missing.")
    each = {value: instrument_name(value) for value in frame[instruments].unique()}
    frame[instruments] = frame[instruments].astype(object).map(each)
    frame[dates] = days_in_order(frame[dates], f"The column {dates!r} of {source}")
    twice = frame.duplicated([dates, instruments])
    if twice.any():
        row = int(twice.to_numpy().argmax())
        day, name = frame.iloc[row][dates], frame.iloc[row][instruments]
        raise AlphaError(f"In {source}, row {row + 1}: a second price of {name!r} on {day}.")
    wide = frame.pivot(index=dates, columns=instruments, values=prices).sort_index()
    wide.columns.name = None
    return wide.reset_index()


def instrument_name(value: Any) -> str:
    """As all tables have it: where another is missing, pandas makes 10107.0 of 10107."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _check_prices(column: Any, source: str) -> None:
    """By the rows of the long table: those of the wide one are nowhere to be seen."""
    if not column.dtype.is_numeric():
        raise AlphaError(f"In {source}, {not_a_number(column)}.")
    for condition, what in no_prices(numbers(column)):
        if condition.any():
            raise AlphaError(f"In {source}, row {int(condition.argmax()) + 1}: a price {what}.")


def days_in_order(column: Any, where: str) -> Any:
    """Dates that sort, as texts such as 31.01.2020 do not; row numbers as they are."""
    import pandas as pd

    place, different = pd.factorize(column)
    try:
        days = None if (place < 0).any() else dates_of(list(different), where)
    except AlphaError:
        days = None
    if days is None:
        days = dates_of(list(column), where)  # every row, to name the one that is wrong
        return column if days is None else list(days)
    return np.array(days, object)[place]


def named(names: list[str], words: tuple[str, ...]) -> str | None:
    """The first column of such a name."""
    return next((n for w in words for n in names if n.strip().casefold() == w), None)
