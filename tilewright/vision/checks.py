"""Settings that are numbers: what is one, and errors that name what is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import ArgumentError


def is_number(value: Any) -> bool:
    """Whether it is a real one, and not a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, and not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_whole(name: str, value: Any, least: int) -> None:
    """Raises `ArgumentError` for what is no whole number from `least` on."""
    if not is_whole(value) or value < least:
        raise ArgumentError(f"{name} must be a whole number of {least} or more, not {value!r}.")
