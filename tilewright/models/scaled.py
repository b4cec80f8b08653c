"""Matrices that stand behind a scaler: `x @ W` is all they do.

In: a matrix (k, n) for scaled rows, the scaler's offset and scale. Out: a `Scaled`, a pytree, for
rows as they come:

    x @ Scaled  =  ((x - offset) / scale) @ matrix

In float32 a scaler is part of the weights. Where rows are rounded to few bits, each by its largest
number, features of other sizes would be lost: there they are scaled before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

Array = Any


@partial(
    jax.tree_util.register_dataclass, data_fields=("offset", "factor", "matrix"), meta_fields=()
)
@dataclass(frozen=True)
class Scaled:
    """`offset` (k,) and `factor` (k,), 1 / scale, in float32; `matrix` (k, n) of any kind."""

    offset: Array
    factor: Array
    matrix: Array

    __array_ufunc__ = None  # NumPy leaves `x @ W` to us

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape

    def __rmatmul__(self, x: Array) -> Array:
        """(..., k) times (k, n), in float32."""
        return ((x - self.offset) * self.factor) @ self.matrix
