"""Matrices of bfloat16 that stand where a matrix of float32 does: `x @ W` is all they do.

In: a matrix (k, n). Out: a `Rounded` of it, a pytree. What meets it is rounded to bfloat16 too, so
that hosts which multiply pairs of such numbers do so (`tilewright.compile(law="pairs")`); sums are
in float32. A weight alone in bfloat16 needs none of this: it is widened where it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any


@partial(jax.tree_util.register_dataclass, data_fields=("values",), meta_fields=())
@dataclass(frozen=True)
class Rounded:
    """`values` (k, n) bfloat16."""

    values: Array

    __array_ufunc__ = None  # NumPy leaves `x @ W` to us

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Rounded:
        """Some rows and columns."""
        return Rounded(self.values[index])

    def __rmatmul__(self, x: Array) -> Array:
        """(..., k) times (k, n), in float32."""
        contracted = (((x.ndim - 1,), (0,)), ((), ()))
        rows = x.astype(jnp.bfloat16)
        return lax.dot_general(rows, self.values, contracted, preferred_element_type=jnp.float32)


def rounded(W: Array) -> Rounded:
    """A matrix (k, n), rounded to the nearest."""
    return Rounded(np.asarray(W).astype(jnp.bfloat16))
