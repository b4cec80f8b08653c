"""Loops over more than the nearest memory holds: every second trip goes backwards."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.machines import STATED
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine.host import described
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Call, Loop, Spread
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

W, V = ((np.random.default_rng(i).normal(size=(96, 96)) / 16).astype(np.float32) for i in range(2))
XS = np.random.default_rng(2).normal(size=(9, 2, 96)).astype(np.float32)
SIZE = W.nbytes + V.nbytes


def with_memory(size: int, own: int | None = None) -> Machine:
    """This host with a nearest memory of `size` bytes; with another one of its `own`."""
    first, *others = STATED.tile.memories
    others = [m if m.shared or not own else replace(m, size=own) for m in others]
    tile = replace(STATED.tile, memories=(replace(first, size=size), *others))
    return replace(STATED, chip=replace(STATED.chip, tile=tile))


def states(xs, w, v):
    """Two products of the state a trip, and a result of each."""

    def step(h, x):
        h = jnp.maximum(h @ w + x, 0) @ v
        return h, h[:, :3]

    return lax.scan(step, jnp.zeros((2, 96)), xs)


def planned(length: int, size: int, own: int | None = None):
    machine = with_memory(size, own)
    stages = Stages(trace(states, XS[:length], W, V).graph, Dump("test"), machine=machine)
    return stages.graph, *stages.lowered


@pytest.mark.parametrize("length", [8, 9])
@pytest.mark.parametrize("part", [2 / 3, 1 / 16])
def test_every_second_trip_goes_back(length, part):
    graph, program, literals = planned(length, int(SIZE * part))
    (loop,) = [s for s in program.steps if isinstance(s, Loop) and "panels" in str(s.steps)]
    assert loop.count == 4
    names = [step.codelet.name for step in loop.steps if isinstance(step, Call)]
    products = [name.endswith("_backwards") for name in names if "panels" in name]
    assert products == [False, False, True, True]
    after = [s for s in program.steps if isinstance(s, Call) and "panels" in s.codelet.name]
    assert len(after) == 2 * (length % 2)
    found = simulate(program, [*literals, XS[:length], W, V], 1)
    assert found.races == []
    for ours, meant in zip(found.outputs, evaluate(graph, [XS[:length], W, V]), strict=True):
        assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()


def test_vectors_too_in_every_map():
    """40 kB of rows, of which a nearest memory of 32 kB keeps some from trip to trip."""
    w = (np.random.default_rng(3).normal(size=(100, 100)) / 16).astype(np.float32)
    xs = XS[:4, 0, 0]

    def run(w, xs):
        return lax.map(
            lambda x: lax.fori_loop(0, 7, lambda i, h: jnp.maximum(w @ h + x, 0), jnp.ones(100)), xs
        )

    stages = Stages(trace(run, w, xs).graph, Dump("test"), machine=STATED)
    program, literals = stages.lowered
    assert "backwards=True" in str(program.steps)
    found = simulate(program, [*literals, w, xs], 1)
    (meant,) = evaluate(stages.graph, [w, xs])
    assert np.asarray(found.outputs[0]).tobytes() == meant.tobytes()


@pytest.mark.parametrize(("size", "own"), [(3 * SIZE // 2, None), (SIZE // 16, SIZE // 3)])
def test_what_fits_and_what_is_far_too_large_is_read_one_way(size, own):
    _, program, _ = planned(8, size, own)
    assert "backwards=True" not in str(program.steps)
    assert "panels" in str(program.steps)


@pytest.mark.parametrize("length", [16, 17])
def test_what_is_dealt_out_goes_back_too(length, monkeypatch):
    """Each tile reads its own share, and what follows is no copy: tile 0 joins the columns."""
    monkeypatch.setattr("tilewright.graph.share_ways.Ways.gain", 1.0)  # all tiles do each trip
    w = (np.random.default_rng(4).normal(size=(256, 1024)) / 16).astype(np.float32)
    xs = np.random.default_rng(5).normal(size=(length, 1, 1024)).astype(np.float32)

    def run(xs, w):
        def step(h, x):
            a, b, c, d = jnp.split(h @ w + x, 4, axis=-1)
            return jnp.minimum(a, b) - jnp.maximum(c, d) * h, None

        return lax.scan(step, jnp.zeros((1, 256)), xs)[0]

    narrow = described(("avx2", "fma"))  # too few registers for whole cells
    stages = Stages(trace(run, xs, w).graph, Dump("test"), machine=narrow)
    program, literals = stages.lowered
    (loop,) = [s for s in program.steps if isinstance(s, Loop) and "panels" in str(s.steps)]
    dealt = [call for step in loop.steps if isinstance(step, Spread) for call in step.steps]
    names = [call.codelet.name for call in dealt if isinstance(call, Call)]
    assert [name.endswith("_backwards") for name in names if "panels" in name] == [False, True]
    for tiles in (2, 3):
        found = simulate(program, [*literals, xs, w], tiles)
        assert found.races == []
        for ours, meant in zip(found.outputs, evaluate(stages.graph, [xs, w]), strict=True):
            assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()
