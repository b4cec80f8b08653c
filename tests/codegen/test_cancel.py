"""Compiled programs stop within 0.2 s of being told to, whatever they are in the middle of."""

import time

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import on_tiles

FOREVER = 10**9
SMALL, WIDE = np.eye(48, dtype=np.float32), np.eye(400, dtype=np.float32)
STACK = np.ones((3, 800, 800), np.float32)


def straight(x):
    """A second or two of products, one after the other, without any loop."""
    for _ in range(120):
        x = x @ x * 1e-3
    return x


KINDS = {
    "a loop of one tile": (lambda x: lax.fori_loop(0, FOREVER, lambda _, c: c @ x, x), SMALL),
    "a loop of all tiles": (lambda x: lax.fori_loop(0, FOREVER, lambda _, c: c @ x, x), WIDE),
    "a while loop of all tiles": (
        lambda x: lax.while_loop(lambda c: c[0, 0] < 2, lambda c: c @ x, x),
        WIDE,
    ),
    "a loop in registers": (
        lambda x: lax.fori_loop(0, FOREVER, lambda _, c: c * 0.5 + x, x),
        WIDE[0, 0],
    ),
    "a while loop in registers": (
        lambda x: lax.while_loop(lambda c: c < 3, lambda c: c * 0.5 + x, x),
        WIDE[0, 0],
    ),
    "straight work": (tilewright.tile_map(straight), STACK),
}


@pytest.mark.parametrize("kind", KINDS)
def test_stops_in_the_middle(kind):
    function, x = KINDS[kind]
    program = on_tiles(2, function, x)

    def seconds() -> float:
        run = program.start(x)
        time.sleep(0.03)
        assert not run.done
        start = time.monotonic()
        run.cancel()
        assert run.wait(5)
        return time.monotonic() - start

    assert min(seconds() for _ in range(3)) < 0.2


def test_a_program_runs_again_from_its_start():
    """What was left in the middle leaves nothing behind."""

    def turns(n, x):
        return lax.fori_loop(0, n, lambda _, c: c + jnp.tanh(x @ x), x)

    x = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32) / 10
    program = on_tiles(2, turns, np.int32(5), x)
    expected = program(np.int32(5), x)
    run = program.start(np.int32(FOREVER), x)
    time.sleep(0.02)
    run.cancel_and_wait()
    np.testing.assert_array_equal(program(np.int32(5), x), expected)
