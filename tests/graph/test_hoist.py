"""Invariant work leaves loops; what must stay, stays."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.graph.same import assert_same, ops
from tilewright.graph.eliminate import eliminate
from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph
from tilewright.graph.simplify import simplify
from tilewright.machine.host import host_machine
from tilewright.trace import trace

X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
V = X[0]


def hoisted(function, *arguments) -> Graph:
    traced = trace(function, *arguments)

    def rewrite(graph: Graph) -> Graph:
        return eliminate(hoist(eliminate(simplify(graph)), host_machine()))

    return assert_same(rewrite, traced.graph, [*traced.constants, *arguments])


def inside(graph: Graph, *control: str) -> list[str]:
    """The operations within the only node of each kind, from the outside in."""
    for op in control:
        (node,) = (n for n in graph.nodes if n.op == op)
        graph = node.bodies[-1]
    return ops(graph)


def test_products_and_functions_of_constants_leave():
    def function(x, v):
        def step(c, _):
            return c + jnp.exp(x @ v).sum() * jnp.sin(x.T @ c[: x.shape[0]])[:8].sum(), None

        return lax.scan(step, jnp.ones(40), None, length=3)[0]

    graph = hoisted(function, X, V)
    left = inside(graph, "scan")
    assert "exp" not in left
    assert "sin" in left
    assert left.count("dot") == 1


def test_through_two_loops():
    def function(x, v):
        def inner(c, _):
            return c + jnp.tanh(x.T @ x) @ v, None

        def outer(c, _):
            return lax.scan(inner, c, None, length=2)[0], None

        return lax.scan(outer, v, None, length=3)[0]

    graph = hoisted(function, X, V)
    assert "tanh" not in inside(graph, "scan")
    assert "tanh" in [n.op for n in graph.nodes]


def test_from_condition_and_step_of_a_loop():
    def function(x, v):
        condition = lambda c: c.sum() < jnp.sum(x * x)  # noqa: E731
        return lax.while_loop(condition, lambda c: c * 1.5 + jnp.sum(x * x), v)

    graph = hoisted(function, X, V)
    (node,) = (n for n in graph.nodes if n.op == "loop")
    assert "mul" not in ops(node.bodies[0])
    assert ops(graph).count("mul") == 2
    assert node.params["consts"] == 1


def test_mere_repetition_stays():
    def function(v):
        def step(c, _):
            mask = jnp.arange(1000)[:, None] < jnp.arange(8)[None, :] + 3
            mask = mask & (jnp.arange(1000.0)[:, None] < jnp.cos(v)[None, :])
            return c * 2 + jnp.where(mask, c[None, :], 0.0).sum(), None

        return lax.scan(step, v, None, length=3)[0]

    graph = hoisted(function, V)
    (node,) = (n for n in graph.nodes if n.op == "scan")
    assert all(v.type.size <= 8 for v in node.inputs)


def test_random_numbers_from_nothing_leave():
    def function(v):
        def step(c, _):
            x = jnp.arange(1000.0)
            for _ in range(20):
                x = x * 1.5 + 1
            return c * 2 + x.sum(), None

        return lax.scan(step, v, None, length=3)[0]

    assert "reduce" not in inside(hoisted(function, V), "scan")


def test_never_out_of_a_branch():
    def function(i, x):
        return lax.switch(i, [lambda x: jnp.exp(x @ x.T), lambda x: x @ x.T], x)

    graph = hoisted(function, np.int32(0), X)
    assert "dot" not in [n.op for n in graph.nodes]


def test_a_loop_is_not_hoisted_out_of_a_loop_that_may_not_run():
    def costly(v):
        return lax.while_loop(lambda c: c.sum() < 50, lambda c: c * c + 1, v)

    def function(v, n):
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] + costly(v)), (0, v))

    graph = hoisted(function, V, np.int32(0))
    (node,) = (n for n in graph.nodes if n.op == "loop")
    assert "loop" in ops(node.bodies[1])


def test_a_scan_inside_a_scan_leaves():
    def function(v):
        fixed = lambda: lax.scan(lambda c, _: (c * 1.5, None), v, None, length=3)[0]  # noqa: E731
        return lax.scan(lambda c, _: (c + fixed(), None), v, None, length=4)[0]

    graph = hoisted(function, V)
    assert [n.op for n in graph.nodes].count("scan") == 2


def test_a_map_shares_what_is_constant():
    def function(x, v):
        return lax.map(lambda row: row * jnp.exp(v), x)

    graph = hoisted(function, X, V)
    assert inside(graph, "map") == ["mul"]


def test_invariant_results():
    def function(v):
        return lax.scan(lambda c, _: (c + 1, jnp.exp(v)), v, None, length=3)

    assert "exp" not in inside(hoisted(function, V), "scan")
