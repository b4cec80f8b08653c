"""Settings of any kind: what is a number, and errors that name a setting and what it was given."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import ArgumentError

MOST = 2**31 - 1
"""Whole numbers are of 32 bits in programs."""


def is_number(value: Any) -> bool:
    """Whether it is a real one, and not a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, and not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int, most: int | None = MOST) -> None:
    """Raises `ArgumentError` unless it is a whole number from `least` to `most` (None: on)."""
    if not is_whole(value) or value < least:
        raise ArgumentError(f"{name} must be a whole number from {least} on, not {value!r}.")
    if most is not None and int(value) > most:
        raise ArgumentError(f"{name} must be at most {most:,}, not {int(value):,}.")


def between(name: str, value: Any, low: float, high: float, open_: bool = False) -> None:
    """Raises `ArgumentError` unless it is a number within these; `open_`: and above `low`."""
    sound = is_number(value) and low <= value <= high
    if not sound or (open_ and value == low):
        least = "above" if open_ else "from"
        raise ArgumentError(f"{name} must be {least} {low:g} to {high:g}, not {value!r}.")


def one_of(name: str, value: Any, known: tuple) -> None:
    """Raises `ArgumentError` unless it is one of those known."""
    if value not in known:
        raise ArgumentError(f"{name} must be one of {known}, not {value!r}.")
