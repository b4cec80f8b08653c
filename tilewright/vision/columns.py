"""Columns that come beside images: labels, groups, times. One value an image, none missing.

In: what a user has (arrays, lists, series). Out: an array that can be sorted. Imports no JAX.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError

DATE = re.compile(r"\d{4}(?!\d)")
"""How a time in words begins: numbers of seconds would be taken for years."""


def column(name: str, values: Any, count: int) -> np.ndarray:
    """(count,). Raises `ArgumentError` for another number of them, and as `complete` does."""
    found = np.asarray(values)
    if found.shape != (count,):
        raise ArgumentError(f"{name} must hold one value for each of {count} images.")
    return complete(name, found)


def complete(name: str, found: np.ndarray) -> np.ndarray:
    """The same array. Raises `ArgumentError` for a value that is missing, or of another kind."""
    values = found.tolist() if found.dtype == object else found
    missing = next((i for i, value in enumerate(values) if _is_missing(value)), None)
    if missing is not None:
        raise ArgumentError(f"{name} has no value for image {missing}.")
    try:
        np.unique(found)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values})
        raise ArgumentError(
            f"{name} must hold values of one kind, not {' and '.join(kinds)}."
        ) from None
    return found


def moments(name: str, values: Any, count: int) -> np.ndarray:
    """Times (count,) in an order of their own: numbers, dates, or dates in words."""
    found = column(name, values, count)
    if not all(isinstance(value, str) for value in found.tolist()):
        return found
    wrong = next((text for text in found.tolist() if not is_date(text)), None)
    if wrong is not None:
        raise ArgumentError(f"{name} must be numbers or dates like 2024-03-01, not {wrong!r}.")
    return found.astype("datetime64[s]")


def is_date(text: str) -> bool:
    """Whether it is a time like 2024-03-01 or 2024-03-01T12:00."""
    try:
        return bool(DATE.match(text)) and not np.isnat(np.datetime64(text))
    except ValueError:
        return False


def _is_missing(value: Any) -> bool:
    """None, and what does not equal itself: NaN, NaT, and pandas' NA, which will not say."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True
