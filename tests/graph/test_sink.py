"""Carries that are only overwritten are computed after the loop, and only where that pays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.graph.same import assert_same, ops
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Graph, Node
from tilewright.graph.simplify import simplify
from tilewright.graph.sink import sink
from tilewright.machine.host import host_machine
from tilewright.trace import trace

X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
Q = np.array([0.1, -0.2, 0.3, 0.4], np.float32)


def rewrite(graph: Graph) -> Graph:
    return eliminate(sink(eliminate(simplify(graph)), host_machine()))


def sunk(function, *arguments) -> Graph:
    traced = trace(function, *arguments)
    return assert_same(rewrite, traced.graph, [*traced.constants, *arguments])


def the_loop(graph: Graph) -> Node:
    (node,) = (n for n in graph.nodes if n.op in ("loop", "scan"))
    return node


def log_density(q):
    return -jnp.sum(jnp.log1p((X @ q) ** 2)) - jnp.sum(q * q)


def leapfrog(steps, q, density=None):
    """As samplers write it: the log density is carried along."""
    both = jax.value_and_grad(density or log_density)

    def step(_, state):
        q, p, _, gradient = state
        p = p + 0.05 * gradient
        q = q + 0.1 * p
        value, gradient = both(q)
        return q, p + 0.05 * gradient, value, gradient

    return lax.fori_loop(0, steps, step, (q, -q, *both(q)))


def test_log_density_of_a_scan():
    graph = sunk(lambda q: leapfrog(50, q), Q)
    node = the_loop(graph)
    assert node.op == "scan"
    assert node.params["carry"] == 3
    assert "log1p" not in ops(node.bodies[0])
    assert ops(graph).count("log1p") == 1, "after the loop; the first value is for nobody"


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_log_density_of_a_loop_of_unknown_length(steps):
    graph = sunk(lambda q, n: leapfrog(n, q), Q, np.int32(steps))
    node = the_loop(graph)
    assert node.op == "loop"
    assert "log1p" not in ops(node.bodies[1])
    assert [n.op for n in graph.nodes].count("branch") == 1


def test_inside_a_map():
    graph = sunk(lambda qs: lax.map(lambda q: leapfrog(20, q)[2], qs), X[:2])
    (node,) = (n for n in graph.nodes if n.op == "map")
    assert "log1p" not in ops(the_loop(node.bodies[0]).bodies[0])


def scan(step, *first):
    return lambda: lax.scan(lambda c, x: step(*c, x), first, jnp.arange(20.0))[0]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda a, b, x: ((a + 1, jnp.exp(a)), None), "it reads the carry from before"),
        (lambda a, b, x: ((a + 1, jnp.exp(a + 1) + x), None), "it reads an element"),
        (lambda a, b, x: ((a + 1, jnp.exp(a + 1) + b), None), "it reads itself"),
        (lambda a, b, x: ((a + 1, jnp.exp(a + 1)), jnp.exp(a + 1)), "a result needs it anyway"),
    ],
)
def test_what_cannot_sink_stays(step, why):
    first = (jnp.ones(4), jnp.ones(4))
    graph = sunk(lambda a: lax.scan(lambda c, x: step(*c, x), (a, *first[1:]), jnp.arange(20.0)), Q)
    assert "exp" in ops(the_loop(graph).bodies[0]), why


def test_what_the_condition_reads_stays():
    def function(a):
        def step(carry):
            a, _ = carry
            return a * 2, jnp.exp(a * 2)

        return lax.while_loop(lambda c: c[1].sum() < 1000, step, (a, a))

    assert "exp" in ops(the_loop(sunk(function, np.abs(Q))).bodies[1])


def test_last_value_that_is_an_old_carry():
    def function(a):
        def step(carry, x):
            a, b, _ = carry
            return (b, a + x, jnp.exp(b) * 2), None

        return lax.scan(step, (a, a * 2, a), jnp.arange(20.0))[0]

    assert "exp" not in ops(the_loop(sunk(function, Q)).bodies[0])


def test_not_if_it_costs_more_than_it_saves():
    wide = np.random.default_rng(1).normal(size=(600, 4)).astype(np.float32)

    def squares(q):
        return -jnp.sum(
            (wide @ q) ** 2
        )  # nearly all of it is the product, which the gradient needs

    for steps, carries in ((2, 4), (9, 3)):
        graph = sunk(lambda q, steps=steps: leapfrog(steps, q, squares), Q)
        assert the_loop(graph).params["carry"] == carries


def test_two_carries_at_once():
    def function(a):
        def step(carry, x):
            a, _, _ = carry
            a = a + x
            return (a, jnp.exp(a), jnp.sin(a)), None

        return lax.scan(step, (a, a, a), jnp.arange(20.0))[0]

    assert the_loop(sunk(function, Q)).params["carry"] == 1
