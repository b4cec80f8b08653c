"""Which calls become one, and that it changes no bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.trace.comparing import agree
from tilewright.codelets.contract.side_by_side import SideBySide
from tilewright.machine.host import host_machine
from tilewright.plan import lower
from tilewright.plan.ir import Call, Program

RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.normal(size=s).astype(np.float32) for s in ((500, 22), 500))
NET = tuple(RANDOM.normal(size=s).astype(np.float32) for s in ((22, 40), (40, 1), (1, 1)))


def loss(net):
    w1, w2, w3 = net
    return jnp.sum((Y - (jnp.tanh(X @ w1) @ w2 @ w3)[:, 0]) ** 2)


def calls(program: Program) -> list[Call]:
    found, waiting = [], list(program.steps)
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, Call):
            found.append(step)
        waiting[:0] = getattr(step, "steps", ())
    return found


def merged(function, *arguments) -> list[SideBySide]:
    graph = tilewright.compile(function, *arguments, tiles=1).compiled.graph
    program, _ = lower.lower(graph, host_machine())
    return [call.codelet for call in calls(program) if isinstance(call.codelet, SideBySide)]


def test_the_last_layers_of_a_net():
    """Of two strips each: gradients of two layers, and the derivative of the first one's tanh."""
    found = merged(jax.grad(loss), NET)
    assert [[p.n for p in one.products] for one in found] == [[1, 40]] * 2
    assert all(one.rows is not None for one in found)
    agree(jax.grad(loss), NET, epsilons=64, absolute=1e-3)


def test_what_waits_for_a_product_is_not_beside_it():
    def function(g, h):
        a = g[None] @ h  # the second product's rows hang on the first
        return a, (g * a[0, 0])[None] @ h

    g, h = (RANDOM.normal(size=s).astype(np.float32) for s in (200, (200, 24)))
    assert merged(function, g, h) == []
    agree(function, g, h, epsilons=64, absolute=1e-3)


def test_only_what_reads_the_same_rows_follows():
    def function(g, h, other):
        return g[None] @ h, other * g[:, None] - other

    g, h = (RANDOM.normal(size=s).astype(np.float32) for s in (200, (200, 24)))
    assert merged(function, g, h, h) == []
    assert len(merged(lambda g, h: function(g, h, h), g, h)) == 1


@pytest.mark.parametrize("tiles", [1, 2, 3])
def test_same_bits_as_apart(tiles, monkeypatch):
    gradient = jax.grad(loss)
    together = tilewright.compile(gradient, NET, tiles=tiles)(NET)
    monkeypatch.setattr(lower, "side_by_side", tuple)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())
    apart = tilewright.compile(gradient, NET, tiles=tiles)
    assert "beside" not in apart.program
    for ours, theirs in zip(together, apart(NET), strict=True):
        np.testing.assert_array_equal(ours, theirs)
