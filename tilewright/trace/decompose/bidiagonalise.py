"""A square matrix is made bidiagonal by reflectors from both sides, a panel of columns at a time.

As in `tridiagonalise`, the matrix stays as it was while a panel is reduced: it would have become
A - V Y' - X U', with V the reflectors from the left and U those from the right (Dongarra, Sorensen
and Hammarling, J. Comput. Appl. Math. 27, 1989). Each column reads the matrix twice.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.blocked_qr import over_panels, stretches, whole
from tilewright.trace.decompose.cholesky import dot
from tilewright.trace.decompose.householder import reflector

Array = jax.Array
Reflectors = tuple[Array, Array]
"""Held as `geqrf` leaves them, in columns, and their factors tau."""


def bidiagonalise(matrix: Array) -> tuple[Array, Array, Reflectors, Reflectors]:
    """Of Q' A P, for an (n, n) matrix A: diagonal (n,), what is right of it (n - 1,), and Q and P.

    Q and P are made of n reflectors each, (n, n); the first of P's is none, with a factor of zero.
    """
    size = matrix.shape[0]
    panel_width, n = whole(size)
    matrix = jnp.pad(matrix, (0, n - size))
    numbers = []
    left, right = jnp.zeros_like(matrix), jnp.zeros_like(matrix)
    for start, columns in stretches(n, panel_width):

        def panel(first: Array | int, width: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            rest, *found = state
            (v, y, x, u), made = _panel(rest, first, width)
            rest = rest - dot(v, y.T) - dot(x, u.T)
            found = [
                lax.dynamic_update_slice_in_dim(all_of, of_panel, first, all_of.ndim - 1)
                for all_of, of_panel in zip(found, (v, u, *made), strict=True)
            ]
            return rest, *found

        tall = jnp.zeros((n - start, columns), matrix.dtype)
        empty = jnp.zeros(columns, matrix.dtype)
        state = (matrix[start:, start:], tall, tall, *[empty] * 4)
        rest, v, u, *found = over_panels(panel, columns, state, panel_width, backwards=False)
        matrix = matrix.at[start:, start:].set(rest)
        left = left.at[start:, start : start + columns].set(v)
        right = right.at[start:, start : start + columns].set(u)
        numbers.append(found)
    diagonal, beside, left_taus, right_taus = map(jnp.concatenate, zip(*numbers, strict=True))
    below = size - 1
    right = jnp.pad(right[:size, :below], ((0, 0), (1, 0)))
    return (
        diagonal[:size],
        beside[:below],
        (left[:size, :size], left_taus[:size]),
        (right, jnp.pad(right_taus[:below], (1, 0))),
    )


def _panel(
    matrix: Array, first: Array | int, width: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """V, Y, X, U (n, width); diagonal, beside, factors of the left and right reflectors (width,).

    V and Y', and X and U', are held as rows, (width, n): they are read and written so.
    """
    n = matrix.shape[0]
    places = lax.iota(jnp.int32, n)
    wide, narrow = jnp.zeros((width, n), matrix.dtype), jnp.zeros(width, matrix.dtype)
    put = lax.dynamic_update_index_in_dim

    def column(j: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        v, y, x, u, on, off, left_taus, right_taus = state
        top = first + j

        def of(rows: Array) -> Array:
            return lax.dynamic_index_in_dim(rows, top, 1, keepdims=False)

        values = lax.dynamic_index_in_dim(matrix, top, 1, keepdims=False)
        values = values - dot(of(y), v) - dot(of(u), x)
        vector, tau, beta = reflector(values, places, top)
        across = dot(vector, matrix) - dot(dot(v, vector), y) - dot(dot(x, vector), u)
        across = tau * jnp.where(places > top, across, 0)
        v, y = put(v, vector, j, 0), put(y, across, j, 0)

        values = lax.dynamic_index_in_dim(matrix, top, 0, keepdims=False)
        values = values - dot(of(v), y) - dot(of(x), u)
        last = top + 1 >= n
        vector, right_tau, right_beta = reflector(values, places, jnp.minimum(top + 1, n - 1))
        vector, right_tau = jnp.where(last, 0, vector), jnp.where(last, 0, right_tau)
        down = dot(matrix, vector) - dot(dot(y, vector), v) - dot(dot(u, vector), x)
        down = right_tau * jnp.where(places > top, down, 0)
        return (
            v,
            y,
            put(x, down, j, 0),
            put(u, vector, j, 0),
            put(on, beta, j, 0),
            put(off, right_beta, j, 0),
            put(left_taus, tau, j, 0),
            put(right_taus, right_tau, j, 0),
        )

    state = (wide, wide, wide, wide, narrow, narrow, narrow, narrow)
    v, y, x, u, *numbers = lax.fori_loop(0, width, column, state)
    return (v.T, y.T, x.T, u.T), tuple(numbers)
