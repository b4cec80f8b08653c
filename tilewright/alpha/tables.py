"""Prices from a file or a data frame, checked.

In: a path to a table, or a frame of pandas, polars, arrow or anything else that narwhals knows,
such as a relation of DuckDB: one column of dates (optional; of pandas, the index may hold them),
one of closing prices for each stock, oldest row first; or a long table (`long.py`). Out: `Prices`.
What is wrong is said in one sentence, with the column and the row (counted from 1, without header).
"""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.dates import WORDS, are_days, dates_of, dates_of_numbers, plain_dates
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.long import long_columns, widened
from tilewright.alpha.numbers import no_prices, not_a_number, numbers
from tilewright.alpha.parts import of_parts
from tilewright.frozen import frozen

READERS = {
    ".csv": "read_csv",
    ".gz": "read_csv",
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".feather": "read_feather",
    ".arrow": "read_feather",
}
SEPARATORS = (";", "\t")
"""Of the columns of a CSV file, where not commas part them."""
LONGEST_LINE = 1 << 20
"""Bytes."""


@frozen
class Extras:
    """What may come with prices (`extras.py`): features by name, and who is a member."""

    names: tuple[str, ...] = ()
    features: np.ndarray | None = None  # (days, stocks, names), NaN where missing
    members: np.ndarray | None = None  # (days, stocks) bool

    def arrays(self) -> list[np.ndarray]:
        """Those that there are, with a leading axis of days."""
        return [part for part in (self.features, self.members) if part is not None]


@frozen
class Prices:
    """Adjusted closes (days, stocks), float64, positive; `days` are ISO dates or row numbers."""

    days: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    source: str
    extras: Extras = Extras()

    def fingerprint(self, days: int | None = None) -> str:
        """SHA-256 of the first days, or all, but not of the source's name."""
        header = "\0".join((*self.days[:days], *self.names)).encode()
        values = np.ascontiguousarray(self.values[:days])
        return hashlib.sha256(header + values.tobytes()).hexdigest()


def sp500() -> Prices:
    """20 stocks of the S&P 500, 1990-2022, from the package skfolio: all of them survivors."""
    from skfolio.datasets import load_sp500_dataset

    return prices_of(load_sp500_dataset(), "20 S&P 500 stocks, 1990-2022 (skfolio)")


def read_prices(path: Path, gaps: bool = False, gone: bool = False) -> Prices:
    """Prices from a CSV, Parquet (also in parts, in a folder) or Feather file; `gaps` and `gone`
    are those of `prices_of`.

    The columns of a CSV file are parted by commas, or by semicolons or tabs, where prices may have
    decimal commas.
    """
    return _of_file(path, lambda frame: prices_of(frame, str(path), gaps, gone))


def frame_of(table: Any, what: str) -> tuple[Any, str]:
    """A frame of pandas, of a file or of any that narwhals knows, and what to call it."""
    import narwhals as nw

    if isinstance(table, (str, Path)):
        return _of_file(Path(table), lambda frame: frame), str(table)
    try:
        found = nw.from_native(table)
        found = found.collect() if isinstance(found, nw.LazyFrame) else found
        _ = found.columns
    except nw.exceptions.DuplicateError:
        raise AlphaError(f"{what} has two columns of the same name.") from None
    except TypeError:
        raise AlphaError(f"{what} is not a table: it is of type {type(table).__name__}.") from None
    return found.to_pandas(), what


def _of_file(path: Path, use: Callable[[Any], Any]) -> Any:
    """What is made of a file's frame; raises `AlphaError`."""
    if not path.exists():
        raise AlphaError(f"There is no file {path}.")
    parts = path.is_dir() and any(path.rglob("*.parquet"))
    if not path.is_file() and not parts:
        raise AlphaError(f"{path} is not a file.")
    if path.is_file() and path.stat().st_size == 0:
        raise AlphaError(f"The file {path} is empty.")
    reader = "read_parquet" if parts else READERS.get(path.suffix.lower())
    if reader is None:
        raise AlphaError(f"{path} is not a table that can be read: CSV, Parquet or Feather.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return use(_read(path, reader))
    except AlphaError:
        raise
    except ImportError as error:
        raise AlphaError(f"Reading {path} needs a package that is missing: {error}.") from None
    except Exception as error:  # of damaged files, readers raise whatever they stumble over
        reason = (str(error).splitlines() or [""])[0].strip().rstrip(".")
        reason = reason or type(error).__name__
        raise AlphaError(f"{path} is not a table that can be read: {reason}.") from None


def _read(path: Path, reader: str) -> Any:
    import pandas as pd

    options: dict[str, Any] = {}
    if reader == "read_csv":
        # pandas would rename the second of two columns
        names = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0].dropna()
        mark = next((mark for mark in SEPARATORS if mark in names.iloc[0]), None)
        if mark is not None:
            names, options = pd.Series(mark.join(names).split(mark)), {"sep": mark}
            rows = pd.read_csv(path, header=None, skiprows=1, nrows=9, dtype=str, **options)
            commas = rows.iloc[:, 1:].stack().astype(str).str.contains(r"^\s*\d+,\d+\s*$")
            options |= {"decimal": ","} if commas.any() else {}
        _check_names([name.strip() for name in names], str(path))
    if path.is_dir():
        return of_parts(path)
    frame = getattr(pd, reader)(path, **options)
    if reader == "read_csv":
        _check_cells(frame, path, options.get("sep", ","))
    return frame


def _check_cells(frame: Any, path: Path, separator: str) -> None:
    """Rows are as long as the header, from which names are known, and the last is whole.

    pandas would move all names by a column, and take half of a number for one.
    """
    import pandas as pd

    longer = not isinstance(frame.index, pd.RangeIndex)
    if longer and str(frame.columns[0]).strip().casefold() in WORDS:
        raise AlphaError(f"In {path}, rows have more cells than the header.")
    if path.suffix.lower() == ".csv" and _is_cut(path, separator, frame.shape[1]):
        raise AlphaError(
            f"{path} ends in the middle of row {len(frame)}: is it still being written?"
        )


def _is_cut(path: Path, separator: str, cells: int) -> bool:
    """Whether the last line is not ended, and has too few cells."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, 2) - LONGEST_LINE, 0))
        last = file.read().decode(errors="replace").splitlines(keepends=True)[-1]
    if last.endswith(("\n", "\r")):
        return False
    return len(next(csv.reader([last], delimiter=separator))) < cells


def prices_of(frame: Any, source: str = "table", gaps: bool = False, gone: bool = False) -> Prices:
    """Prices from a data frame; of pandas, an index of dates is used.

    With `gaps`, prices may be missing: a stock was listed later, paused, or vanished. With `gone`,
    as on days that go on with another table, a column may have none at all.
    """
    import narwhals as nw

    try:
        table = nw.from_native(frame)
        if isinstance(table, nw.LazyFrame):  # of polars; or a relation of DuckDB
            table = table.collect()
        names = list(table.columns)
    except nw.exceptions.DuplicateError:
        raise AlphaError(f"{source} has two columns of the same name.") from None
    except TypeError:
        raise AlphaError(
            f"{source} is not a table: it is of type {type(frame).__name__}."
        ) from None
    if any(isinstance(name, tuple) for name in names):
        raise AlphaError(
            f"The columns of {source} have names of several levels, such as {names[0]}: choose the "
            "closes, by frame['Close'] for instance."
        )
    _check_names([str(name).strip() for name in names], source)
    if not table.shape[0]:
        raise AlphaError(f"{source} has no rows.")
    long = long_columns([str(name) for name in names])
    if long:
        return prices_of(widened(table, long, source), source, gaps, gone)
    columns = {str(column.name).strip(): column for column in table.iter_columns()}
    index, days = nw.maybe_get_index(table), None
    if index is not None:
        days = _days_of_index(index, source)
    if days is None and columns:
        first = next(iter(columns))
        days = _days_of_column(columns[first], first, source)
        if days is not None:
            columns.pop(first)
        elif index is not None:
            _check_rows(index.tolist(), source)
    _check_order(days or (), source)
    rows = tuple(str(i) for i in range(1, table.shape[0] + 1))
    return Prices(days or rows, tuple(columns), _values(columns, source, gaps, gone), source)


def _check_names(names: Sequence[str], source: str) -> None:
    """No name may stand for two columns."""
    (name, count), *_ = [*Counter(names).most_common(1), ("", 0)]
    if count > 1:
        raise AlphaError(f"{source} has two columns of the same name: {name!r}.")


def _days_of_index(index: Any, source: str) -> tuple[str, ...] | None:
    """None for numbers that are no dates."""
    if index.nlevels > 1:
        raise AlphaError(
            f"The index of {source} has {index.nlevels} levels: only dates can be read."
        )
    where = f"The index of {source}"
    if index.dtype.kind not in "iuf":
        return dates_of(index.tolist(), where)
    return plain_dates(index.to_numpy(np.float64))


def _days_of_column(column: Any, name: str, source: str) -> tuple[str, ...] | None:
    """None for prices. Row numbers are as good as no dates, but no prices either."""
    where = f"The first column of {source}, {name!r}"
    if not column.dtype.is_numeric():
        days = dates_of(column.to_list(), where)
    else:
        found = numbers(column)
        if not are_days(found, name):
            return None
        days = dates_of_numbers(found, where)
    return days or tuple(str(i) for i in range(1, len(column) + 1))


def _values(columns: Mapping[str, Any], source: str, gaps: bool, gone: bool) -> np.ndarray:
    """Prices (days, stocks); each one a positive number, or NaN where gaps are allowed."""
    if len(columns) < 2:
        raise AlphaError(
            f"{source} needs a column of prices for each of two stocks or more; it has "
            f"{len(columns)}."
        )
    for name, column in columns.items():
        if gaps and column.is_null().all():
            if not gone:
                raise AlphaError(f"In {source}, column {name!r} has no price at all.")
        elif not column.dtype.is_numeric():
            raise AlphaError(f"In {source}, column {name!r}, {not_a_number(column)}.")
    values = np.column_stack([numbers(column) for column in columns.values()])
    faults = [(np.isnan(values) & (not gaps), "is missing"), *no_prices(values)]
    for condition, what in faults:
        if condition.any():
            column = int(condition.any(axis=0).argmax())
            row = int(condition[:, column].argmax()) + 1
            name = list(columns)[column]
            raise AlphaError(f"In {source}, column {name!r}, row {row}: a price {what}.")
    return values


def _check_rows(numbers: Sequence[float], source: str) -> None:
    """An index of row numbers is all that tells the order, if there are no dates."""
    for row, (before, number) in enumerate(pairwise(numbers), 2):
        if not number > before:
            raise AlphaError(
                f"In {source}, row {row}: the index does not rise ({before} to {number}), and no "
                "dates tell the order."
            )


def _check_order(days: Sequence[str], source: str) -> None:
    for row, (before, day) in enumerate(pairwise(days), 2):
        if day <= before and not day.isdecimal():
            falls = all(later < earlier for earlier, later in pairwise(days))
            more = ": the newest day comes first, turn the rows round" if falls else ""
            raise AlphaError(f"In {source}, row {row}: {day} does not come after {before}{more}.")
