"""Reductions and scatters with functions of the user's agree with JAX, repeated places too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, run

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(7, 4)).astype(np.float32) / 4


def compounded(left, right):
    """Returns after each other: associative, and 0 changes nothing."""
    return left * right + left + right


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("rows", (0, 1, 2, 7))
def test_a_reduction_by_a_function(rows, axes):
    agree(lambda x: lax.reduce(x, 0.0, compounded, axes), X[:rows], epsilons=64, absolute=1e-6)


def test_a_reduction_of_pairs():
    def larger(left, right):
        first = left[0] >= right[0]
        return tuple(jnp.where(first, a, b) for a, b in zip(left, right, strict=True))

    def of_pairs(x):
        places = lax.broadcasted_iota(jnp.int32, x.shape, 0)
        return lax.reduce((x, places), (-jnp.inf, jnp.int32(0)), larger, (0,))

    agree(of_pairs, X)


def test_neighbours_are_combined_so_that_order_is_kept():
    def second_unless_none(left, right):
        return jnp.where(right < 0, left, right)

    (last,) = run(lambda x: lax.reduce(x, -1.0, second_unless_none, (0,)), jnp.arange(5.0))
    assert last == 4


def test_a_function_at_places():
    agree(lambda x: x.at[jnp.array([0, 2, 2])].apply(jnp.exp), X, epsilons=8)
    agree(lambda x: x.at[1:3, ::2].apply(lambda v: 2 * v + 1), X)
    agree(jax.vmap(lambda x, i: x.at[i].apply(lambda v: 2 * v + 1)), X, np.arange(7) % 4)


@pytest.mark.parametrize("mode", ("drop", "clip"))
def test_a_function_at_places_outside(mode):
    places = jnp.array([0, 9, 2])
    agree(lambda x: x.at[places, 1].apply(lambda v: 2 * v + 1, mode=mode), X)


@pytest.mark.parametrize("spacing", (1, 2))
@pytest.mark.parametrize("holes", (1, 3))
@pytest.mark.parametrize("padding", ("VALID", [(2, 3), (0, 1)]))
def test_padding_and_holes_are_no_elements_of_a_window(padding, holes, spacing):
    def windows(x):
        begin, how = np.float32(1), ((2, 3), (1, 2), padding, (holes, 1), (1, spacing))
        return lax.reduce_window(x, begin, lambda a, b: a - 2 * b, *how)

    agree(windows, np.round(16 * X))
