"""What each movement operation means, on NumPy arrays. No element's bits change.

`MOVEMENT_MEANING[op](*arrays, **params)` returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.graph.ir import numpy_dtype
from tilewright.graph.packed import pack

Shape = Sequence[int]


def constant(*, value: np.ndarray) -> np.ndarray:
    return np.asarray(value)


def iota(*, dimension: int, shape: Shape, dtype: str) -> np.ndarray:
    """The index along a dimension."""
    index = np.arange(shape[dimension]).astype(numpy_dtype(dtype))
    along = [1] * len(shape)
    along[dimension] = -1
    return np.broadcast_to(index.reshape(along), tuple(shape))


def broadcast(array: np.ndarray, *, shape: Shape, dimensions: Shape) -> np.ndarray:
    """Operand dimension i becomes dimensions[i], which may come in any order."""
    order = sorted(range(array.ndim), key=lambda i: dimensions[i])
    aligned = [1] * len(shape)
    for i in order:
        aligned[dimensions[i]] = array.shape[i]
    return np.broadcast_to(array.transpose(order).reshape(aligned), tuple(shape))


def reshape(array: np.ndarray, *, shape: Shape) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(tuple(shape))


def transpose(array: np.ndarray, *, permutation: Shape) -> np.ndarray:
    return array.transpose(tuple(permutation))


def slice_(array: np.ndarray, *, start: Shape, limit: Shape, stride: Shape) -> np.ndarray:
    return array[tuple(map(slice, start, limit, stride))]


def reverse(array: np.ndarray, *, dimensions: Shape) -> np.ndarray:
    return np.flip(array, tuple(dimensions))


def pad(
    array: np.ndarray, value: np.ndarray, *, low: Shape, high: Shape, interior: Shape
) -> np.ndarray:
    """Spread by `interior`, then pad or crop each end."""
    spread = tuple(
        n + max(n - 1, 0) * inner for n, inner in zip(array.shape, interior, strict=True)
    )
    grown = [max(0, a) + n + max(0, b) for a, n, b in zip(low, spread, high, strict=True)]
    result = np.full(grown, value, array.dtype)
    inside = [
        slice(max(0, a), max(0, a) + n, i + 1)
        for a, n, i in zip(low, spread, interior, strict=True)
    ]
    result[tuple(inside)] = array
    return result[
        tuple(
            slice(max(0, -a), max(0, n + min(0, b)))
            for a, n, b in zip(low, grown, high, strict=True)
        )
    ]


def concatenate(*arrays: np.ndarray, dimension: int) -> np.ndarray:
    return np.concatenate(arrays, axis=dimension)


def copy(array: np.ndarray) -> np.ndarray:
    return array


MOVEMENT_MEANING: dict[str, Callable[..., Any]] = {
    "constant": constant,
    "iota": iota,
    "broadcast": broadcast,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_,
    "reverse": reverse,
    "pad": pad,
    "concatenate": concatenate,
    "copy": copy,
    "pack": pack,
}
