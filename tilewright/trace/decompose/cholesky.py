"""Cholesky factors of large matrices: by halves, so that most of the work is products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def dot(left: Array, right: Array) -> Array:
    """A matrix product in the full precision of its operands, whatever the user's default."""
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def halved(n: int) -> int:
    """Where a dimension is cut: in the middle, at whole vectors."""
    return -(-n // 32) * 16


def cholesky(matrix: Array) -> Array:
    """The lower factor of a symmetric (n, n) matrix, of which the lower triangle is read.

    Its triangle is NaN where the matrix is not positive definite.
    """
    n, half = matrix.shape[0], halved(matrix.shape[0])
    first = lax.linalg.cholesky(matrix[:half, :half], symmetrize_input=False)
    below = lax.linalg.triangular_solve(
        first, matrix[half:, :half], left_side=False, lower=True, transpose_a=True
    )
    rest = matrix[half:, half:] - dot(below, below.T)
    last = lax.linalg.cholesky(rest, symmetrize_input=False)
    factor = jnp.block([[first, jnp.zeros((half, n - half), matrix.dtype)], [below, last]])
    failed = jnp.isnan(last[n - half - 1, 0])
    return jnp.where(failed, jnp.tril(jnp.full_like(factor, jnp.nan)), factor)
