"""Singular values and vectors of a bidiagonal matrix: QR with implicit shifts.

Golub and Kahan's chase in the form of Demmel and Kahan, SIAM J. Sci. Stat. Comput. 11 (1990), for
values that are right to a rounding error of the largest. Vectors are turned as `sweeps` says.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.sweeps import at, diagonalised, put, wider

Array = jax.Array


def implicit_qr(
    diagonal: Array, beside: Array, left: Array, right: Array
) -> tuple[Array, Array, Array]:
    """Singular values (n,), not sorted, of either sign, and both vectors (n, m), turned as B was.

    B has `diagonal` (n,) and `beside` (n - 1,) right of it, its largest element about 1. From
    identities the vectors become the left and right singular vectors, in rows.
    """
    dtype = diagonal.dtype
    with jax.enable_x64(True):
        wide, eps = wider(dtype)
        d, e = diagonal.astype(wide), jnp.pad(beside, (0, 1)).astype(wide)
        vectors = jnp.stack([left, right]).astype(wide)
        (values, _), turned = _diagonalised(d, e, vectors, eps)
        return values.astype(dtype), turned[0].astype(dtype), turned[1].astype(dtype)


def _diagonalised(
    d: Array, e: Array, vectors: Array, eps: float
) -> tuple[tuple[Array, Array], Array]:
    n = d.shape[0]
    places = lax.iota(jnp.int32, n)
    rounding = eps / 2 * jnp.maximum(jnp.max(jnp.abs(d)), jnp.max(jnp.abs(e)))

    def coupled(e: Array) -> Array:
        """Where an element right of the diagonal is more than rounding; false for the last."""
        return jnp.abs(e) > rounding

    def sweep(numbers: tuple[Array, Array]) -> tuple[Any, ...]:
        d, e = numbers
        still = coupled(e)
        first = jnp.min(jnp.where(still, places, n))
        last = jnp.min(jnp.where(~still & (places >= first), places, n))
        within = (places >= first) & (places <= last)
        least = jnp.min(jnp.where(within, jnp.abs(d), jnp.inf))
        shift = jnp.where(least <= eps * rounding, 0, _shift(d, e, last))
        d, e, turns = _rotations(d, e, first, last, shift)
        of_left, left, of_right, right = turns
        return (d, e), jnp.stack([of_left, of_right]), jnp.stack([left, right]), first, last

    return diagonalised(
        (d, e), vectors, lambda numbers: jnp.any(coupled(numbers[1])), sweep, backwards=False
    )


def _shift(d: Array, e: Array, last: Array) -> Array:
    """The lesser singular value of the last two rows: [[f, g], [0, h]]."""
    f, g, h = jnp.abs(at(d, last - 1)), jnp.abs(at(e, last - 1)), jnp.abs(at(d, last))
    sums, apart = jnp.hypot(f + h, g), jnp.hypot(f - h, g)
    largest = (sums + apart) / 2
    return f * h / jnp.where(largest == 0, 1, largest)


def _rotation(f: Array, g: Array) -> tuple[Array, Array, Array]:
    """Cosine, sine and length that turn (f, g) into (length, 0)."""
    length = jnp.sqrt(f * f + g * g)
    idle = length == 0
    divisor = jnp.where(idle, 1, length)
    return jnp.where(idle, 1, f / divisor), g / divisor, length


def _rotations(
    d: Array, e: Array, first: Array, last: Array, shift: Array
) -> tuple[Array, Array, tuple[Array, ...]]:
    """B after a sweep over rows `first` to `last`; cosines and sines by row, left and right."""
    start = at(d, first)
    over = shift / jnp.where(shift == 0, 1, start)
    f = (jnp.abs(start) - shift) * (jnp.where(start < 0, -1, 1) + over)

    def chase(state: tuple[Any, ...]) -> tuple[Any, ...]:
        i, d, e, f, g, turns, on, off = state
        cosine, sine, length = _rotation(f, g)
        e = put(
            e, jnp.where(i > first, length, at(e, jnp.maximum(i - 1, 0))), jnp.maximum(i - 1, 0)
        )
        following = at(d, i + 1)
        f, off = cosine * on + sine * off, cosine * off - sine * on
        g, on = sine * following, cosine * following
        left_cosine, left_sine, length = _rotation(f, g)
        d = put(d, length, i)
        f, on = left_cosine * off + left_sine * on, left_cosine * on - left_sine * off
        beyond = at(e, i + 1)
        more = i < last - 1
        g, off = jnp.where(more, left_sine * beyond, 0), left_cosine * beyond
        found = (left_cosine, left_sine, cosine, sine)
        turns = tuple(put(all_of, one, i) for all_of, one in zip(turns, found, strict=True))
        return i + 1, d, e, f, g, turns, on, off

    turns = (jnp.zeros_like(d),) * 4
    state = (first, d, e, f, at(e, first), turns, start, at(e, first))
    state = lax.while_loop(lambda state: state[0] < last, chase, state)
    _, d, e, f, _, turns, on, _ = state
    return put(d, on, last), put(e, f, last - 1), turns
