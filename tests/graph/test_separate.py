"""A scan over cells that follow each other is a scan each: same bits, their products leave."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.graph.same import assert_same, ops
from tests.machines import STATED
from tilewright.graph import separate as rewrite
from tilewright.graph.ahead import ahead
from tilewright.graph.eliminate import eliminate
from tilewright.graph.separate import separate
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
H = 48
STEPS, ROWS = 9, 1
W, U, V, R = ((RANDOM.normal(size=(H, 4 * H)) / 8).astype(np.float32) for _ in range(4))
B = RANDOM.normal(size=H).astype(np.float32)


def cell(h, x, w, u):
    i, f, g, o = jnp.split(x @ w + h @ u, 4, axis=-1)
    return jnp.clip(i * f + g - o * 0.5, -1, 1) * 0.5 + h * 0.25


def two_layers(state, x):
    a, b = state
    a = cell(a, x, W, U)
    b = cell(b, a, V, R)
    return (a, b), b


def three_layers(state, x):
    a, b, c = state
    a = cell(a, x, W, U)
    b = cell(b, a, V, R)
    return (a, b, cell(c, b, R, V)), None


def past_a_layer(state, x):
    a, b = state
    a = cell(a, x, W, U)
    b = cell(b, x + a * B, V, R)
    return (a, b), (a[:, ::2], b, x)


def with_the_last_but_one(state, x):
    a, b, before = state
    b = cell(b, a + before, V, R)
    return (cell(a, x, W, U), b, a), b


def a_trip_later(state, x):
    """What the second layer reads hangs on the first one through a carry alone."""
    before, a, b = state
    b = cell(b, before, V, R)
    return (a * 0.5, cell(a, x, W, U), b), b


def counting(state, x):
    count, a, b = state
    count = count + 1
    a = cell(a, x * count, W, U)
    b = cell(b, a + count, V, R)
    return (count, a, b), (count, b)


def answering(state, x):
    a = cell(state[0], x, W, U)
    return (a,), a @ V


def turned(state, x):
    a, b = state
    a = cell(a, x, W, U)
    b = cell(b, ((V.T @ a.T).T)[:, :H], W, R)
    return (a, b), jnp.tanh(b)


def from_the_last_to_the_first(state, x):
    """The carry that stands last is the one that nothing before it is made of."""
    b, a = state
    a = cell(a, x, W, U)
    return (cell(b, a, V, R), a), b


CELLS = {
    function.__name__: (function, carries, scans)
    for function, carries, scans in (
        (two_layers, 2, 2),
        (three_layers, 3, 3),
        (past_a_layer, 2, 2),
        (with_the_last_but_one, 3, 2),
        (a_trip_later, 3, 2),
        (counting, 3, 3),
        (answering, 1, 2),
        (turned, 2, 2),
        (from_the_last_to_the_first, 2, 2),
    )
}


def stacked(step, carries, rows=ROWS, reverse=False):
    """xs -> last states and what is stacked."""

    def run(xs):
        start = [jnp.full((rows, H), 0.125 * (i + 1)) for i in range(carries)]
        if step is counting:
            start[0] = jnp.float32(0)
        return lax.scan(step, tuple(start), xs, reverse=reverse)

    return run


def given(rows=ROWS, steps=STEPS):
    return RANDOM.normal(size=(steps, rows, H)).astype(np.float32)


def rewritten(function, xs, machine=STATED):
    traced = trace(function, xs)
    return assert_same(
        lambda graph: eliminate(separate(eliminate(graph), machine)),
        traced.graph,
        [*traced.constants, xs],
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_a_scan_a_layer(name, reverse):
    step, carries, scans = CELLS[name]
    graph = rewritten(stacked(step, carries, reverse=reverse), given())
    assert ops(graph).count("scan") == scans
    last = eliminate(ahead(graph, STATED))
    bodies = [node.bodies[0] for node in last.nodes if node.op == "scan"]
    assert max(ops(body).count("dot") for body in bodies) == 1


@pytest.mark.parametrize("name", ["three_layers", "past_a_layer", "counting", "answering"])
def test_all_ways_of_running_agree(name):
    step, carries, _ = CELLS[name]
    agree(stacked(step, carries), given(steps=20), absolute=1e-3, simulated=name == "answering")


def test_it_compiles_to_what_a_scan_a_layer_compiles_to():
    xs = given()

    def chained(xs):
        zero = jnp.full((ROWS, H), 0.125)
        a, stack = lax.scan(lambda a, x: ((a := cell(a, x, W, U)), a), zero, xs)
        b, stack = lax.scan(lambda b, x: ((b := cell(b, x, V, R)), b), 2 * zero, stack)
        return (a, b), stack

    one, each = (tilewright.compile(f, xs) for f in (stacked(two_layers, 2), chained))
    same = lambda graph: sorted(ops(graph))  # noqa: E731
    assert same(one.compiled.graph) == same(each.compiled.graph)
    for ours, theirs in zip(*(jax.tree.leaves(e(xs)) for e in (one, each)), strict=True):
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_inside_of_other_loops():
    def run(xs):
        step = lambda total, x: (total + stacked(two_layers, 2)(x)[1].sum(), None)  # noqa: E731
        return lax.scan(step, jnp.float32(0), xs)[0]

    xs = np.stack([given(), given()])
    graph = rewritten(run, xs)
    (outer,) = (node for node in graph.nodes if node.op == "scan")
    assert ops(outer.bodies[0]).count("scan") == 2


def test_layers_that_feed_each_other_stay():
    def step(state, x):
        a, b = state
        a = cell(a, x + b, W, U)
        return (a, cell(b, a, V, R)), None

    assert ops(rewritten(stacked(step, 2), given())).count("scan") == 1


def test_products_that_wait_for_multiplying_stay():
    graph = rewritten(stacked(two_layers, 2, rows=8), given(rows=8))
    assert ops(graph).count("scan") == 1


def test_products_of_carries_with_each_other_stay():
    def step(state, x):
        a, b = state
        a = cell(a, x, W, U)
        return (a, b * 0.5 + (a.T @ a)[:1] + b @ U[:, :H]), None

    assert ops(rewritten(stacked(step, 2), given())).count("scan") == 1


def test_what_lies_between_is_bounded(monkeypatch):
    function = stacked(two_layers, 2)
    monkeypatch.setattr(rewrite, "MOST", STEPS * ROWS * H * 4)
    assert ops(rewritten(function, given())).count("scan") == 2
    monkeypatch.setattr(rewrite, "MOST", STEPS * ROWS * H * 4 - 1)
    assert ops(rewritten(function, given())).count("scan") == 1


def test_gradients_are_those_of_jax():
    def loss(w, xs):
        def step(state, x):
            a, b = state
            a = cell(a, x, w, U)
            return (a, cell(b, a, V, R)), None

        zero = jnp.zeros((1, H))
        (a, b), _ = lax.scan(step, (zero, zero), xs)
        return (a * b).sum()

    xs = given()
    ours = tilewright.compile(jax.grad(loss), W, xs)(W, xs)
    np.testing.assert_allclose(ours, jax.jit(jax.grad(loss))(W, xs), 1e-4, 1e-5)
