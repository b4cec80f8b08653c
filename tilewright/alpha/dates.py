"""The days of a table, in whatever form they come.

In: the values of an index or of a first column. Out: ISO dates, one a row, or None where the values
are prices or plain row numbers. A time of day is dropped, and so is its zone: the day is the one on
the wall of whoever wrote it, be it midnight in Tokyo or New York across a clock change.

Numbers are days when they are dates like 20220607, or times since 1970 (seconds to nanoseconds, by
their size; their day is that of UTC), or rise by 1 from row to row.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError

WORDS = ("date", "day", "time", "timestamp", "datetime")
"""A column of such a name holds days, whatever its numbers are."""
ZONE = re.compile(r"(?<=\d)\s*(Z|UTC|[+-]\d\d:?\d\d)$")
"""At the end of a time."""
SINCE_1970 = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EARLIEST, LATEST = -2.3e9, 4.2e9
"""Seconds since 1970: from 1897 to 2103."""
MOSTLY = 0.95
YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d\d?)[-/.](\d\d?)(?!\d)")
"""Then the month, then the day."""
DOTTED = re.compile(r"\d\d?\.\d\d?\.")
"""Nobody writes a month before a day like this."""


def dates_of(values: Sequence[Any], where: str) -> tuple[str, ...] | None:
    """ISO dates of a column or index that holds days, or None for row numbers.

    Raises `AlphaError`, which begins with `where`, for values that are neither.
    """
    if all(_is_number(value) for value in values):
        numbers = np.array(values, np.float64)
        return None if _count_rows(numbers) else dates_of_numbers(numbers, where)
    found: list[str | None] = [_written(value) for value in values]
    texts = [row for row, value in enumerate(values) if isinstance(value, str)]
    if texts:
        words = [str(values[row]).strip() for row in texts]
        if len(texts) == len(values) and all(word.isdecimal() for word in words):
            return dates_of([int(word) for word in words], where)
        for row, day in zip(texts, _parsed(words, texts, where), strict=True):
            found[row] = day
    for row, (value, day) in enumerate(zip(values, found, strict=True), 1):
        if _is_missing(value):
            raise AlphaError(f"{where}, row {row}: the date is missing.")
        if day is None and row == 1:
            raise AlphaError(f"{where} holds neither numbers nor dates: row 1 is {value!r}.")
        if day is None:
            raise AlphaError(f"{where}, row {row}: {value!r} is not a date.")
    return tuple(str(day) for day in found)


def are_days(numbers: np.ndarray, name: str) -> bool:
    """Whether a first column of numbers holds days or row numbers, not prices."""
    if name.strip().casefold() in WORDS:
        return True
    return _is_calendar(numbers) or always_rises(numbers)


def always_rises(numbers: np.ndarray) -> bool:
    """Whole numbers that rise, or fall, from nearly every row to the next, as no price does."""
    if len(numbers) < 3 or not np.isfinite(numbers).all() or (numbers % 1).any():
        return False
    steps = np.diff(numbers)
    return max((steps > 0).mean(), (steps < 0).mean()) >= MOSTLY


def dates_of_numbers(numbers: np.ndarray, where: str) -> tuple[str, ...] | None:
    """The same as `dates_of`, for numbers."""
    if _count_rows(numbers):
        return None
    found = plain_dates(numbers)
    if found:
        return found
    raise AlphaError(
        f"{where} holds numbers from {numbers[0]:.15g} to {numbers[-1]:.15g}, which are neither "
        "dates (20220607), nor seconds since 1970, nor row numbers, nor prices."
    )


def plain_dates(numbers: np.ndarray) -> tuple[str, ...] | None:
    """ISO dates of numbers that are dates or times, else None."""
    if _is_calendar(numbers):
        return tuple(
            f"{n // 10000:04d}-{n // 100 % 100:02d}-{n % 100:02d}" for n in _whole(numbers)
        )
    for second in SINCE_1970.values():
        if 1e8 * second < numbers.max() < LATEST * second and numbers.min() > EARLIEST * second:
            moments = (numbers // second).astype("int64").astype("datetime64[s]")
            return tuple(str(day) for day in moments.astype("datetime64[D]"))
    return None


def _count_rows(numbers: np.ndarray) -> bool:
    return not _is_calendar(numbers) and bool((np.diff(numbers) == 1).all())


def _is_calendar(numbers: np.ndarray) -> bool:
    """Whether all are dates such as 20220607."""
    if not len(numbers) or not ((numbers > 18500000) & (numbers < 22000000)).all():
        return False
    if (numbers % 1).any():
        return False
    try:
        for n in _whole(numbers):
            date(n // 10000, n // 100 % 100, n % 100)
    except ValueError:
        return False
    return True


def _whole(numbers: np.ndarray) -> list[int]:
    return numbers.astype(np.int64).tolist()


def _written(value: Any) -> str | None:
    """The day of one date, time or period; None for anything else."""
    if _is_missing(value):
        return None
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[D]"))
    if hasattr(value, "end_time"):  # a pandas Period, known when it ends
        value = value.end_time
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()[:10]
    return None


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NaTType", "NAType") or value != value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _parsed(texts: list[str], rows: list[int], where: str) -> list[str | None]:
    """Days of texts in rows, None for what is none; raises `AlphaError` where they may be read two
    ways."""
    plain = [ZONE.sub("", text) if ":" in text else text for text in texts]
    plain = [YEAR_FIRST.sub(lambda m: f"{m[1]}-{m[2]:0>2}-{m[3]:0>2}", text) for text in plain]
    if all(YEAR_FIRST.match(text) for text in plain):
        return _year_first(plain)
    found = [_read(plain, None, day_first) for day_first in (False, True)]
    month_first, day_first = found
    if all(month_first) and all(day_first) and month_first != day_first:
        if all(DOTTED.match(text) for text in plain):
            return day_first
        row = next(i for i, (a, b) in enumerate(zip(*found, strict=True)) if a != b)
        raise AlphaError(
            f"{where}, row {rows[row] + 1}: {texts[row]!r} may be {month_first[row]} or "
            f"{day_first[row]}, and no other row tells: write {day_first[row]}, say."
        )
    return max(_read(plain, "ISO8601", False), *found, key=lambda days: sum(map(bool, days)))


def _year_first(texts: list[str]) -> list[str | None]:
    """Of texts that begin with a day, whatever time of day comes after; ISO, or as the first is."""
    found = _read(texts, "ISO8601", False)
    if all(found):
        return found
    others = _read(texts, None, False)
    return [
        day or (other if other == text[:10] else None)
        for text, day, other in zip(texts, found, others, strict=True)
    ]


def _read(texts: list[str], written: str | None, day_first: bool) -> list[str | None]:
    """By one reading; without a form, as the first of them is."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            days = pd.to_datetime(
                pd.Series(texts), errors="coerce", format=written, dayfirst=day_first
            )
        except (ValueError, TypeError, OverflowError):
            return [None] * len(texts)
        return [None if day is pd.NaT else day.isoformat()[:10] for day in days]
