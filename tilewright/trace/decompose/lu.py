"""LU with partial pivoting: a column at a time, the rest updated by an outer product."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def lu(matrix: Array) -> tuple[Array, Array, Array]:
    """Factors of an (m, n) matrix in one array, the pivots, and the permutation of rows."""
    m, n = matrix.shape
    rows, columns = lax.iota(jnp.int32, m), lax.iota(jnp.int32, n)

    def eliminate(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        a, pivots = state
        column = lax.dynamic_index_in_dim(a, k, 1, keepdims=False)
        size = jnp.where(rows >= k, jnp.abs(column), -jnp.inf)
        pivot = jnp.argmax(size).astype(jnp.int32)
        a = _swap(a, k, pivot)
        column = lax.dynamic_index_in_dim(a, k, 1, keepdims=False)
        upper = lax.dynamic_index_in_dim(a, k, 0, keepdims=False)
        head = lax.dynamic_index_in_dim(upper, k, 0, keepdims=False)
        below = (rows > k) & (head != 0)
        factors = jnp.where(below, column / head, column)
        a = lax.dynamic_update_index_in_dim(a, factors, k, 1)
        inside = (rows > k)[:, None] & (columns > k)[None, :]
        a = jnp.where(inside, a - factors[:, None] * upper[None, :], a)
        return a, lax.dynamic_update_index_in_dim(pivots, pivot, k, 0)

    steps = min(m, n)
    start = (matrix, jnp.zeros(steps, jnp.int32))
    factors, pivots = lax.fori_loop(0, steps, eliminate, start)
    return factors, pivots, permutation_of(pivots, m)


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
