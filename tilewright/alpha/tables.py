"""Prices from a file or a data frame, checked.

In: a path to a table, or a frame of pandas, polars, arrow or anything else that narwhals knows: one
column of dates (optional), one of closing prices for each stock, oldest row first. Out: `Prices`.
What is wrong is said in one sentence, with the column and the row (counted from 1, without header).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError

READERS = {
    ".csv": "read_csv",
    ".gz": "read_csv",
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".feather": "read_feather",
    ".arrow": "read_feather",
}


@dataclass(frozen=True)
class Prices:
    """Adjusted closes (days, stocks), float64, positive; `days` are ISO dates or row numbers."""

    days: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    source: str

    def fingerprint(self) -> str:
        """SHA-256 of everything but the source's name."""
        header = "\0".join((*self.days, *self.names)).encode()
        return hashlib.sha256(header + np.ascontiguousarray(self.values).tobytes()).hexdigest()


def sp500() -> Prices:
    """20 stocks of the S&P 500, 1990-2022, from the package skfolio: all of them survivors."""
    from skfolio.datasets import load_sp500_dataset

    return prices_of(load_sp500_dataset(), "20 S&P 500 stocks, 1990-2022 (skfolio)")


def read_prices(path: Path) -> Prices:
    """Prices from a CSV, Parquet or Feather file."""
    import pandas as pd

    if not path.exists():
        raise AlphaError(f"There is no file {path}.")
    if not path.is_file():
        raise AlphaError(f"{path} is not a file.")
    if path.stat().st_size == 0:
        raise AlphaError(f"The file {path} is empty.")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise AlphaError(f"{path} is not a table that can be read: CSV, Parquet or Feather.")
    try:
        frame = getattr(pd, reader)(path)
    except ImportError as error:
        raise AlphaError(f"Reading {path} needs a package that is missing: {error}.") from None
    except (ValueError, OSError, EOFError, pd.errors.ParserError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise AlphaError(f"{path} is not a table: {reason}.") from None
    return prices_of(frame, str(path))


def prices_of(frame: Any, source: str = "table") -> Prices:
    """Prices from a data frame; of pandas, an index of dates is used."""
    import narwhals as nw

    try:
        table = nw.from_native(frame, eager_only=True)
        columns = list(table.columns)
    except nw.exceptions.DuplicateError:
        raise AlphaError(f"{source} has two columns of the same name.") from None
    except TypeError:
        raise AlphaError(
            f"{source} is not a table: it is of type {type(frame).__name__}."
        ) from None
    index = nw.maybe_get_index(table)
    days = None
    if index is not None and index.dtype.kind == "M":
        days = _iso(index.to_numpy())
    if not table.shape[0]:
        raise AlphaError(f"{source} has no rows.")
    if days is None and columns and not table[columns[0]].dtype.is_numeric():
        days = _dates(table[columns.pop(0)].to_numpy(), source)
    days = days or tuple(str(i) for i in range(1, table.shape[0] + 1))
    values = _values(table, columns, source)
    _check_order(days, source)
    return Prices(days, tuple(columns), values, source)


def _values(table: Any, columns: list[str], source: str) -> np.ndarray:
    """Prices (days, stocks); each one a positive number."""
    if len(columns) < 2:
        raise AlphaError(
            f"{source} needs a column of prices for each of two stocks or more; it has "
            f"{len(columns)}."
        )
    for name in columns:
        if not table[name].dtype.is_numeric():
            raise AlphaError(f"In {source}, column {name!r}, {_not_a_number(table[name])}.")
    values = np.column_stack([table[name].to_numpy().astype(np.float64) for name in columns])
    for condition, what in (
        (np.isnan(values), "is missing"),
        (~np.isfinite(values), "is infinite"),
        (values <= 0, "is not above zero"),
    ):
        if condition.any():
            column = int(condition.any(axis=0).argmax())
            row = int(condition[:, column].argmax()) + 1
            raise AlphaError(f"In {source}, column {columns[column]!r}, row {row}: a price {what}.")
    return values


def _not_a_number(column: Any) -> str:
    """Where a column that does not hold numbers says so first."""
    for row, value in enumerate(column.to_list(), 1):
        try:
            float(value)
        except (TypeError, ValueError):
            if value is not None:
                return f"row {row}: {value!r} is not a price"
    return f"no prices: it is of type {column.dtype}"


def _dates(values: np.ndarray, source: str) -> tuple[str, ...]:
    import pandas as pd

    try:
        return _iso(pd.to_datetime(pd.Series(values)).to_numpy())
    except (ValueError, TypeError, OverflowError):
        raise AlphaError(f"The first column of {source} holds neither numbers nor dates.") from None


def _iso(values: np.ndarray) -> tuple[str, ...]:
    return tuple(str(day) for day in values.astype("datetime64[D]"))


def _check_order(days: tuple[str, ...], source: str) -> None:
    if days[0].isdecimal():
        return
    if "NaT" in days:
        raise AlphaError(f"In {source}, row {days.index('NaT') + 1}: the date is missing.")
    for row, (before, day) in enumerate(pairwise(days), 2):
        if day <= before:
            raise AlphaError(f"In {source}, row {row}: {day} does not come after {before}.")
