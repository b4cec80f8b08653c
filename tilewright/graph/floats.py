"""Floats as machines keep them: denormals are zeros, 16-bit floats are computed in float32."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tilewright.graph.ir import numpy_dtype

Array = Any
"""A NumPy array or scalar."""

SIXTEEN = frozenset(("bfloat16", "float16"))
FLOATS = SIXTEEN | {"float32", "float64"}
TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}
ROUNDS_TO_TINY = {"float32": 2.0**-126 * (1 - 2.0**-25), "float64": 2.0**-1022}


def name_of(array: np.ndarray) -> str:
    """The dtype's name, as graphs spell it."""
    return _spelled(array.dtype)


@cache
def _spelled(dtype: np.dtype) -> str:
    """NumPy puts a name together at each call."""
    return dtype.name


def flush(array: np.ndarray) -> np.ndarray:
    """Denormals become zeros of their sign; 16-bit floats come out as float32.

    What has none may come out as it is: nobody writes to it.
    """
    array = np.asarray(array)
    name = name_of(array)
    if name in SIXTEEN:
        array, name = array.astype(np.float32), "float32"
    if name not in TINY:
        return array
    small = np.abs(array) < TINY[name]
    return np.where(small, np.copysign(array.dtype.type(0), array), array) if small.any() else array


def widen(array: np.ndarray) -> np.ndarray:
    """A float array without its denormals, as float64."""
    return flush(array).astype(np.float64)


def narrow(wide: Array, dtype: str) -> np.ndarray:
    """Round float64 to `dtype` as the hardware does: tiny results become zeros of their sign."""
    wide = np.asarray(wide, np.float64)
    single = "float64" if dtype == "float64" else "float32"
    small = np.abs(wide) < ROUNDS_TO_TINY[single]
    wide = np.where(small, np.copysign(0.0, wide), wide) if small.any() else wide
    return wide.astype(single).astype(numpy_dtype(dtype), copy=False)


def bits_of(array: np.ndarray) -> np.ndarray:
    """The same bytes as unsigned integers."""
    array = np.asarray(array)
    return array.view(f"uint{8 * array.dtype.itemsize}")
