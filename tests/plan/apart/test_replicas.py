"""Instances of a map on chips of their own: the graph's bits, how long it takes, what is where."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.errors import CapacityError
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.plan.apart.replicas import instances
from tilewright.plan.ir import Replicas
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import occupancy
from tilewright.simulate.ways import best
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
COUNT = 7


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def chips(count, tiles=4, memory=1 << 20):
    return replace(tiny(tiles, memory), chips_per_replica=count)


def fitted(x, w, y):
    """Some steps downhill, fewer where the data are kind, and what was left."""

    def turn(state):
        step, w = state
        return step + 1, w - 0.01 * (x.T @ (x @ w - y))

    steps, w = jax.lax.while_loop(lambda s: s[0] < 3 + (y[0] > 0), turn, (0, w))
    return w, steps, jnp.sum((x @ w - y) ** 2)


ARGUMENTS = normal(COUNT, 40, 6), normal(6), normal(COUNT, 40)


def many(x, w, y):
    return tilewright.tile_map(fitted, in_axes=(0, None, 0))(x, w * 0.5, y)


def stages(on, fn=many, args=ARGUMENTS):
    return Stages(trace(fn, *args).graph, Dump("test"), machine=on)


@pytest.fixture(scope="module")
def planned():
    return stages(chips(3))


def test_instances_on_chips_have_the_graphs_bits(planned):
    program, literals = planned.ways["chips"].plan()
    assert faults(program, 1 << 20) == []
    expected = evaluate(planned.traced, list(ARGUMENTS))
    result = simulate(program, [*literals, *ARGUMENTS], 12, seed=1)
    assert result.races == []
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)
    assert len(np.unique(expected[1])) > 1, "chips turn as often as their instances need"


def test_a_chip_takes_as_long_as_its_instances(planned):
    program = planned.ways["chips"].plan()[0]
    (step,) = (step for step in program.steps if isinstance(step, Replicas))
    assert (step.count, step.chips, step.turns) == (COUNT, 3, 3)
    once = run(program, chips(3), {"while0": 2}).cycles
    one = run(stages(chips(COUNT)).ways["chips"].plan()[0], chips(COUNT), {"while0": 2}).cycles
    assert once == pytest.approx(3 * one), "as many chips as instances: each has one"
    uneven = np.array([2, 2, 2, 2, 2, 2, 9])  # the last is the first chip's third
    longer = run(program, chips(3), {"while0": uneven})
    assert longer.cycles > once
    assert longer.cycles == run(program, chips(3), {"while0": 13 / 3}).cycles


def test_every_chip_holds_what_the_first_does(planned):
    held = occupancy(planned.ways["chips"].plan()[0]).by_tile.reshape(3, 4)
    assert held.max() > 0
    assert (held == held[0]).all()


def test_text_says_how_many_chips(planned):
    text = program_to_text(planned.ways["chips"].plan()[0])
    assert f"replicas v0 < {COUNT} over 3 chips of 4 tiles:" in text


def test_what_does_not_fit_a_tile_has_a_chip():
    """Its rows lie over all of the chip's tiles."""
    args = normal(3, 2000, 6), normal(6), normal(3, 2000)
    ways = stages(chips(2, tiles=16, memory=80 << 10), args=args).ways
    assert "more than" in ways["tiles"].fault
    assert best(ways) is ways["chips"]


def test_the_sooner_is_taken():
    """Of few instances over many rows, one a chip; of many short ones, one a tile."""

    def sums(x):
        return tilewright.tile_map(lambda x: jnp.sum(jnp.tanh(x @ x.T)))(x)

    few = stages(machine("ipu:m2000"), sums, [normal(2, 150, 30)]).ways
    lots = stages(machine("ipu:m2000"), sums, [normal(3000, 9, 5)]).ways
    assert best(few) is few["chips"]
    assert best(lots) is lots["tiles"]
    cycles = [{name: way.cycles or 0.0 for name, way in ways.items()} for ways in (few, lots)]
    assert 0 < cycles[0]["chips"] < cycles[0]["tiles"]
    assert cycles[1]["chips"] > cycles[1]["tiles"] > 0


def test_both_are_told():
    exe = tilewright.compile(
        lambda x: tilewright.tile_map(lambda x: jnp.sum(jnp.tanh(x)))(x),
        jax.ShapeDtypeStruct((4, 50), np.float32), machine="ipu:m2000",
    )  # fmt: skip
    assert "a tile an instance: " in str(exe.simulate())
    assert "a chip an instance: " in str(exe.simulate())
    with pytest.raises(CapacityError, match="more than"):
        tilewright.compile(
            lambda x: tilewright.tile_map(lambda x: jnp.sort(x, 0))(x),
            jax.ShapeDtypeStruct((4, 9000, 99), np.float32), machine="ipu:m2000",
        )  # fmt: skip


OTHERS = {
    "no map": (lambda x: x + 1, normal(4)),
    "a map and more": (lambda x: jax.lax.map(jnp.sum, x) * 2, normal(4, 3)),
    "rows that are computed": (lambda x: jax.lax.map(jnp.sum, x * 2), normal(4, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_more_than_a_map_has_no_chips(name):
    fn, *args = OTHERS[name]
    assert instances(trace(fn, *args).graph) is None
