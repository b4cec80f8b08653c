"""Memory on cache-line boundaries, and the address of an array's data.

An arena is a NumPy byte array, so that it is freed like any other object.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.codegen.context import LINE

_from_buffer: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer
_address_of = ctypes.addressof
_BYTE = np.dtype(np.uint8)


def address(array: np.ndarray) -> int:
    """Where the data of a C-contiguous array begin; they are there as long as the array is."""
    try:
        return _address_of(_from_buffer(array))
    except (TypeError, ValueError, BufferError):  # read-only, empty, or a dtype of ml_dtypes
        if not array.flags.c_contiguous:
            raise ValueError("Only arrays without gaps have one address.") from None
        return array.__array_interface__["data"][0]


def aligned(shape: tuple[int, ...], dtype: np.dtype, nbytes: int) -> tuple[np.ndarray, int]:
    """A new array whose data begin on a cache line, and their address. Its values are undefined."""
    raw = np.empty(nbytes + LINE, _BYTE)
    start = _address_of(_from_buffer(raw))
    offset = -start % LINE
    return np.ndarray(shape, dtype, raw, offset), start + offset


def arena(nbytes: int) -> tuple[np.ndarray, int]:
    """Bytes on a cache line, and their address."""
    return aligned((nbytes,), _BYTE, nbytes)
