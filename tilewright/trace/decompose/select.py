"""The first few of a line in order, without sorting the rest.

Each is the least beyond the last, found by a pass over the line. A long line is cut into groups
first: the `count` least are in the groups whose own least are the `count` least.
"""

from __future__ import annotations

from math import isqrt
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

    def in_lines(array: Array) -> Array:
        return jnp.moveaxis(array, axis, -1).reshape(-1, length)

    def line(given: tuple[Array, Array]) -> tuple[Array, Array]:
        key, values = given
        numbers = (key.astype(jnp.int64) << PLACE) | lax.iota(jnp.int64, length)
        places = _places(_least(numbers, count))
        return values.at[places].get(mode="promise_in_bounds"), places.astype(dtype)

    with jax.enable_x64(True):
        results = lax.map(line, (in_lines(key), in_lines(operand)))
    others = [n for d, n in enumerate(key.shape) if d != axis]
    values, places = (jnp.moveaxis(x.reshape(*others, count), -1, axis) for x in results)
    return values, places


def _places(numbers: Array) -> Array:
    return (numbers & ((1 << PLACE) - 1)).astype(jnp.int32)


def _least(numbers: Array, count: int) -> Array:
    """The `count` least of numbers of which no two are equal, (length,), in order."""
    length = len(numbers)
    of_chosen, groups = _cut(length, count)
    if of_chosen + groups > length // 2:
        return _by_passes(numbers, count)
    members, most = of_chosen // count, jnp.iinfo(numbers.dtype).max
    rows = jnp.pad(numbers, (0, members * groups - length), constant_values=most)
    rows = rows.reshape(members, groups)
    chosen = _places(_by_passes(jnp.min(rows, axis=0), count)) % groups
    return _by_passes(jnp.take(rows, chosen, axis=1, mode="clip").ravel(), count)


def _cut(length: int, count: int) -> tuple[int, int]:
    """Elements of `count` groups, and number of all groups: so that passes over both are short."""
    members = max(isqrt(length // count), 1)
    return members * count, -(-length // members)


def _by_passes(numbers: Array, count: int) -> Array:
    bounds = jnp.iinfo(numbers.dtype)

    def following(last: Array, _: None) -> tuple[Array, Array]:
        found = jnp.min(jnp.where(numbers > last, numbers, bounds.max))
        return found, found

    return lax.scan(following, jnp.array(bounds.min, numbers.dtype), None, length=count)[1]
