"""Cholesky factor: column by column, each from the columns before it (left-looking)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def dot(left: Array, right: Array) -> Array:
    """A matrix product in the full precision of its operands, whatever the user's default."""
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def cholesky(matrix: Array) -> Array:
    """The lower factor of a symmetric (n, n) matrix, of which the lower triangle is read.

    All NaN when the matrix is not positive definite, as in JAX.
    """
    n = matrix.shape[0]
    rows = lax.iota(jnp.int32, n)

    def column(j: Array, factor: Array) -> Array:
        before = lax.dynamic_index_in_dim(factor, j, 0, keepdims=False)
        rest = lax.dynamic_index_in_dim(matrix, j, 1, keepdims=False) - dot(factor, before)
        pivot = lax.dynamic_index_in_dim(rest, j, 0, keepdims=False)
        pivot = jnp.where(pivot > 0, pivot, jnp.nan)
        values = jnp.where(rows >= j, rest / jnp.sqrt(pivot), 0)
        return lax.dynamic_update_index_in_dim(factor, values, j, 1)

    factor = lax.fori_loop(0, n, column, jnp.zeros_like(matrix))
    failed = jnp.isnan(jnp.sum(factor))
    return jnp.where(failed, jnp.nan, factor)
