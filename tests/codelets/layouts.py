"""Random data and random layouts for tests of codelets."""

from __future__ import annotations

import numpy as np

from tilewright.codelets.base import Operand
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import dense_strides


def dense(array: np.ndarray) -> Operand:
    return Operand(array.dtype.name, array.shape, dense_strides(array.shape))


def strided(generator: np.random.Generator, array: np.ndarray) -> Operand:
    """Dimensions in any order in memory, with gaps, some of them backwards."""
    strides, step = [0] * array.ndim, int(generator.choice([1, 1, 1, 2]))
    for dimension in generator.permutation(array.ndim):
        strides[dimension] = step * int(generator.choice([1, 1, -1]))
        step = step * max(array.shape[dimension], 1) + int(generator.choice([0, 0, 3]))
    return Operand(array.dtype.name, array.shape, tuple(strides))


def values(generator: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Small whole numbers, of which sums and products are exact even in 16-bit floats."""
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    low = 0 if dtype.startswith("u") else -3
    return np.asarray(generator.integers(low, 4, shape)).astype(numpy_dtype(dtype))


def same_bits(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal dtypes, shapes and values; zeros by sign, every NaN like every other."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    unequal = _bits(actual) != _bits(expected)
    if actual.dtype.kind not in "biu":
        unequal &= ~((actual != actual) & (expected != expected))
    assert not unequal.any(), f"{actual[unequal][:5]} for {expected[unequal][:5]}"


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(f"uint{8 * array.itemsize}").reshape(array.shape)
