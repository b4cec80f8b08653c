"""Rotations of neighbouring rows, found sweep by sweep, and vectors turned by many sweeps at once.

What `implicit_ql` and `implicit_qr` share. A sweep's rotations are a chain of numbers that hangs on
no vector. So those of some sweeps are found first; then the vectors are turned by all of them, few
columns after few, which stay in a tile's nearest memory meanwhile. Matrices of float32 are
diagonalised in float64: each element of a vector is turned some 2 n times, and as many rounding
errors add up (of a tridiagonal matrix of 300 rows, in float32, values err by 13 eps of the norm,
vectors lack orthogonality by 37; in float64, rounded at the end, by 0.3 and 0.6; before and after,
reflectors cost 10 and 17, as LAPACK's do). Turning a few columns at a time pays for the wider
dtype: of 300 rows it takes 11 ms a whole row at a time, 7 so, 6 in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

WIDTH = 16
"""Columns that are turned together: 300 rows of them are 38 KiB."""

KEPT = 32
"""Sweeps that are found before vectors are turned."""

MOST = 30
"""Sweeps for each value, more than any matrix needs: two are usual."""

GUARD = 2.0**-5
"""Of a rounding error of the result: what may be left beside the diagonal in a wider dtype."""

Sweep = Callable[[Any], tuple[Any, ...]]
"""Numbers -> numbers; cosines, sines (kinds, n); the rows that the sweep begins and ends with."""


def wider(dtype: Any) -> tuple[Any, float]:
    """The dtype to iterate in, and what is no more than rounding beside elements of about 1."""
    eps = float(jnp.finfo(dtype).eps)
    return (jnp.float64, eps * GUARD) if dtype == jnp.float32 else (dtype, eps)


def diagonalised(
    numbers: Any,
    vectors: Array,
    going_on: Callable[[Any], Array],
    sweep: Sweep,
    *,
    backwards: bool,
) -> tuple[Any, Array]:
    """`numbers` after all sweeps, and `vectors` (kinds, n, m), each kind turned by its rotations.

    Rotation i turns rows i and i + 1; from the last pair of a sweep on if `backwards`.
    """
    kinds, n, m = vectors.shape
    empty = jnp.zeros((kinds, KEPT, n), vectors.dtype)
    none = jnp.zeros(KEPT, jnp.int32)

    def unfinished(state: tuple[Any, ...]) -> Array:
        count, numbers, _ = state
        return (count < MOST * n) & going_on(numbers)

    def some(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, numbers, blocks = state

        def more(found: tuple[Any, ...]) -> Array:
            return (found[0] < KEPT) & going_on(found[1])

        def one(found: tuple[Any, ...]) -> tuple[Any, ...]:
            k, numbers, cosines, sines, first, last = found
            numbers, cosine, sine, start, stop = sweep(numbers)
            put_in = lax.dynamic_update_index_in_dim
            cosines, sines = put_in(cosines, cosine, k, 1), put_in(sines, sine, k, 1)
            return k + 1, numbers, cosines, sines, put(first, start, k), put(last, stop, k)

        found = (jnp.int32(0), numbers, empty, empty, none, none)
        kept, numbers, cosines, sines, first, last = lax.while_loop(more, one, found)
        blocks = _turned(blocks, cosines, sines, first, last, kept, backwards)
        return count + kept, numbers, blocks

    padded = jnp.pad(vectors, ((0, 0), (0, 0), (0, -m % WIDTH)))
    blocks = padded.reshape(kinds, n, -1, WIDTH).transpose(0, 2, 1, 3).reshape(-1, n, WIDTH)
    state = (jnp.int32(0), numbers, blocks)
    _, numbers, blocks = lax.while_loop(unfinished, some, state)
    rows = blocks.reshape(kinds, -1, n, WIDTH).transpose(0, 2, 1, 3).reshape(kinds, n, -1)
    return numbers, rows[:, :, :m]


def at(array: Array, place: Array) -> Array:
    """What stands in a place that is not counted from the end, as no place of ours is."""
    return lax.dynamic_index_in_dim(array, place.astype(jnp.uint32), 0, keepdims=False)


def put(array: Array, value: Array, place: Array) -> Array:
    return lax.dynamic_update_index_in_dim(array, value, place.astype(jnp.uint32), 0)


def _turned(
    blocks: Array,
    cosines: Array,
    sines: Array,
    first: Array,
    last: Array,
    count: Array,
    backwards: bool,
) -> Array:
    """Blocks (kinds x some, n, WIDTH), turned by `count` sweeps."""
    kinds, kept, n = cosines.shape
    kind = lax.iota(jnp.int32, len(blocks)) // (len(blocks) // kinds)
    cosines, sines = cosines.reshape(-1), sines.reshape(-1)

    def sweep(k: Array, rows: Array, before: Array) -> Array:
        start, stop, before = at(first, k), at(last, k), before + k * n

        def down(state: tuple[Array, ...]) -> tuple[Array, ...]:
            i, rows, upper = state
            lower, cosine, sine = at(rows, i + 1), at(cosines, before + i), at(sines, before + i)
            rows = put(rows, cosine * upper + sine * lower, i)
            return i + 1, rows, cosine * lower - sine * upper

        def up(state: tuple[Array, ...]) -> tuple[Array, ...]:
            i, rows, lower = state
            upper, cosine, sine = at(rows, i), at(cosines, before + i), at(sines, before + i)
            rows = put(rows, sine * upper + cosine * lower, i + 1)
            return i - 1, rows, cosine * upper - sine * lower

        if backwards:
            state = (stop - 1, rows, at(rows, stop))
            _, rows, top = lax.while_loop(lambda state: state[0] >= start, up, state)
            return put(rows, top, start)
        state = (start, rows, at(rows, start))
        _, rows, bottom = lax.while_loop(lambda state: state[0] < stop, down, state)
        return put(rows, bottom, stop)

    def block(given: tuple[Array, Array]) -> Array:
        rows, before = given
        return lax.fori_loop(0, count, lambda k, rows: sweep(k, rows, before), rows)

    return lax.map(block, (blocks, kind * (kept * n)))
