"""Cells over tiles that share no memory: patches of rows, weights that stay, rows of each turn."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.plan.apart.candidates import candidates
from tilewright.plan.apart.patches import share
from tilewright.plan.apart.problem import Problem
from tilewright.plan.ir import Exchange, Family, Loop
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def bent(x):
    """In place of a tangent, which NumPy rounds in its own way."""
    return x / (1 + jnp.abs(x))


def layer(W, U, xs):
    """(time, batch, inputs) to (time, batch, units): gates beside each other, as in an LSTM."""

    def step(carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ W + h @ U, 4, -1)
        c = bent(f) * c + bent(i) * bent(g)
        h = bent(o) * bent(c)
        return (h, c), h

    zero = jnp.zeros((xs.shape[1], U.shape[0]))
    return jax.lax.scan(step, (zero, zero), xs)[1]


def cells(time, batch, inputs, units):
    return normal(inputs, 4 * units), normal(units, 4 * units), normal(time, batch, inputs)


def planned(fn, args, on):
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=on)
    return stages.traced, *stages.lowered


@pytest.mark.parametrize(("batch", "tiles"), [(1, 5), (3, 16), (20, 16)])
def test_cells_have_the_graphs_bits(batch, tiles):
    args = cells(4, batch, 5, 8)
    traced, program, literals = planned(layer, args, tiny(tiles, 1 << 20))
    assert faults(program, 1 << 20) == []
    result = simulate(program, [*literals, *args], tiles, seed=batch)
    assert result.races == []
    for flat, array in zip(result.outputs, evaluate(traced, list(args)), strict=True):
        same_bits(flat.reshape(array.shape), array)


GC200 = machine("ipu:gc200")


@pytest.fixture(scope="module")
def loop():
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in cells(50, 64, 16, 256)]
    _, program, _ = planned(layer, shapes, GC200)
    (step,) = (step for step in program.steps if isinstance(step, Loop))
    return program, step


def test_few_rows_are_cut_along_their_columns(loop):
    """64 rows of 256 units: more tiles than rows have something to do with the gates."""
    cells = [
        step for step in loop[1].steps
        if isinstance(step, Family) and any("fused" in c.codelet.name for c in step.steps)
    ]  # fmt: skip
    assert cells
    assert all(step.homes.tiles().size >= 1024 for step in cells)


def test_weights_stay_where_they_are(loop):
    """A turn brings what changes: far less than the weights."""
    program, step = loop
    row = max(
        (s for s in run(program, GC200).supersteps if s.times == step.count),
        key=lambda s: s.passed,
    )
    moves = [move for e in step.steps if isinstance(e, Exchange) for move in e.moves]
    assert all(move.source.buffer.space != "input" or move.source.moves for move in moves)
    assert row.exchange < 3000


def test_what_a_turn_gives_lies_where_it_was_made(loop):
    """Each turn's rows on all tiles, not each tile's share of turns."""
    program, step = loop
    (result,) = (e.moves for e in program.steps[-1:] if isinstance(e, Exchange))
    (move,) = result
    homes = move.source.buffer.homes
    assert homes is not None
    assert homes.tiles().size >= 1024
    assert homes.slots >= step.count


def test_shares_are_even_where_that_costs_little():
    assert share(262_144, 1472) == 256
    assert share(880, 1216) == 1
    assert share(7 * 7 * 7, 100) == 4, "the next that divides it is 7"
    assert share(1, 5) == 1


def test_operands_that_a_loop_leaves_alone_are_brought_once():
    problem = Problem(64, 1024, 256, "float32", ("mk", "kn"))
    ways = candidates(problem, GC200)
    fixed = candidates(replace(problem, fixed=(False, True)), GC200)
    assert (fixed.exchange <= ways.exchange).all()
    turned = fixed.serial > 1
    assert (fixed.exchange[turned] == ways.exchange[turned]).all(), "turns bring it each time"
    best, plain = fixed.best(), ways.best()
    assert best is not None
    assert plain is not None
    assert fixed.cycles[best] < ways.cycles[plain]


def test_several_results_of_an_image_come_without_gaps():
    """A place for a patch has its elements alone, not the rows of the image around them."""

    def both(x, b):
        y = x * b + 1.0
        return jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0))), y * y, y - x

    shapes = [jax.ShapeDtypeStruct(s, np.float32) for s in ((1, 56, 56, 144), (144,))]
    _, program, _ = planned(both, shapes, GC200)
    blocks = [
        buffer.block for buffer in program.offsets
        if buffer.homes is not None and buffer.homes.blocks > 1 and buffer.size > 56 * 56 * 144 / 2
    ]  # fmt: skip
    assert blocks
    assert max(blocks) <= 2 * 56 * 56 * 144 / GC200.tiles
