"""Work of a plain function over all tiles: the talk's gradient, shares, pieces, and their syncs."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.codelets.cases import dense
from tests.machines import STATED
from tests.trace.comparing import words
from tilewright.codelets.convolution import Convolution
from tilewright.codelets.cut import Cut
from tilewright.machine.cost import price
from tilewright.machine.meetings import messages
from tilewright.models import talk
from tilewright.plan import memory
from tilewright.plan.basic import copy_codelet
from tilewright.plan.ir import Buffer, Call, Spread, Step, Sync, View
from tilewright.plan.spread import _piece_length, spread_call
from tilewright.plan.views import whole
from tilewright.simulate import simulate

ROOT = Path(__file__).parents[2]


def product(a, b):
    return jnp.tanh(a @ b)


A, B = (np.random.default_rng(i).normal(size=(300, 90)).astype(np.float32) for i in range(2))


def test_the_talks_gradient_at_its_own_size():
    """58,368 rows: strips spread over the tiles, each in its own memory; the same bits on any."""
    rng = np.random.default_rng(0)
    x = (0.001 * rng.normal(size=(58_368, 22))).astype(np.float32)
    y = (100 * rng.standard_t(3, size=58_368)).astype(np.float32)
    at = jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), talk.start())
    function = jax.value_and_grad(lambda at, x, y: talk.log_density(x, y)(at))
    programs = {tiles: tilewright.compile(function, at, x, y, tiles=tiles) for tiles in (1, 2, 5)}
    plan = programs[2].compiled.program
    assert any(isinstance(step, Spread) and step.count >= 32 for step in plan.steps)
    assert plan.tile_bytes <= STATED.tile.memory
    results = {tiles: jax.tree.leaves(p(at, x, y)) for tiles, p in programs.items()}
    for tiles in (2, 5):
        for one, other in zip(results[1], results[tiles], strict=True):
            np.testing.assert_array_equal(one, other)
    for ours, theirs in zip(results[1], jax.tree.leaves(jax.jit(function)(at, x, y)), strict=True):
        np.testing.assert_allclose(ours, theirs, 2e-3, 1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("rows", [300, 1000, 2000])
def test_pieces_are_alike_where_their_number_allows_it(rows):
    """A rest is one more function: LLVM would take twice as long for a product of 300 x 300."""
    weights = np.ones((300, 300), "f4")
    made = tilewright.compile(lambda x: x @ weights, np.ones((rows, 300), "f4")).compiled
    spreads = [step for step in made.program.steps if isinstance(step, Spread)]
    assert len({step.steps[0].codelet for step in spreads}) == 1
    assert sum(step.count for step in spreads) * spreads[0].steps[0].codelet.m == rows


@pytest.mark.parametrize(("length", "tiles"), [(8, 8), (80, 8), (80, 2), (1000, 3), (640, 40)])
def test_pieces_that_are_alike_are_enough_for_all_tiles(length, tiles):
    machine = replace(STATED, chip=replace(STATED.chip, tiles=tiles))
    for most in (1, 32):
        found = _piece_length(Cut(length, (0,)), 1e12, machine, most)
        pieces = -(-length // found)
        assert pieces >= min(length, (1 if most == 1 else 8) * tiles)
        assert most > 1 or pieces <= tiles


@pytest.mark.parametrize("number", range(2))
def test_each_sync_is_needed(number):
    """Before and after the spread: without either, the simulation sees a race."""
    program = tilewright.compile(lambda a, b: product(a, b.T).sum(0), A, B).compiled.program
    inputs = [*map(words, (A, B))]
    assert simulate(program, inputs, 3).races == []
    place = [i for i, step in enumerate(program.steps) if isinstance(step, Sync)][number]
    assert any(isinstance(step, Spread) for step in program.steps[place - 1 : place + 2])
    broken = replace(program, steps=program.steps[:place] + program.steps[place + 1 :])
    assert simulate(broken, inputs, 3).races


def test_pieces_are_what_codelets_are_fast_on():
    """Whole vectors, no slivers; what is left over is dealt out beside the rest."""
    program = tilewright.compile(lambda a, b: a @ b, np.ones((1000, 200), "f4"),
                                 np.ones((200, 1500), "f4")).compiled.program  # fmt: skip
    first, second = [step for step in program.steps if isinstance(step, Spread)]
    lengths = [step.steps[0].codelet.n for step in (first, second)]
    assert lengths[0] in (32, 48, 64)
    assert first.count * lengths[0] + second.count * lengths[1] == 1500
    assert (first.joins, second.joins) == (False, True)
    assert not any(isinstance(step, Sync) for step in program.steps[:2])


@pytest.mark.parametrize("most", [20, 40, 400])
def test_a_piece_takes_no_less_than_drawing_its_number(most):
    """A message or two between two tiles: a part of the barrier of 64."""
    source, target = (whole(Buffer("float32", 1 << 20, "shared"), (4096, 256)) for _ in range(2))
    codelet = copy_codelet([source], [target])
    cycles = price(codelet.work, STATED.tile, 2 * source.buffer.nbytes).cycles
    barrier = cycles / (most + 0.5) * messages(64) / messages(2)
    chip = replace(STATED.chip, sync_cycles=barrier, tiles=64)
    found = spread_call(codelet, [source, target], replace(STATED, chip=chip))
    assert found is not None
    assert most / 2 <= sum(step.count for step in found if isinstance(step, Spread)) <= most


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8"])
@pytest.mark.parametrize("turned", [False, True])
def test_products_of_any_dtype_and_layout(dtype, turned):
    """Pieces whose operands are converted or turned have memory of their own for that."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(400, 300)) * 3 for _ in range(2))
    a, b = a.astype(jnp.dtype(dtype)), b.astype(jnp.dtype(dtype))

    def fn(a, b):
        return (a.T @ b if turned else a @ b.T) + a.dtype.type(1)

    agree(fn, a, b, relative=1e-2, absolute=0.3)


class Touch:
    """A codelet by name only."""


def test_memory_of_spreads_without_a_sync_between_them():
    """One tile may still be in the first when another is in the second."""
    early, late = (Buffer("float32", 64, "shared") for _ in range(2))

    def spread(var: int, buffer: Buffer, joins: bool) -> Step:
        view = View(buffer, (8,), (1,), 0, ((var, 8),))
        return Spread(var, 8, (Call(Touch(), (view,)),), joins)  # type: ignore[arg-type]

    steps = (spread(-1, early, False), spread(-2, late, True))
    offsets = memory.place_buffers(steps).offsets
    assert abs(offsets[early] - offsets[late]) >= 256
    apart = (steps[0], Sync(), steps[1])
    assert len(set(memory.place_buffers(apart).offsets.values())) == 1


def test_a_loop_of_spreads_gives_equal_bits_with_more_workers_than_cpus():
    """Every worker meets its share again in each turn, and helps the others at the end."""
    text = """
import numpy as np, tilewright
from tests.plan.test_spread import A, B, turns
one, five = (tilewright.compile(turns, A, B, tiles=n) for n in (1, 5))
assert five.workers == 5, five.workers
expected = one(A, B)
for _ in range(5):
    np.testing.assert_array_equal(five(A, B), expected)
"""
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "TILEWRIGHT_TILES": "5"},
    )
    assert done.returncode == 0, done.stderr


def turns(a, b):
    def step(_, a):
        return product(a, b.T @ b * 0.01) * 0.5 + a

    return lax.fori_loop(0, 7, step, a)


@pytest.mark.parametrize(("tiles", "groups", "axis"), [(2, 8, 3), (4, 8, 3), (8, 8, 1), (4, 2, 1)])
def test_few_groups_are_no_work_for_many_tiles(tiles, groups, axis):
    """Of 14 rows, by two groups a piece; their kernels are larger than the image."""
    shapes = (1, 18, 18, groups, 16), (groups, 5, 5, 16, 16), (1, 14, 14, groups, 16)
    image, kernel, out = operands = [dense("float32", *shape) for shape in shapes]
    arguments = [whole(Buffer("float32", o.size, "shared"), o.shape) for o in operands]
    on = replace(STATED, chip=replace(STATED.chip, tiles=tiles))
    steps = spread_call(Convolution(image, kernel, out, (1, 1), (1, 1)), arguments, on)
    assert steps
    made = steps[0].steps[0].views[2].shape
    assert made[axis] < shapes[2][axis]
    assert sum(step.count for step in steps) >= min(tiles, 4)
