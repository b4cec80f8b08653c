"""Eigenvalues and eigenvectors of a tridiagonal matrix: QL with implicit shifts.

Bowdler, Martin, Reinsch and Wilkinson, Numer. Math. 11 (1968), with Wilkinson's shift; vectors are
turned as `sweeps` says.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.sweeps import at, diagonalised, put, wider

Array = jax.Array


def implicit_ql(diagonal: Array, beside: Array, vectors: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,), not sorted, and `vectors` (n, m), turned as the matrix was to be diagonal.

    Of a matrix whose largest element is about 1, with `diagonal` (n,) and `beside` it (n - 1,).
    From the identity the vectors become the eigenvectors, in rows.
    """
    dtype = diagonal.dtype
    with jax.enable_x64(True):
        wide, eps = wider(dtype)
        d, e = diagonal.astype(wide), jnp.pad(beside, (0, 1)).astype(wide)
        (values, _), turned = _diagonalised(d, e, vectors[None].astype(wide), eps)
        return values.astype(dtype), turned[0].astype(dtype)


def _diagonalised(
    d: Array, e: Array, vectors: Array, eps: float
) -> tuple[tuple[Array, Array], Array]:
    n = d.shape[0]
    places = lax.iota(jnp.int32, n)

    def coupled(d: Array, e: Array) -> Array:
        """Where an element beside the diagonal is more than rounding; false for the last."""
        size = jnp.abs(d)
        return jnp.abs(e) > eps * (size + jnp.roll(size, -1)) + eps * eps

    def sweep(numbers: tuple[Array, Array]) -> tuple[Any, ...]:
        d, e = numbers
        still = coupled(d, e)
        first = jnp.min(jnp.where(still, places, n))
        last = jnp.min(jnp.where(~still & (places >= first), places, n))
        d, e, cosines, sines = _rotations(d, e, first, last)
        return (d, e), cosines[None], sines[None], first, last

    return diagonalised(
        (d, e), vectors, lambda numbers: jnp.any(coupled(*numbers)), sweep, backwards=True
    )


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
