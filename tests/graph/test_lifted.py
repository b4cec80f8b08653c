"""What trips make of fixed slices is made for all of them, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.graph.same import ops
from tilewright.graph.evaluate import evaluate
from tilewright.graph.lifted import lifted
from tilewright.graph.verify import verify
from tilewright.trace import trace

RNG = np.random.default_rng(0)
LAYERS, UNITS = 3, 48
STACKED = RNG.normal(size=(LAYERS, UNITS, UNITS)).astype(np.float32) / 8
BIAS = RNG.normal(size=(LAYERS, UNITS)).astype(np.float32)
X = RNG.normal(size=(2, UNITS)).astype(np.float32)


def layers(weights, bias, x, reverse=False):
    """Each layer's sums of squares are of its weights alone; its products are not."""

    def layer(x, held):
        w, b = held
        return jnp.tanh(x @ w + b * jnp.sum(w * w, 0)), jnp.sum(x)

    return lax.scan(layer, x, (weights, bias), reverse=reverse)


def in_bodies(graph):
    return [op for node in graph.nodes if node.op == "scan" for op in ops(node.bodies[0])]


def same(graph, new, given):
    verify(new)
    for ours, meant in zip(evaluate(new, given), evaluate(graph, given), strict=True):
        assert ours.tobytes() == meant.tobytes()


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_of_slices_are_made_by_a_map_before(reverse):
    graph = trace(lambda *given: layers(*given, reverse=reverse), STACKED, BIAS, X).graph
    new = lifted(graph, set(graph.inputs[:2]))
    assert "reduce" in in_bodies(graph)
    assert in_bodies(new).count("reduce") == 1
    (before,) = [node for node in new.nodes if node.op == "map"]
    assert [value.shape for value in before.outputs] == [(LAYERS, UNITS)]
    same(graph, new, [STACKED, BIAS, X])


def test_nothing_is_lifted_of_what_is_not_fixed():
    graph = trace(layers, STACKED, BIAS, X).graph
    new = lifted(graph, {graph.inputs[2]})
    assert [node.op for node in new.nodes] == [node.op for node in graph.nodes]


def test_nor_what_would_take_far_more_memory():
    rows = RNG.normal(size=(40, 64)).astype(np.float32)

    def grown(rows, x):
        return lax.scan(lambda c, r: (c + jnp.outer(r, r) * 2, ()), x, rows)[0]

    graph = trace(grown, rows, np.zeros((64, 64), np.float32)).graph
    new = lifted(graph, {graph.inputs[0]})
    assert "map" not in [node.op for node in new.nodes]


def test_nor_a_map_that_hangs_on_nothing_else_and_can_be_followed():
    graph = trace(lambda rows: lax.map(lambda row: jnp.sum(row * row), rows), BIAS).graph
    new = lifted(graph, set(graph.inputs))
    assert [node.op for node in new.nodes] == [node.op for node in graph.nodes]


def test_out_of_a_loop_around_the_loop():
    """Weights that an outer body has as constants are looked at once."""

    def often(weights, bias, xs):
        return lax.map(lambda x: layers(weights, bias, x)[0], xs)

    xs = np.stack([X, -X])
    graph = trace(often, STACKED, BIAS, xs).graph
    new = lifted(graph, set(graph.inputs[:2]))
    assert [node.op for node in new.nodes].count("map") == 2
    same(graph, new, [STACKED, BIAS, xs])


def test_bound_layers_are_packed_beforehand():
    """Stacked recurrent layers, scanned over: a bound call packs nothing, whatever the tiles."""

    def layer(xs, u):
        def step(h, x):
            h = jnp.tanh(x + h @ u)
            return h, h

        return lax.scan(step, jnp.zeros_like(xs[0]), xs)[1], ()

    def net(weights, xs):
        return lax.scan(layer, xs, weights)[0]

    u = RNG.normal(size=(LAYERS, 64, 64)).astype(np.float32) / 8
    xs = RNG.normal(size=(12, 4, 64)).astype(np.float32)
    for tiles in (1, 2):
        program = tilewright.compile(net, u, xs, tiles=tiles)
        bound = program.bind(u)
        assert "= pack(" in program.graph
        assert "= pack(" not in bound.graph
        assert bound(xs).tobytes() == program(u, xs).tobytes()
        np.testing.assert_allclose(bound(xs), jax.jit(net)(u, xs), atol=1e-5)
