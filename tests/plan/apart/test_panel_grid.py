"""Products that skip zero blocks, on tiles that share no memory: bits, even groups, time."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.machine.granules import squares
from tilewright.machine.panels import turns_of
from tilewright.plan.ir import Call, Family, Loop
from tilewright.plan.lower import lower
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(5)
MEMORY = 1 << 20
GC200 = machine("ipu:gc200")


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def mask_of(k, n, tall, density):
    """The same, whichever tests ran before."""
    return np.random.default_rng((k, n, tall)).random((k // tall, n // 16)) < density


def turned(x, w, mask, turns=3):
    """A loop whose weights stay."""
    w = tilewright.blocks(w, mask)
    return jax.lax.fori_loop(0, turns, lambda _, x: jnp.tanh(x @ w), x)


def planned(fn, args, on):
    traced = trace(fn, *args)
    stages = Stages(traced.graph, Dump("test"), machine=on)
    program, literals = lower(stages.graph, on)  # though the whole may be sooner
    inputs = [*traced.constants, *args]
    return program, [*literals, *inputs], evaluate(traced.graph, inputs)


def skipping(steps):
    """Families of products that skip blocks."""
    for step in steps:
        if isinstance(step, Family):
            if any(isinstance(s, Call) and s.codelet.name.startswith("contract_blocks")
                   for s in step.steps):  # fmt: skip
                yield step
        elif hasattr(step, "steps"):
            yield from skipping(step.steps)


@pytest.mark.parametrize(
    ("m", "n", "tall", "tiles"), [(40, 64, 16, 7), (33, 64, 4, 16), (9, 320, 16, 5)]
)
def test_bits_are_those_of_the_graph(m, n, tall, tiles):
    """The last has more panels than tiles; one panel has no block at all."""
    mask = mask_of(n, n, tall, 0.25)
    mask[:, 1] = False
    args = normal(m, n), normal(n, n)
    program, inputs, expected = planned(lambda x, w: turned(x, w, mask), args, tiny(tiles, MEMORY))
    assert list(skipping(program.steps))
    assert faults(program, MEMORY) == []
    result = simulate(program, inputs, tiles, seed=1)
    assert result.races == []
    same_bits(result.outputs[0].reshape(m, n), expected[0])


def stages(mask, turns, on, *specs):
    traced = trace(lambda x, w: turned(x, w, mask, turns), *specs)
    return Stages(traced.graph, Dump("test"), machine=on)


def square(size):
    return [jax.ShapeDtypeStruct((size, size), np.float32)] * 2


def test_tiles_have_as_much_as_each_other():
    """Four panels of 32 are full, the others have one block in 32."""
    mask = np.zeros((32, 32), bool)
    mask[:, :4] = True
    mask[0] = True
    held = np.zeros(1472)
    program, _ = lower(stages(mask, 9, GC200, *square(512)).graph, GC200)
    assert list(skipping(program.steps))
    for family in skipping(program.steps):
        (call,) = family.steps
        held[family.homes.tiles()] += sum(call.codelet.counts) * call.codelet.m
    assert held.max() < 2 * held[held > 0].mean()


@cache
def cycles_at(density):
    mask, on = mask_of(1024, 1024, 16, density), machine("ipu:gc200")
    return run(stages(mask, 100, on, *square(1024)).program, on).cycles


@pytest.mark.parametrize(("density", "most"), [(0.25, 0.62), (0.1, 0.42)])
def test_what_is_gone_takes_no_time(density, most):
    """Where weights stay: the whole, with its functions and what is passed on."""
    assert cycles_at(density) < most * cycles_at(1.0)


def test_half_of_all_blocks_is_done_whole():
    mask = mask_of(512, 512, 16, 0.5)
    program = stages(mask, 9, machine("ipu:gc200"), *square(512)).program
    assert not list(skipping(program.steps))


def test_what_is_too_little_for_all_tiles_is_done_whole():
    mask = mask_of(256, 256, 16, 0.25)
    fn = lambda x, w: turned(x, w, mask)  # noqa: E731
    program = planned(fn, (normal(2, 256), normal(256, 256)), machine("ipu:gc200"))[0]
    assert not list(skipping(program.steps))


def coarse(count, density):
    """Of 32 by 32, as one granule of a Tenstorrent tile has them."""
    kept = np.random.default_rng(count).random((count // 32, count // 32)) < density
    return np.repeat(np.repeat(kept, 2, 0), 2, 1)


def without_waits(name):
    """The same machine, on which to begin costs nothing: all that can be dealt out is."""
    on = machine(name)
    tile = replace(on.tile, call=0.0)
    return replace(on, chip=replace(on.chip, tile=tile, sync_cycles=0))


@pytest.mark.parametrize("size", [64, 80])
def test_granules_that_are_zero_are_skipped_to_the_bit(size):
    """Of 80 columns the last granule is half full, and so is the last one down."""
    on, mask = without_waits("tt:n150"), mask_of(size, size, 16, 0.2)
    mask[32 // 16 :, :2] = False
    args = normal(60, size), normal(size, size)
    program, inputs, expected = planned(lambda x, w: turned(x, w, mask, 1), args, on)
    assert list(skipping(program.steps))
    assert faults(program, on.tile.memory) == []
    result = simulate(program, inputs, on.tiles, seed=1)
    assert result.races == []
    same_bits(result.outputs[0].reshape(60, size), expected[0])


def test_what_lies_in_a_granule_with_something_is_multiplied():
    lines = np.zeros((5, 80), bool)
    lines[1, 40] = lines[4, 79] = True
    there = squares(lines, machine("tt:n150").tile, "float32")
    assert there.sum() == 2 * 32 + 16
    assert there[:2, 32:64].all()
    assert there[4, 64:].all()
    assert squares(lines, GC200.tile, "float32") is lines


def test_zeros_take_no_time_on_a_mesh():
    on = machine("tt:n150")
    masks = np.ones((64, 64), bool), coarse(1024, 0.25)
    whole, thin = (run(stages(m, 100, on, *square(1024)).program, on) for m in masks)
    assert thin.cycles < 0.75 * whole.cycles
    multiplied = [row for row in thin.supersteps if any("contract" in name for name in row.names)]
    before = [row for row in whole.supersteps if any("contract" in name for name in row.names)]
    assert sum(r.compute * r.times for r in multiplied) < 0.5 * sum(
        r.compute * r.times for r in before
    )


def test_rows_in_turns_where_not_all_fit():
    mask = mask_of(64, 64, 16, 0.4)
    fn, args = lambda x, w: turned(x, w, mask, 1), (normal(64, 64), normal(64, 64))
    on = tiny(4, 20 << 10)
    assert turns_of(64, 64, 4, on) == 2
    made = Stages(trace(fn, *args).graph, Dump("test"), machine=on)
    program, literals = lower(made.graph, on)
    assert any(isinstance(step, Loop) and list(skipping(step.steps)) for step in program.steps)
    result = simulate(program, [*literals, *args], 4, seed=1)
    assert result.races == []
    same_bits(result.outputs[0].reshape(64, 64), evaluate(made.graph, list(args))[0])
