"""Cells whose gates are columns of one product: what becomes one vertex, what not, and the bits."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import agree
from tests.codelets.layouts import same_bits
from tests.machines import STATED
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine.host import described
from tilewright.plan.lower import lower
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RNG = np.random.default_rng(0)
STEPS = 9


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def lstm(width, u, b, state, x):
    h, c = state
    i, f, g, o = jnp.split(x + h @ u + b, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None


def only_ours(width, u, b, state, x):
    """Two gates, no function known to anyone, and the state beside."""
    h, c = state
    gates = (h @ u - x) * 2 + b
    up, down = gates[:, :width], gates[:, width:]
    h = jnp.minimum(up, c) - jnp.clip(down, -1, 1) * h * 0.25
    return (h, c * 0.5 + jnp.abs(up)), h - c


def reused(width, u, b, state, x):
    """The columns are read as a whole, too."""
    h, c = state
    gates = h @ u + b
    return (gates[:, :width] * c, gates[:, width:] + x[:, :width]), gates


def uneven(width, u, b, state, x):
    h, c = state
    gates = h @ u + b
    return (gates[:, 1 : width + 1] * c, gates[:, :width] + x[:, :width]), None


CELLS = {"lstm": (lstm, 4), "only ours": (only_ours, 2), "reused": (reused, 2)}
CELLS |= {"uneven": (uneven, 2)}


def scanned(name, rows=1, width=0):
    """A scan over a cell, and its arguments."""
    step, gates = CELLS[name]
    width = width or 320 // gates
    u, b = normal(width, gates * width) / width, normal(gates * width)
    state, xs = (normal(rows, width), normal(rows, width)), normal(STEPS, rows, gates * width)

    def run(u, b, state, xs):
        return jax.lax.scan(partial(step, width, u, b), state, xs)

    return run, (u, b, state, xs)


def program_of(machine, run, arguments):
    traced = trace(run, *arguments)
    graph = Stages(traced.graph, Dump("cell"), machine=machine).graph
    return graph, *lower(graph, machine)


def codelets(program):
    return [call.codelet for call, _ in calls_of(program.steps)]


WIDE, NARROW = STATED, described(())
"""This host's level; the level that every host has."""
HAS_ROOM = WIDE.tile.features.registers >= 32


@pytest.mark.parametrize("name", ["lstm", "only ours"])
def test_a_cell_is_one_vertex(name):
    _, gates = CELLS[name]
    _, program, _ = program_of(WIDE, *scanned(name, width=256 // gates))
    found = [c for c in codelets(program) if getattr(c, "parts", 1) > 1]
    assert {c.parts for c in found} == ({gates} if HAS_ROOM else set())
    assert all(c.out.shape == (1, 256 // gates) for c in found)
    if name == "lstm":
        assert bool(found) != any(c.name.startswith("fused") for c in codelets(program))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("reused", {}),
        ("uneven", {}),
        ("lstm", {"rows": 2}),
        ("only ours", {"rows": 3}),
        ("lstm", {"width": 76}),
    ],
)
def test_others_stay_as_they_are(name, sizes):
    _, program, _ = program_of(WIDE, *scanned(name, **sizes))
    assert all(getattr(c, "parts", 1) == 1 for c in codelets(program))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("machine", [WIDE, NARROW], ids=["host", "plain"])
def test_evaluate_and_simulate_agree(name, machine):
    """With room for whole cells and without: the same program's bits."""
    run, arguments = scanned(name)
    graph, program, literals = program_of(machine, run, arguments)
    given = jax.tree.leaves(arguments)
    result = simulate(program, [*literals, *given], 2)
    assert result.races == []
    for ours, wanted in zip(result.outputs, evaluate(graph, given), strict=True):
        if name == "lstm":
            np.testing.assert_allclose(ours.reshape(wanted.shape), wanted, atol=1e-6)
        else:
            same_bits(ours.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", CELLS)
def test_all_ways_agree(name):
    run, arguments = scanned(name)
    agree(run, *arguments, exact=name != "lstm", absolute=2e-2, relative=1e-4)


def test_what_is_written_is_not_read_again():
    """h is the product's operand while its successor is made; c is overwritten where it lies."""
    _, program, _ = program_of(WIDE, *scanned("lstm"))
    for call, _ in calls_of(program.steps):
        if getattr(call.codelet, "parts", 1) > 1:
            lhs, outs = call.views[0], call.views[len(call.codelet.inputs) :]
            assert all(view.buffer is not lhs.buffer for view in outs)
            assert any(view in call.views[2 : len(call.codelet.inputs)] for view in outs)
