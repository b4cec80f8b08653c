"""Columns of numbers, and which of them are no prices.

In: columns of narwhals. Out: float64, or what is wrong, in words.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def numbers(column: Any) -> np.ndarray:
    """A numeric column as float64; what is missing becomes NaN."""
    try:
        return column.to_numpy().astype(np.float64)
    except (TypeError, ValueError):  # missing values of nullable types
        return np.array([_number(value) for value in column.to_list()], np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def not_a_number(column: Any) -> str:
    """Where a column that does not hold numbers says so first."""
    for row, value in enumerate(column.to_list(), 1):
        if value is not None and value == value and np.isnan(_number(value)):
            return f"row {row}: {value!r} is not a price"
    return f"no prices: it is of type {column.dtype}"


def no_prices(values: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Which numbers cannot be prices, and what is wrong with them; missing ones may be gaps."""
    return [(np.isinf(values), "is infinite"), (values <= 0, "is not above zero")]
