"""Matrices of 8-bit integers that stand where a matrix of float32 does: `x @ W` is all they do.

In: a matrix (k, n) of float32. Out: a `Quantised` of it, a pytree. Each column has a scale of its
own (the weights of one output: a row, as PyTorch keeps them), and numbers up to +-127:

    W[:, j] ~ scale[j] * values[:, j]         scale[j] = max |W[:, j]| / 127

Rows that meet it are rounded to 16 or 8 bits, to +-32767 or +-127 times a scale: one of each row as
it comes, or a fixed one, where it is known `within` which bound all of them lie (a state of an LSTM
is within 1). Sums are of integers, in 32 bits, so they are exact: up to 512 terms of 16 bits are
summed before they become float32; sums of such chunks are then added in pairs.

Rounding adds an error of at most half a step to each number: of W half a scale, of a row half of
its largest number over 32767 or 127.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any
MOST = {"int8": 127, "int16": 32767}
CHUNK = {"int8": 2**31 // 127**2, "int16": 512}
"""Terms whose sum fits 32 bits, by the type of rows: 512 x 127 x 32767 < 2^31."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "scale"),
    meta_fields=("rows", "within"),
)
@dataclass(frozen=True)
class Quantised:
    """`values` (k, n) int8, `scale` (n,) float32; `rows` "int16" or "int8", and their bound."""

    values: Array
    scale: Array
    rows: str = field(default="int16")
    within: float | None = None

    __array_ufunc__ = None  # NumPy leaves `x @ W` to us

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Quantised:
        """Some rows and columns."""
        return Quantised(self.values[index], self.scale[index[1]], self.rows, self.within)

    def __rmatmul__(self, x: Array) -> Array:
        """(..., k) times (k, n), in float32."""
        most = MOST[self.rows]
        if self.within is None:
            top = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
            step, steps = top * (1 / most), most / jnp.where(top > 0, top, 1)
        else:
            step, steps = self.within / most, most / self.within
        rounded = jnp.round(x * steps).astype(self.rows)
        return _product(rounded, self.values, CHUNK[self.rows]) * step * self.scale

    def matrix(self) -> np.ndarray:
        """What it stands for, in float32."""
        return np.asarray(self.values, np.float32) * np.asarray(self.scale)


def quantised(W: Array, rows: str = "int16", within: float | None = None) -> Quantised:
    """A matrix (k, n), rounded to the nearest."""
    W = np.asarray(W, np.float32)
    top = np.max(np.abs(W), axis=0, initial=0)
    scale = np.where(top > 0, top / 127, 1).astype(np.float32)
    return Quantised(np.rint(W / scale).astype(np.int8), scale, rows, within)


def _product(x: Array, values: Array, chunk: int) -> Array:
    """(..., k) times (k, n) of integers, as float32."""
    sums = [
        _exact(x[..., i : i + chunk], values[i : i + chunk]).astype(jnp.float32)
        for i in range(0, values.shape[0], chunk)
    ]
    while len(sums) > 1:
        pairs = [a + b for a, b in zip(sums[::2], sums[1::2], strict=False)]
        sums = pairs + sums[len(sums) // 2 * 2 :]
    return sums[0]


def _exact(x: Array, values: Array) -> Array:
    contracted = (((x.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(x, values, contracted, preferred_element_type=jnp.int32)
