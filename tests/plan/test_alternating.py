"""Carries that all tiles make and all read: two places by turns, one barrier a trip."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import STATED, scaled
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.separate import separate
from tilewright.plan.ir import Loop, Spread, Step, Sync
from tilewright.simulate import simulate
from tilewright.stages import WHOLE, Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
UNITS = 256


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32) / 8


U = numbers(UNITS, UNITS)


def state(h, x, u):
    """Of several rows, each reads another one, so that none is done apart."""
    return jnp.maximum((h if len(h) == 1 else h[::-1]) @ u + x, 0)


def last(xs, u):
    return lax.scan(lambda h, x: (state(h, x, u), None), xs[0] * 0, xs)[0]


def kept(xs, u):
    """And every state."""

    def trip(h, x):
        h = state(h, x, u)
        return h, h

    return lax.scan(trip, xs[0] * 0, xs)


def read_back(xs, u):
    """What was made is read in the same trip, by all."""

    def trip(h, x):
        made = jnp.maximum(h @ u + x, 0)
        return made, made @ u

    return lax.scan(trip, xs[0] * 0, xs)


TOGETHER = tuple(rewrite for rewrite in WHOLE if rewrite is not separate)
"""What is made of a carry stays in the scan that makes it."""


def planned(fn, length, rows=1, tiles=2):
    machine = scaled(STATED, 1, 1, tiles, 200)
    xs = numbers(length, rows, UNITS)
    stages = Stages(trace(fn, xs, U).graph, Dump("test"), TOGETHER, machine=machine)
    program, literals = stages.lowered
    return stages.graph, program, [*literals, xs, U]


def loops(steps) -> list[Loop]:
    return [step for step in steps if isinstance(step, Loop)]


@pytest.mark.parametrize("length, rows", [(2, 1), (6, 4), (7, 1), (7, 4)])
@pytest.mark.parametrize("fn", [last, kept])
def test_one_barrier_a_trip_and_no_copy(fn, length, rows):
    graph, program, given = planned(fn, length, rows)
    (loop,) = loops(program.steps)
    assert loop.count == length // 2
    assert [type(step) for step in loop.steps] == [Spread, Sync, Spread, Sync]
    assert all(step.evenly for step in loop.steps if isinstance(step, Spread))
    behind = program.steps[program.steps.index(loop) + 1 :]
    assert any(isinstance(step, Spread) for step in behind) == bool(length % 2)
    for tiles in (1, 2, 3):
        found = simulate(program, given, tiles, seed=0)
        assert found.races == []
        for ours, meant in zip(found.outputs, evaluate(graph, given[-2:]), strict=True):
            assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()


def test_a_missing_barrier_is_a_race():
    _, program, given = planned(kept, 6)

    def without(steps: tuple[Step, ...], number: int) -> tuple[Step, ...]:
        found = [step for step in steps if isinstance(step, Sync)]
        return tuple(step for step in steps if step is not found[number])

    for number in range(2):
        steps = tuple(
            replace(step, steps=without(step.steps, number)) if isinstance(step, Loop) else step
            for step in program.steps
        )
        found = [simulate(replace(program, steps=steps), given, 3, seed=s).races for s in range(3)]
        assert any(found)


def test_what_is_made_may_be_read_behind_a_barrier_in_the_same_trip():
    graph, program, given = planned(read_back, 6)
    (loop,) = loops(program.steps)
    assert [type(step) for step in loop.steps] == [Spread, Sync] * 4
    found = simulate(program, given, 3, seed=0)
    assert found.races == []
    for ours, meant in zip(found.outputs, evaluate(graph, given[-2:]), strict=True):
        assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()


@pytest.mark.parametrize("length", [4, 5])
def test_natively_on_any_number_of_tiles(length):
    u = RANDOM.normal(size=(768, 768)).astype(np.float32) / 28
    xs = RANDOM.normal(size=(length, 1, 768)).astype(np.float32)

    def fn(xs, u):
        def trip(h, x):
            h = jnp.maximum(h @ u + x, 0)
            return h, h

        return lax.scan(trip, jnp.zeros((1, 768)), xs)

    agree(fn, xs, u, relative=1e-4, absolute=1e-4)
