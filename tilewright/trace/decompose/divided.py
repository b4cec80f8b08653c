"""Eigenvalues and eigenvectors of a tridiagonal matrix from those of its parts.

Without what couples two neighbours, a matrix is two, but for a dyad (Cuppen, Numer. Math. 36,
1981): with `b` the element that couples them, both elements of the diagonal beside it lose |b|. Of
the dyad in the parts' eigenvectors only the rows next to the cut are read, and the vectors of the
whole are a product. Parts of up to `PART` rows are made diagonal by implicit QL, all as one matrix
that has zeros where they were coupled, so that vectors are no longer than a part. Then two by two
they are put together, smaller pairs first, in one loop for pairs of all sizes: what is done has the
shape of the whole matrix, and is left off where the pair ends. Vectors of 300 rows take a third of
the time of QL alone.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose import secular
from tilewright.trace.decompose.cholesky import dot
from tilewright.trace.decompose.implicit_ql import implicit_ql
from tilewright.trace.decompose.sweeps import at

Array = jax.Array

PART = 128
"""Rows at most of what is not divided further."""

_WHOLE = 8
"""Rows of a part are a multiple of it."""


def divided(diagonal: Array, beside: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,) and eigenvectors (n, n), in columns; float32, reckoned in float64.

    `diagonal` (n,) and `beside` it (n - 1,), of whatever size. Values ascend.
    """
    size = diagonal.shape[0]
    parts = 2
    while -(-size // parts) > PART:
        parts *= 2
    rows = -(-size // (_WHOLE * parts)) * _WHOLE
    more = rows * parts - size
    with jax.enable_x64(True):
        d, e = diagonal.astype(jnp.float64), jnp.pad(beside, (1, 1)).astype(jnp.float64)
        bound = jnp.max(jnp.abs(d) + jnp.abs(e[1:]) + jnp.abs(e[:-1]))
        divisor = jnp.where(bound == 0, 1, bound)
        d = jnp.pad(d / divisor, (0, more), constant_values=2)
        e = jnp.pad(e / divisor, (0, more))
        values, vectors = _together(*_parts(d, e, rows), e[rows:-1:rows], rows)
        values, vectors = values[:size] * bound, vectors[:size, :size] + 0 * bound
        return values.astype(diagonal.dtype), vectors.astype(diagonal.dtype)


def _parts(d: Array, e: Array, rows: int) -> tuple[Array, Array]:
    """Of each part, below the other: eigenvalues (n,), eigenvectors (n, rows), in columns.

    `e` (n + 1,) is what is beside the diagonal, and zero before the first row and after the last.
    """
    n = d.shape[0]
    is_cut = lax.iota(jnp.int32, n + 1) % rows == 0
    lost = jnp.where(is_cut, jnp.abs(e), 0)
    values, turned = implicit_ql(
        d - lost[:-1] - lost[1:],
        jnp.where(is_cut, 0, e)[1:-1],
        jnp.tile(jnp.eye(rows, dtype=d.dtype), (n // rows, 1)),
    )
    return values, turned.reshape(-1, rows, rows).transpose(0, 2, 1).reshape(n, rows)


def _together(values: Array, vectors: Array, cuts: Array, rows: int) -> tuple[Array, Array]:
    """Of the whole matrix: `cuts` are the elements that couple the parts.

    A part's vectors lie in the first columns of its rows.
    """
    n = values.shape[0]
    sizes = [rows << level for level in range((n // rows).bit_length() - 1)]
    pairs = [(start, half) for half in sizes for start in range(0, n, 2 * half)]
    starts, halves = (jnp.array(found, jnp.int32) for found in zip(*pairs, strict=True))

    def merge(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        values, vectors = state
        start, half = at(starts, k), at(halves, k)
        cut = at(cuts, (start + half) // rows - 1)
        return _merged(values, vectors, cut, start, half, rows)

    wide = jnp.pad(vectors, ((0, 0), (0, n - rows)))
    return lax.fori_loop(0, len(pairs), merge, (values, wide))


def _merged(
    values: Array, vectors: Array, cut: Array, start: Array, half: Array, rows: int
) -> tuple[Array, Array]:
    """Values (n,) and vectors (n, n) after one pair was put together, which begins in `start`."""
    n = values.shape[0]
    places = lax.iota(jnp.int32, n)
    from_start = partial(lax.dynamic_slice_in_dim, slice_size=n)
    own = from_start(jnp.pad(values, (0, n)), start)
    second = from_start(jnp.pad(at(vectors, start + half), (n, 0)), n - half)
    second = jnp.where(cut < 0, -second, second)
    dyad = jnp.where(places < half, at(vectors, start + half - 1), second)
    own = jnp.where(places < 2 * half, own, secular.BEYOND)
    own, dyad, order = lax.sort((own, dyad, places), num_keys=1)
    own, turn = secular.eigen(own, dyad, jnp.abs(cut), 2 * half, order)
    shifted = from_start(jnp.pad(own, (n, 0)), n - start)
    inside = (places >= start) & (places < start + 2 * half)
    return jnp.where(inside, shifted, values), _turned(vectors, turn, start, half, rows)


def _turned(vectors: Array, turn: Array, start: Array, half: Array, rows: int) -> Array:
    """The pair's vectors times its turn (n, n), some rows after the other."""
    n = turn.shape[0]
    many = half // rows

    def some(i: Array, vectors: Array) -> Array:
        first = jnp.where(i < many, 0, half)
        own = lax.dynamic_slice_in_dim(vectors, start + i * rows, rows)

        def add(k: Array, total: Array) -> Array:
            left = lax.dynamic_slice_in_dim(own, k * rows, rows, 1)
            return total + dot(left, lax.dynamic_slice_in_dim(turn, first + k * rows, rows))

        total = lax.fori_loop(0, many, add, jnp.zeros((rows, n), turn.dtype))
        return lax.dynamic_update_slice_in_dim(vectors, total, start + i * rows, 0)

    return lax.fori_loop(0, 2 * many, some, vectors)
