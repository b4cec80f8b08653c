"""A symmetric matrix is made tridiagonal by reflectors, a panel of columns at a time.

While a panel is reduced the matrix stays as it was, and what it would have become is counted in,
A - V W' - W V'; then all of the panel is subtracted as two products (Dongarra, Sorensen and
Hammarling, J. Comput. Appl. Math. 27, 1989). So each column reads the matrix once and writes
nothing of its size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.blocked_qr import over_panels, stretches, whole
from tilewright.trace.decompose.cholesky import dot
from tilewright.trace.decompose.householder import reflector

Array = jax.Array


def tridiagonalise(matrix: Array) -> tuple[Array, Array, Array, Array]:
    """Of Q' A Q, for a full symmetric (n, n) matrix A: diagonal (n,), what is beside it (n - 1,).

    Q leaves the first coordinate alone. It is the product of n reflectors, which come held as
    `geqrf` leaves them, (n, n), with their factors tau, (n,); the first is none: its tau is zero.
    """
    size = matrix.shape[0]
    panel_width, steps = whole(size - 1)
    n = steps + 1
    matrix = jnp.pad(matrix, (0, n - size))
    diagonal, beside, taus = [], [], []
    reflectors = jnp.zeros_like(matrix)
    for start, columns in stretches(steps, panel_width):

        def panel(first: Array | int, width: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            rest, *found = state
            made = _panel(rest, first, width)
            vectors, others = made[0], made[1]
            rest = rest - dot(vectors, others.T) - dot(others, vectors.T)
            found = [
                lax.dynamic_update_slice_in_dim(all_of, of_panel, first, all_of.ndim - 1)
                for all_of, of_panel in zip(found, (vectors, *made[2:]), strict=True)
            ]
            return rest, *found

        rest = matrix[start:, start:]
        empty = jnp.zeros(columns, matrix.dtype)
        state = (rest, jnp.zeros((n - start, columns), matrix.dtype), empty, empty, empty)
        rest, vectors, on, off, tau = over_panels(
            panel, columns, state, panel_width, backwards=False
        )
        matrix = matrix.at[start:, start:].set(rest)
        reflectors = reflectors.at[start:, start : start + columns].set(vectors)
        diagonal.append(on)
        beside.append(off)
        taus.append(tau)
    diagonal.append(matrix[-1:, -1])
    on, off, factors = map(jnp.concatenate, (diagonal, beside, taus))
    below = size - 1
    reflectors = jnp.pad(reflectors[:size, :below], ((0, 0), (1, 0)))
    return on[:size], off[:below], jnp.pad(factors[:below], (1, 0)), reflectors


def _panel(matrix: Array, first: Array | int, width: int) -> tuple[Array, ...]:
    """V and W (n, width) of the columns from `first` on, diagonal, beside, taus (width,) each."""
    n = matrix.shape[0]
    rows = lax.iota(jnp.int32, n)
    wide, narrow = jnp.zeros((n, width), matrix.dtype), jnp.zeros(width, matrix.dtype)

    def column(j: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        v, w, on, off, taus = state
        top = first + j
        row_of = lambda a: lax.dynamic_index_in_dim(a, top, 0, keepdims=False)  # noqa: E731
        values = row_of(matrix) - dot(v, row_of(w)) - dot(w, row_of(v))
        vector, tau, beta = reflector(values, rows, top + 1)
        product = dot(matrix, vector) - dot(v, dot(vector, w)) - dot(w, dot(vector, v))
        product = tau * jnp.where(rows > top, product, 0)
        other = product - 0.5 * tau * jnp.sum(product * vector) * vector
        put = lax.dynamic_update_index_in_dim
        return (
            put(v, vector, j, 1),
            put(w, other, j, 1),
            put(on, row_of(values), j, 0),
            put(off, beta, j, 0),
            put(taus, tau, j, 0),
        )

    return lax.fori_loop(0, width, column, (wide, wide, narrow, narrow, narrow))
