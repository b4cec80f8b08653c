"""Products of which some blocks are wanted, on tiles that share no memory: bits, races, time."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tests.plan.apart.test_panel_grid import without_waits
from tests.plan.test_masked import (
    TRAINING,
    blocks_of,
    fits,
    handed_on,
    mask_of,
    normal,
    of_two_layers,
)
from tests.simulate.test_placed import without_one
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.plan.ir import Exchange, Sync
from tilewright.plan.lower import lower
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.stages import Stages
from tilewright.trace import trace

MEMORY = 1 << 20


def wanted(x, y, blocks):
    return blocks(x.T @ y)


def updated(x, y, blocks):
    """Added to something before it is masked, and read by a product after."""
    made = blocks(x.T @ y + jnp.ones((x.shape[1], 1)))
    return jnp.tanh(x @ made), made * 2


def planned(fn, args, on):
    """Though the whole may be sooner."""
    traced = trace(fn, *args)
    stages = Stages(traced.graph, Dump("test"), machine=on)
    program, literals = lower(stages.graph, on)
    inputs = [*traced.constants, *args]
    return program, [*literals, *inputs], evaluate(traced.graph, inputs)


def sampled(program):
    """Whether it has vertices that compute some blocks."""
    return "contract_sampled" in program_to_text(program)


def holds(fn, args, on):
    program, inputs, expected = planned(fn, args, on)
    assert sampled(program)
    assert faults(program, on.tile.memory) == []
    result = simulate(program, inputs, on.tiles, seed=1)
    assert result.races == []
    for found, right in zip(result.outputs, expected, strict=True):
        same_bits(found.reshape(right.shape), right)


@pytest.mark.parametrize("tall", [1, 4, 16])
@pytest.mark.parametrize("tiles", [4, 5, 9, 16])
@pytest.mark.parametrize("terms", [6, 600, 1100])
def test_bits_are_those_of_the_graph(terms, tiles, tall):
    """Up to five leaves of terms, which more tiles than panels add up."""
    args = normal(terms, 48), normal(terms, 64)
    for fn in (wanted, updated):
        holds(partial(fn, blocks=blocks_of((0, 48), 64, tall, 0.3)), args, tiny(tiles, MEMORY))


@pytest.mark.parametrize("tiles", [3, 5, 7])
@pytest.mark.parametrize("fn", [*TRAINING, of_two_layers, fits, handed_on])
def test_training(fn, tiles):
    w = (3, 48, 48) if fn is fits else (48, 48)
    args = normal(40, 48), normal(*w)
    holds(partial(fn, blocks=blocks_of((0, 48), 48, 4, 0.3)), args, tiny(tiles, MEMORY))


@pytest.mark.parametrize("size", [64, 80])
def test_granules(size):
    """Of 80 columns the last granule is half full, and so is the last one down."""
    args = normal(70, size), normal(70, size)
    fn = partial(wanted, blocks=blocks_of((0, size), size, 16, 0.2))
    holds(fn, args, without_waits("tt:n150"))


def test_a_mask_that_hides_all():
    fn = partial(wanted, blocks=lambda w: tilewright.blocks(w, np.zeros((3, 4), bool)))
    holds(fn, (normal(20, 48), normal(20, 64)), tiny(9, MEMORY))


def test_fewer_tiles_than_panels_do_it_whole():
    fn, args = (
        partial(wanted, blocks=blocks_of((0, 48), 64, 4, 0.3)),
        (normal(9, 48), normal(9, 64)),
    )
    assert not sampled(planned(fn, args, tiny(3, MEMORY))[0])


@pytest.mark.parametrize("kind", [Sync, Exchange])
def test_what_is_left_out_shows(kind):
    """A sync that is removed is a race; an exchange, a wrong result."""
    fn = partial(updated, blocks=blocks_of((0, 48), 64, 4, 0.3))
    args, on = (normal(600, 48), normal(600, 64)), tiny(16, MEMORY)
    program, inputs, expected = planned(fn, args, on)
    planted = [replace(program, steps=steps) for steps in without_one(program.steps, kind)]
    assert planted
    for wrong in planted:
        try:
            result = simulate(wrong, inputs, on.tiles, seed=1)
        except (IndexError, ValueError):  # tables never came
            continue
        pairs = zip(result.outputs, expected, strict=True)
        alike = all(np.array_equal(found.reshape(e.shape), e) for found, e in pairs)
        assert result.races or not alike


@cache
def product(density, on, terms=1024, size=1024):
    """Cycles of the supersteps in which the gradient of a matrix is computed, of a turn."""
    mask = mask_of(size, size, 16, density)

    def descent(x, w):
        def loss(w):
            return jnp.sum(jnp.tanh(x @ tilewright.blocks(w, mask)) ** 2)

        return jax.lax.fori_loop(0, 10, lambda _, w: w - 0.01 * jax.grad(loss)(w), w)

    specs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((terms, size), (size, size))]
    stages = Stages(trace(descent, *specs).graph, Dump("test"), machine=on)
    program = (stages if density < 1 else stages.whole or stages).program
    rows = [row for row in run(program, on).supersteps if row.times == 10]
    last = max(i for i, row in enumerate(rows) if any("contract" in name for name in row.names))
    return rows[last].compute


@pytest.mark.parametrize(("density", "most"), [(0.5, 0.65), (0.25, 0.42), (0.1, 0.26)])
def test_what_is_gone_takes_no_time(density, most):
    on = machine("ipu:gc200")
    assert product(density, on) < most * product(1.0, on)
