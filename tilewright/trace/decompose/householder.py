"""Householder reflectors, one column at a time: a matrix is reduced, a product is made of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.cholesky import dot

Array = jax.Array


def reduce(matrix: Array, first: Array | int, steps: int) -> tuple[Array, Array]:
    """Columns 0 to `steps` sent to zero below row `first`, first + 1 ...; reflectors, factors tau.

    In an (m, n) matrix, reflectors lie in place of the zeros; their first element, 1, does not.
    """
    m, n = matrix.shape
    rows, columns = lax.iota(jnp.int32, m), lax.iota(jnp.int32, n)

    def column(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        a, taus = state
        top = first + j
        values = lax.dynamic_index_in_dim(a, j, 0, keepdims=False)
        vector, tau, beta = reflector(values, rows, top)
        along = jnp.where(columns > j, tau * dot(a, vector), 0)
        a = a - along[:, None] * vector[None, :]
        stored = jnp.where(rows > top, vector, jnp.where(rows == top, beta, values))
        a = lax.dynamic_update_index_in_dim(a, stored, j, 0)
        return a, lax.dynamic_update_index_in_dim(taus, tau, j, 0)

    state = (matrix.T, jnp.zeros(steps, matrix.dtype))  # columns are rows here: they lie together
    reduced, taus = lax.fori_loop(0, steps, column, state)
    return reduced.T, taus


def reflector(column: Array, rows: Array, j: Array) -> tuple[Array, Array, Array]:
    """v (1 at j, 0 above), tau and beta: (I - tau v v') sends the column, from j on, to beta e_j.

    As LAPACK's larfg; scaled, so that squares do not overflow.
    """
    alpha = lax.dynamic_index_in_dim(column, j, 0, keepdims=False)
    below = jnp.where(rows > j, column, 0)
    largest = jnp.max(jnp.abs(jnp.where(rows >= j, column, 0)))
    scale = jnp.where(largest == 0, 1, largest)
    norm = scale * jnp.sqrt(jnp.sum((below / scale) ** 2) + (alpha / scale) ** 2)
    done = jnp.max(jnp.abs(below)) == 0
    beta = jnp.where(done, alpha, jnp.where(alpha > 0, -norm, norm))
    tau = jnp.where(done, 0, (beta - alpha) / jnp.where(done, 1, beta))
    vector = below / jnp.where(done, 1, alpha - beta)
    return jnp.where(rows == j, 1, vector), tau, beta


def product(reflectors: Array, taus: Array) -> Array:
    """The first n columns of the product of k reflectors, held as `geqrf` leaves them, (m, n)."""
    m, n = reflectors.shape
    rows = lax.iota(jnp.int32, m)
    steps = taus.shape[0]
    held = reflectors.T

    def apply(step: Array, q: Array) -> Array:
        j = steps - 1 - step
        column = lax.dynamic_index_in_dim(held, j, 0, keepdims=False)
        vector = jnp.where(rows > j, column, jnp.where(rows == j, 1, 0))
        tau = lax.dynamic_index_in_dim(taus, j, 0, keepdims=False)
        return q - dot(q, tau * vector)[:, None] * vector[None, :]

    return lax.fori_loop(0, steps, apply, jnp.eye(n, m, dtype=reflectors.dtype)).T
