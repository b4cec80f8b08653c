"""The first few of a line in order, without sorting the rest.

Each is the least beyond the last, found by a pass over the line. A long line is cut into groups
first: the `count` least are in the groups whose own least are the `count` least.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

LONG = 128
"""Elements from which on a line is not sorted for a few of them."""

LEVEL, PASS = 24, 300
"""A level of a merge sort of an element, and a pass over no line, in elements that a pass reads
(0.11 ns each; 10 of 1,000 elements take 1.1 us a line, sorting it 28)."""

SHORT = 20_000
"""Elements of all passes over a line, up to which it is not cut into groups: that would save no
more than 2 us a line, and is half of the program's text."""

PLACE = 31
"""Bits of a place in a line, below its key."""


def is_worth_it(length: int, count: int, key: Any) -> bool:
    """Whether passes are faster than sorting, and a key fits beside its place."""
    fits = jnp.dtype(key).itemsize <= 4 and length < 1 << PLACE
    if not fits or length < LONG or count < 1:
        return False
    read = min(length, sum(_cut(length, count)))
    return count * (read + PASS) < LEVEL * length * (length - 1).bit_length()


def first(key: Array, operand: Array, *, axis: int, count: int, dtype: Any) -> tuple[Array, Array]:
    """What `operand` has, and where, at the `count` least keys along an axis, the first of equals.

    Keys are integers of up to 32 bits; above their places in 64 bits no two are equal.
    """
    length = key.shape[axis]
    others = [n for d, n in enumerate(key.shape) if d != axis]
    order = [*(d for d in range(key.ndim) if d != axis), axis]
    back = [order.index(d) for d in range(key.ndim)]

    def in_lines(array: Array) -> Array:
        array = array if axis == array.ndim - 1 else lax.transpose(array, order)
        return lax.reshape(array, (prod(others), length))

    def of_lines(found: Array) -> Array:
        found = lax.reshape(found, (*others, count))
        return found if axis == key.ndim - 1 else lax.transpose(found, back)

    def line(_: tuple[()], given: tuple[Array, Array]) -> tuple[tuple[()], tuple[Array, Array]]:
        key, values = given
        high = lax.shift_left(lax.convert_element_type(key, jnp.int64), jnp.int64(PLACE))
        numbers = lax.bitwise_or(high, lax.iota(jnp.int64, length))
        places = _places(_least(numbers, count))
        return (), (_taken(values, places, 0), lax.convert_element_type(places, dtype))

    with jax.enable_x64(True):
        _, (values, places) = lax.scan(line, (), (in_lines(key), in_lines(operand)))
    return of_lines(values), of_lines(places)


def _places(numbers: Array) -> Array:
    mask = jnp.int64((1 << PLACE) - 1)
    return lax.convert_element_type(lax.bitwise_and(numbers, mask), jnp.int32)


def _taken(array: Array, places: Array, axis: int) -> Array:
    """Elements, or columns, at places that are all there."""
    sizes = [1 if d == axis else n for d, n in enumerate(array.shape)]
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(array.ndim - 1)),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
    )
    starts = lax.expand_dims(places, (1,))
    return lax.gather(array, starts, numbers, sizes, mode="promise_in_bounds")


def _least(numbers: Array, count: int) -> Array:
    """The `count` least of numbers of which no two are equal, (length,), in order."""
    length = len(numbers)
    of_chosen, groups = _cut(length, count)
    if of_chosen + groups > length // 2 or count * length <= SHORT:
        return _by_passes(numbers, count)
    members, most = of_chosen // count, jnp.iinfo(numbers.dtype).max
    rows = lax.pad(numbers, jnp.int64(most), [(0, members * groups - length, 0)])
    rows = lax.reshape(rows, (members, groups))
    chosen = _places(_by_passes(lax.reduce_min(rows, [0]), count))
    chosen = _taken(rows, lax.rem(chosen, jnp.int32(groups)), 1)
    return _by_passes(lax.reshape(chosen, (members * count,)), count)


def _cut(length: int, count: int) -> tuple[int, int]:
    """Elements of `count` groups, and number of all groups: so that passes over both are short."""
    members = max(isqrt(length // count), 1)
    return members * count, -(-length // members)


def _by_passes(numbers: Array, count: int) -> Array:
    bounds = jnp.iinfo(numbers.dtype)
    most = jnp.full_like(numbers, bounds.max)

    def following(last: Array, _: None) -> tuple[Array, Array]:
        beyond = lax.gt(numbers, lax.broadcast(last, numbers.shape))
        found = lax.reduce_min(lax.select(beyond, numbers, most), [0])
        return found, found

    return lax.scan(following, jnp.int64(bounds.min), None, length=count)[1]
