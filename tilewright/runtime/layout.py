"""Where Python keeps what `tw_apply` (`call_text.py`) reads: fields of tuples and of arrays.

In: the types of a program's leaves. Out: the table `expected` that they are compared with, or None
where this Python's layout is not the one we know: then calls check their arguments in Python.

NumPy compiles the layout of an array into every extension (`PyArrayObject_fields`): behind the
object's head come data, rank, shape, strides, base, dtype and flags. What Python itself puts first
is read off its own types, and all of it is tried on an array before it is relied on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from math import prod

import numpy as np

from tilewright.graph.ir import Type

HEAD = object.__basicsize__
"""Bytes of any object before its own fields; the last word is its type."""

ITEMS = tuple.__basicsize__
"""Where a tuple's items begin."""

Table = ctypes.Array[ctypes.c_int64]


def expected(types: Sequence[Type], finite: bool = False) -> Table | None:
    """Layout, then of each leaf dtype, rank, how many floats must be finite, and shape."""
    if not is_known():
        return None
    words = [id(np.ndarray), ITEMS, HEAD]
    for kind in types:
        floats = prod(kind.shape) if finite and kind.dtype == "float32" else 0
        words += [id(kind.numpy), len(kind.shape), floats, *kind.shape]
    return (ctypes.c_int64 * len(words))(*words)


@cache
def is_known() -> bool:
    """Whether an array lies in memory as we think it does."""
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    pair, turned = (array, None), array.T
    if _words(pair, ITEMS, 1) != [id(array)] or _words(array, HEAD - 8, 1) != [id(np.ndarray)]:
        return False
    data, rank, shape, _, _, dtype, flags = _words(array, HEAD, 7)
    return (
        data == array.__array_interface__["data"][0]
        and rank & 0xFFFFFFFF == 2
        and dtype == id(np.dtype(np.float32))
        and flags & 0x101 == 0x101
        and _words(turned, HEAD, 7)[6] & 0x101 == 0x100
        and list((ctypes.c_int64 * 2).from_address(shape)) == [2, 3]
    )


def _words(thing: object, start: int, count: int) -> list[int]:
    """Of an object, from a byte on."""
    return list((ctypes.c_int64 * count).from_address(id(thing) + start))
