"""A program that does not fit the host is refused before it runs, in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.errors import ArgumentError, CapacityError
from tilewright.plan.capacity import check_capacity, needed

X = np.ones((40, 30), np.float32)


def step(x):
    return jnp.flip(jnp.cumsum(x, 0), 1) @ x.T


def test_what_fits_is_let_by():
    program = tilewright.compile(step, X).compiled.program
    arrays = X.nbytes + 40 * 40 * 4
    exact = arrays + program.shared_bytes + 2 * program.tile_bytes
    check_capacity(program, 2, exact)
    with pytest.raises(CapacityError, match="fewer rows or images at a time"):
        check_capacity(program, 2, exact - 1)


def test_how_much_and_the_largest_are_said():
    """A million images of a terabyte, of which nothing is made."""
    images = jax.ShapeDtypeStruct((1 << 20, 256, 256, 4), jnp.float32)
    with pytest.raises(CapacityError) as found:
        tilewright.compile(lambda x: jnp.cumsum(x * 2, 1)[:, -1], images)
    said = str(found.value)
    assert said.startswith("The program needs ")
    assert "1,099.5 GB of float32, an input" in said
    assert "made by mul" in said or "made by cumulative" in said
    assert " 0.0 GB of" not in said  # what is small beside them would help nobody


def training(weights, rows):
    """The gradient of a norm over rows, then an activation: both read the raw product again."""

    def loss(weights):
        raw = rows @ weights
        centred = raw - jnp.mean(raw, 0)
        normed = centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), 0))
        return jnp.mean(jnp.square(jnp.mean(jax.nn.silu(normed), 0)))

    return jax.grad(loss)(weights)


def test_what_is_over_a_limit_is_computed_anew_to_the_same_bits():
    """Rows that lie near, so that all that is made of them would be stored."""
    rows = np.random.default_rng(0).normal(size=(1024, 64)).astype(np.float32)
    given = rows[:64], rows
    usual = tilewright.compile(training, *given, tiles=1)
    tiles = usual.compiled.source.machine.chip.tiles
    taken = needed(usual.compiled.program, tiles)
    same = tilewright.compile(training, *given, tiles=1, memory_limit=taken)
    assert needed(same.compiled.program, tiles) == taken
    limited = tilewright.compile(training, *given, tiles=1, memory_limit=int(0.75 * taken))
    assert needed(limited.compiled.program, tiles) <= 0.75 * taken
    np.testing.assert_array_equal(usual(*given), limited(*given))
    with pytest.raises(CapacityError, match=r"and there are 0\.001: the largest arrays are 0\.00"):
        tilewright.compile(training, *given, tiles=1, memory_limit=1_000_000)


def test_more_tiles_than_the_host_has_count_for_a_limit():
    """Each works in memory of its own, on instances that are whole on one."""

    def total(rows):
        sums = jnp.cumsum(jnp.cumsum(rows, 0)[::-1], 1)
        return jnp.sum(sums)

    mapped, many = tilewright.tile_map(total), np.ones((8, 500, 100), np.float32)
    usual = tilewright.compile(mapped, many)
    tiles = usual.compiled.source.machine.chip.tiles + 6
    taken, own = needed(usual.compiled.program, tiles), usual.compiled.program.tile_bytes
    assert own > 0
    limited = tilewright.compile(mapped, many, tiles=tiles, memory_limit=taken)
    np.testing.assert_array_equal(usual(many), limited(many))
    with pytest.raises(CapacityError, match="The program needs"):
        tilewright.compile(mapped, many, tiles=tiles, memory_limit=taken - 1)


@pytest.mark.parametrize("limit, machine, words", [
    (0, None, "memory_limit must be a positive whole number, not 0"),
    (True, None, "memory_limit must be a positive whole number, not True"),
    (1e9, None, "memory_limit must be a positive whole number, not 1000000000.0"),
    (1 << 30, "xla", "memory_limit is of this host"),
    (1 << 30, "ipu:gc200", "memory_limit is of this host"),
])  # fmt: skip
def test_a_limit_that_is_none(limit, machine, words):
    with pytest.raises(ArgumentError, match=words):
        tilewright.compile(step, X, memory_limit=limit, machine=machine)
