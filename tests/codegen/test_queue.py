"""Queues that are run again and again: every turn of a loop draws all instances anew."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import on_tiles
from tilewright.plan.ir import Loop, Map, Spread

TURNS, INSTANCES = 4, 7


def collatz(x):
    """A loop of unknown length, so that instances are worth dealing out."""
    n = lax.while_loop(lambda n: n > 1, lambda n: jnp.where(n % 2, 3 * n + 1, n // 2), x % 50 + 1)
    return x + n


def rounds(x):
    return lax.fori_loop(0, TURNS, lambda _, x: lax.map(collatz, x), x)


def products(x):
    """One product, rows of which are dealt out, a few times over."""
    return lax.fori_loop(0, TURNS, lambda _, x: jnp.tanh(x @ x) + x[0, 0], x)


@pytest.mark.parametrize("tiles", [1, 2, 3, 5])
def test_a_map_in_a_loop_draws_every_instance_in_every_turn(tiles):
    x = np.arange(INSTANCES, dtype=np.int32)
    program = on_tiles(tiles, rounds, x)
    (loop,) = (step for step in program.compiled.program.steps if isinstance(step, Loop))
    assert any(isinstance(step, Map) for step in loop.steps)
    for _ in range(3):
        np.testing.assert_array_equal(program(x), x + TURNS)


@pytest.mark.parametrize("tiles", [2, 3])
def test_a_spread_in_a_loop_does_all_of_its_work_in_every_turn(tiles):
    x = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32) / 10
    program, alone = on_tiles(tiles, products, x), on_tiles(1, products, x)
    (loop,) = (step for step in program.compiled.program.steps if isinstance(step, Loop))
    assert any(isinstance(step, Spread) for step in loop.steps)
    for _ in range(3):
        np.testing.assert_array_equal(program(x), alone(x))
