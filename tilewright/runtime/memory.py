"""Memory on cache-line boundaries, and the address of an array's data.

An arena is a NumPy byte array, so that it is freed like any other object. What stays and is read
again and again, as weights are, lies on huge pages where the system has them: a net of 30 MB is
read a tenth faster than on pages of 4 KB, whose addresses a core cannot all remember.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from tilewright.codegen.context import LINE

_from_buffer: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer
_address_of = ctypes.addressof
_BYTE = np.dtype(np.uint8)
HUGE, LEAST = 2 << 20, 1 << 18
"""Bytes of a huge page, on most systems; so many that one is worth having: pages of 4 KB lie here
and there, and some of what would just fit a cache then wants the same of its lines (an LSTM of 256
units on a Zen 4: up to a tenth of its time, from one start to the next)."""


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


def lasting(nbytes: int) -> np.ndarray:
    """Bytes for what stays, all of them zero or undefined: on huge pages, if they are as many."""
    if nbytes < LEAST or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(nbytes, _BYTE)
    size = -(-nbytes // HUGE) * HUGE
    memory = mmap.mmap(-1, size + HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory, _BYTE)
    start = -raw.ctypes.data % HUGE
    return raw[start : start + nbytes]
