"""Eigenvalues and eigenvectors of a tridiagonal matrix: QL with implicit shifts.

Bowdler, Martin, Reinsch and Wilkinson, Numer. Math. 11 (1968), with Wilkinson's shift. A sweep
first finds its rotations, which is a chain of numbers, and then turns the vectors by all of them in
one walk over their rows, of which each is read and written once.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

SWEEPS = 30
"""For each eigenvalue, more than any matrix needs: two are usual."""


def implicit_ql(diagonal: Array, beside: Array, vectors: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,), not sorted, and `vectors` (n, m), turned as the matrix was to be diagonal.

    Of a matrix whose largest element is about 1, with `diagonal` (n,) and `beside` it (n - 1,).
    From the identity the vectors become the eigenvectors, in rows.
    """
    n = diagonal.shape[0]
    places = lax.iota(jnp.int32, n)
    eps = jnp.finfo(diagonal.dtype).eps

    def coupled(d: Array, e: Array) -> Array:
        """Where an element beside the diagonal is more than rounding; false for the last."""
        size = jnp.abs(d)
        return jnp.abs(e) > eps * (size + jnp.roll(size, -1)) + eps * eps

    def going_on(state: tuple[Array, ...]) -> Array:
        count, d, e, _ = state
        return (count < SWEEPS * n) & jnp.any(coupled(d, e))

    def sweep(state: tuple[Array, ...]) -> tuple[Array, ...]:
        count, d, e, vectors = state
        still = coupled(d, e)
        first = jnp.min(jnp.where(still, places, n))
        last = jnp.min(jnp.where(~still & (places >= first), places, n))
        d, e, cosines, sines = _rotations(d, e, first, last)
        return count + 1, d, e, _turned(vectors, cosines, sines, first, last)

    beside = jnp.pad(beside, (0, 1))
    _, values, _, vectors = lax.while_loop(
        going_on, sweep, (jnp.int32(0), diagonal, beside, vectors)
    )
    return values, vectors


def at(array: Array, place: Array) -> Array:
    return lax.dynamic_index_in_dim(array, place, 0, keepdims=False)


def put(array: Array, value: Array, place: Array) -> Array:
    return lax.dynamic_update_index_in_dim(array, value, place, 0)


def _rotations(d: Array, e: Array, first: Array, last: Array) -> tuple[Array, Array, Array, Array]:
    """The matrix after a sweep over its rows `first` to `last`, and cosines and sines by row."""
    one, zero = jnp.ones((), d.dtype), jnp.zeros((), d.dtype)
    start, off = at(d, first), at(e, first)
    ratio = (at(d, first + 1) - start) / (2 * off)
    root = jnp.sqrt(ratio * ratio + 1)
    shifted = at(d, last) - start + off / (ratio + jnp.where(ratio < 0, -root, root))

    def chase(state: tuple[Array, ...]) -> tuple[Array, ...]:
        i, d, e, cosines, sines, shifted, cosine, sine, moved = state
        off, below = sine * at(e, i), cosine * at(e, i)
        length = jnp.sqrt(off * off + shifted * shifted)
        idle = length == 0
        divisor = jnp.where(idle, 1, length)
        sine, cosine = off / divisor, jnp.where(idle, 1, shifted / divisor)
        rest = at(d, i + 1) - moved
        turn = (at(d, i) - rest) * sine + 2 * cosine * below
        moved = sine * turn
        return (
            i - 1,
            put(d, rest + moved, i + 1),
            put(e, length, i + 1),
            put(cosines, cosine, i),
            put(sines, sine, i),
            cosine * turn - below,
            cosine,
            sine,
            moved,
        )

    state = (last - 1, d, e, jnp.zeros_like(d), jnp.zeros_like(d), shifted, one, one, zero)
    state = lax.while_loop(lambda state: state[0] >= first, chase, state)
    _, d, e, cosines, sines, shifted, _, _, moved = state
    d = put(d, at(d, first) - moved, first)
    return d, put(put(e, shifted, first), zero, last), cosines, sines


def _turned(vectors: Array, cosines: Array, sines: Array, first: Array, last: Array) -> Array:
    """Rows i and i + 1 of the vectors rotated, from the last pair to the first."""

    def pair(state: tuple[Array, ...]) -> tuple[Array, ...]:
        i, vectors, lower = state
        upper = at(vectors, i)
        cosine, sine = at(cosines, i), at(sines, i)
        vectors = put(vectors, sine * upper + cosine * lower, i + 1)
        return i - 1, vectors, cosine * upper - sine * lower

    state = (last - 1, vectors, at(vectors, last))
    _, vectors, top = lax.while_loop(lambda state: state[0] >= first, pair, state)
    return put(vectors, top, first)
