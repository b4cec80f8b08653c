"""Products that skip zero blocks, on tiles that share no memory: bits, even groups, time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.compiler import Stages
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.plan.ir import Call, Family
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.trace import trace

RANDOM = np.random.default_rng(5)
MEMORY = 1 << 20


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def mask_of(k, n, tall, density):
    return RANDOM.random((k // tall, n // 16)) < density


def turned(x, w, mask, turns=3):
    """A loop whose weights stay."""
    w = tilewright.blocks(w, mask)
    return jax.lax.fori_loop(0, turns, lambda _, x: jnp.tanh(x @ w), x)


def planned(fn, args, on):
    traced = trace(fn, *args)
    stages = Stages(traced.graph, Dump("test"), machine=on)
    program, literals = stages.lowered
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
    for family in skipping(stages(mask, 9, machine("ipu:gc200"), *square(512)).program.steps):
        (call,) = family.steps
        held[family.homes.tiles()] += sum(call.codelet.counts) * call.codelet.m
    assert held.max() < 2 * held[held > 0].mean()


@pytest.mark.parametrize(("density", "most"), [(0.25, 0.62), (0.1, 0.42)])
def test_what_is_gone_takes_no_time(density, most):
    """Where weights stay: the whole, with its functions and what is passed on."""
    mask = mask_of(1024, 1024, 16, density)
    on = machine("ipu:gc200")
    masks = np.ones_like(mask), mask
    whole, thin = (run(stages(m, 100, on, *square(1024)).program, on) for m in masks)
    assert thin.cycles < most * whole.cycles


def test_half_of_all_blocks_is_done_whole():
    mask = mask_of(512, 512, 16, 0.5)
    program = stages(mask, 9, machine("ipu:gc200"), *square(512)).program
    assert not list(skipping(program.steps))


def test_what_is_too_little_for_all_tiles_is_done_whole():
    mask = mask_of(256, 256, 16, 0.25)
    fn = lambda x, w: turned(x, w, mask)  # noqa: E731
    program = planned(fn, (normal(2, 256), normal(256, 256)), machine("ipu:gc200"))[0]
    assert not list(skipping(program.steps))
