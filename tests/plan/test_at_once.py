"""Sums over one large array in one pass: which, and the law's own bits."""

import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.graph import law

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(9000, 40)).astype(np.float32)
IMAGES = RANDOM.normal(size=(8, 33, 30, 72)).astype(np.float32)
"""Both outgrow the caches of a core."""


def moments(x, axes):
    return jnp.sum(x - 1, axes), jnp.sum(jnp.square(x), axes)


def of_rows(x):
    return moments(x, 0)


def of_places(x):
    return moments(x, (0, 1, 2))


def of_images(x):
    return moments(x, (1, 2))


def in_turns(x):
    """The second waits for the first."""
    total = jnp.sum(x, 0)
    return total, jnp.sum(jnp.square(x - total), 0)


def of_two(x):
    """Different arrays."""
    return jnp.sum(x, 0), jnp.sum(jnp.cumsum(x, 1), 0)


def other_ways(x):
    return jnp.sum(x, 0), jnp.max(x, 0), jnp.sum(x, 1)


def passes(function, x, tiles=1) -> list[str]:
    text = tilewright.compile(function, x, tiles=tiles).program
    return [line.split()[0] for line in text.splitlines() if line.strip().startswith("reduce_sum")]


@pytest.mark.parametrize("function, x", [(of_rows, ROWS), (of_places, IMAGES), (of_images, IMAGES)])
def test_both_in_one_pass(function, x):
    names = passes(function, x)
    assert names
    assert all("2_totals" in name for name in names)


@pytest.mark.parametrize("function", [in_turns, of_two, other_ways])
def test_what_cannot_stays_apart(function):
    assert not any("totals" in name for name in passes(function, ROWS))


def test_what_is_near_stays_apart():
    assert not any("totals" in name for name in passes(of_rows, ROWS[:500]))


@pytest.mark.parametrize(
    "function, x, axes",
    [(of_rows, ROWS, (0,)), (of_places, IMAGES, (0, 1, 2)), (of_images, IMAGES, (1, 2))],
)
@pytest.mark.parametrize("tiles", [1, 2, 5])
def test_bits_are_those_of_each_alone(function, x, axes, tiles):
    total, squares = tilewright.compile(function, x, tiles=tiles)(x)
    np.testing.assert_array_equal(total, law.reduce_ordered("sum", x - 1, axes))
    np.testing.assert_array_equal(squares, law.reduce_ordered("sum", np.square(x), axes))
