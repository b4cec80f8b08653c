"""Counting loops become scans of the right length; others stay."""

import numpy as np
import pytest
from jax import lax

from tests.graph.same import assert_same, ops
from tilewright.graph.counted import counted
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Graph
from tilewright.graph.simplify import simplify
from tilewright.trace import trace

X = np.arange(3, dtype=np.float32)


def rewrite(graph: Graph) -> Graph:
    return counted(eliminate(simplify(graph)))


def loop(condition, step, first=0, dtype: type = np.int32):
    def function(x):
        start = (dtype(first), x)
        return lax.while_loop(lambda c: condition(c[0]), lambda c: (step(c[0]), c[1] * 1.5), start)

    return function


@pytest.mark.parametrize(
    ("function", "trips"),
    [
        (loop(lambda i: i < 5, lambda i: i + 1), 5),
        (loop(lambda i: lax.gt(np.int32(5), i), lambda i: 1 + i), 5),
        (loop(lambda i: i <= 5, lambda i: i + 2), 3),
        (loop(lambda i: i <= 6, lambda i: i + 2), 4),
        (loop(lambda i: i < 6, lambda i: i + 2), 3),
        (loop(lambda i: i < 7, lambda i: i + 2, 1), 3),
        (loop(lambda i: i > 0, lambda i: i - 1, 4), 4),
        (loop(lambda i: i >= 0, lambda i: i - 2, 4), 3),
        (loop(lambda i: i >= 1, lambda i: i + -3, 7), 3),
        (loop(lambda i: i < 5, lambda i: i + 1, 9), 0),
        (loop(lambda i: i < 5, lambda i: i - 1, 9), 0),
    ],
)
def test_counting_loops(function, trips):
    traced = trace(function, X)
    graph = assert_same(rewrite, traced.graph, [X])
    (node,) = (n for n in graph.nodes if n.op in ("scan", "loop"))
    assert (node.op, node.params.get("length")) == ("scan", trips)


def test_bound_from_outside():
    # The bound is a constant of the caller, which the loop carries along unchanged.
    def function(x):
        return lax.fori_loop(np.int32(2), lax.add(np.int32(3), np.int32(3)), lambda i, c: c * i, x)

    assert "loop" not in ops(assert_same(rewrite, trace(function, X).graph, [X]))


@pytest.mark.parametrize(
    "function",
    [
        loop(lambda i: i < 5, lambda i: i * 2 + 1),
        loop(lambda i: i * 2 < 5, lambda i: i + 1),
        loop(lambda i: i < 250, lambda i: i + 100, 0, np.uint8),  # wraps around
        loop(lambda i: i < 5.0, lambda i: i + 1.0, 0, np.float32),
    ],
)
def test_others_stay(function):
    assert "loop" in ops(assert_same(rewrite, trace(function, X).graph, [X]))


def test_unknown_bound_stays():
    def function(x, n):
        return lax.fori_loop(0, n, lambda i, c: c * 1.5, x)

    graph = assert_same(rewrite, trace(function, X, np.int32(3)).graph, [X, np.int32(3)])
    assert "loop" in ops(graph)
