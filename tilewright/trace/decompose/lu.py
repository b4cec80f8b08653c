"""LU factors of large matrices: by halves of the columns, so that most of the work is products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.cholesky import dot, halved

Array = jax.Array


def lu(matrix: Array) -> tuple[Array, Array, Array]:
    """Factors of an (m, n) matrix in one array, the pivots, and the permutation of rows.

    The left half is factored, with all its rows; then what it leaves of the right half.
    """
    m, n = matrix.shape
    half = halved(min(m, n))
    left, pivots, order = lax.linalg.lu(matrix[:, :half])
    right = matrix[order, half:]
    above = lax.linalg.triangular_solve(
        left[:half], right[:half], left_side=True, lower=True, unit_diagonal=True
    )
    rest = right[half:] - dot(left[half:], above)
    last, more_pivots, more_order = lax.linalg.lu(rest)
    below = jnp.concatenate([left[half:][more_order], last], 1)
    factors = jnp.concatenate([jnp.concatenate([left[:half], above], 1), below])
    pivots = jnp.concatenate([pivots, half + more_pivots])
    return factors, pivots, jnp.concatenate([order[:half], order[half:][more_order]])


def _swap(array: Array, i: Array, j: Array) -> Array:
    """Exchange two rows."""
    first, second = (lax.dynamic_index_in_dim(array, index, 0) for index in (i, j))
    array = lax.dynamic_update_index_in_dim(array, second, i, 0)
    return lax.dynamic_update_index_in_dim(array, first, j, 0)


def permutation_of(pivots: Array, size: int) -> Array:
    """The permutation that exchanging row i with row pivots[i], for each i in turn, makes."""

    def exchange(i: Array, order: Array) -> Array:
        return _swap(order, i, lax.dynamic_index_in_dim(pivots, i, 0, keepdims=False))

    return lax.fori_loop(0, pivots.shape[0], exchange, lax.iota(jnp.int32, size))
