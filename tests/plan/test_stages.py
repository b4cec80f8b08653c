"""Chained scans run at once, each on its tile, a trip behind the one before it."""

import re
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import STATED, scaled
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.plan.ir import Branch, Loop, Program, Spread, Step, Sync
from tilewright.plan.lower import lower
from tilewright.plan.synchronise import is_shared_work
from tilewright.report import report
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
UNITS, CHUNKS, TRIPS = 16, 4, 3


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32) / 4


def machine(tiles: int):
    """Multiplying takes long, so that stages are worth it; tiles do without each other."""
    return scaled(STATED, 1, 1e-3, tiles, 10)


def cell(h, x, w, u):
    return jnp.maximum(h @ u, x @ w) * 0.5 + x[..., :1]


def odd(h, x, w, u):
    """Not what anybody calls a cell."""
    return h * 0.9 + jnp.where(x @ w > h[..., ::-1], x @ u, 0.0)


def net(step, layers, reverse=False):
    """Every layer a scan over chunks, as `ahead` makes them where that pays."""

    def fn(xs, *weights):
        steps, ends = xs, []
        for w, u in zip(weights[::2], weights[1::2], strict=True):

            def chunk(h, x, w=w, u=u):
                def trip(h, x):
                    h = step(h, x, w, u)
                    return h, h

                return lax.scan(trip, h, x, reverse=reverse)

            end, steps = lax.scan(chunk, jnp.zeros((1, UNITS)), steps, reverse=reverse)
            ends.append(end)
        return ends, steps

    given = [numbers(UNITS, UNITS) for _ in range(2 * layers)]
    return fn, [numbers(CHUNKS, TRIPS, 1, UNITS), *given]


def planned(fn, args, tiles) -> tuple[Program, Stages, list]:
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=machine(tiles))
    program, literals = lower(stages.graph, machine(tiles))
    return program, stages, literals


def staged(steps) -> list[Spread]:
    """Of all loops at the top, what is done in stages."""
    inner = [s for step in steps if isinstance(step, Loop) for s in step.steps]
    return [s for s in inner if isinstance(s, Spread) and isinstance(s.steps[0], Branch)]


@pytest.mark.parametrize(
    "step, layers, tiles, reverse",
    [(cell, 2, 2, False), (odd, 3, 2, True), (cell, 4, 3, False), (odd, 2, 5, True)],
)
def test_bits_are_those_of_the_graph(step, layers, tiles, reverse):
    fn, args = net(step, layers, reverse)
    program, stages, literals = planned(fn, args, tiles)
    found = staged(program.steps)
    assert {s.count for s in found} == {min(layers, tiles)}
    expected = evaluate(stages.graph, args)
    for workers in (1, 2, 3, 5):
        result = simulate(program, [*literals, *args], workers, seed=workers)
        assert result.races == []
        for ours, theirs in zip(result.outputs, expected, strict=True):
            np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)


def without_syncs(step: Step) -> Step:
    if not isinstance(step, Loop) or not is_shared_work(step):
        return step
    return replace(step, steps=tuple(s for s in step.steps if not isinstance(s, Sync)))


def test_a_stage_that_does_not_wait_is_a_race():
    fn, args = net(cell, 2)
    program, _, literals = planned(fn, args, 2)
    racing = replace(program, steps=tuple(map(without_syncs, program.steps)))
    assert simulate(program, [*literals, *args], 2).races == []
    assert simulate(racing, [*literals, *args], 2).races


def test_native_agrees(monkeypatch):
    prices = iter([0.0, 1.0] * 100)
    monkeypatch.setattr("tilewright.plan.stages._price", lambda *_: next(prices))
    fn, args = net(odd, 2)
    agree(fn, *args, relative=1e-5, absolute=1e-5)


def shared_start(xs, w, u):
    """The second scan begins with what the first one ends with."""
    end, steps = lax.scan(lambda h, x: (cell(h, x, w, u),) * 2, jnp.zeros((1, UNITS)), xs)
    return lax.scan(lambda h, x: (cell(h, x, u, w),) * 2, end, steps)


def turned_round(xs, w, u):
    """The second scan reads from the end."""
    _, steps = lax.scan(lambda h, x: (cell(h, x, w, u),) * 2, jnp.zeros((1, UNITS)), xs)
    return lax.scan(lambda h, x: (cell(h, x, u, w),) * 2, xs[0], steps, reverse=True)


def side_by_side(xs, w, u):
    """Neither reads the other."""
    one = lax.scan(lambda h, x: (cell(h, x, w, u),) * 2, jnp.zeros((1, UNITS)), xs)
    return one, lax.scan(lambda h, x: (cell(h, x, u, w),) * 2, jnp.zeros((1, UNITS)), xs)


@pytest.mark.parametrize("fn", [shared_start, turned_round, side_by_side])
def test_scans_that_hang_together_otherwise_take_turns(fn):
    args = [numbers(CHUNKS * TRIPS, 1, UNITS), numbers(UNITS, UNITS), numbers(UNITS, UNITS)]
    program, stages, literals = planned(fn, args, 2)
    assert staged(program.steps) == []
    result = simulate(program, [*literals, *args], 2)
    for ours, theirs in zip(result.outputs, evaluate(stages.graph, args), strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)


def test_the_price_decides_and_the_report_says_so():
    fn, args = net(cell, 2)
    cheap, _, _ = planned(fn, args, 2)
    assert "2 scans at once, a tile each" in str(report(cheap, machine(2), 2))
    graph = Stages(trace(fn, *args).graph, Dump("test"), machine=STATED).graph
    dear, _ = lower(graph, scaled(STATED, 1, 1, 2, 10**6))  # one tile is done before any barrier
    assert staged(dear.steps) == []
    assert "one after the other" in str(report(dear, STATED, 2))


def test_of_a_scan_alone_the_report_says_what_one_tile_would_take():
    def fn(xs, h, w):
        return lax.scan(lambda h, x: (jnp.maximum(h @ w, x), None), h, xs)[0]

    program, _, _ = planned(fn, [numbers(5, 1, 96), numbers(1, 96), numbers(96, 96)], 2)
    told = " ".join(str(report(program, machine(2), 2)).split())
    found = re.search(
        r"each trip dealt out over 2 tiles: ([\d,]+) µs; all of it on one: (\S+)", told
    )
    assert found is not None, told
    shared, alone = (float(figure.replace(",", "")) for figure in found.groups())
    assert alone / 2 <= shared < alone
    assert "dealt out over" not in str(report(program, machine(1), 1))
