"""Equal computations are done once; different ones stay apart."""

from typing import Any

import numpy as np
import pytest

from tests.graph.same import assert_same, ops
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.graph.share import share

X = np.array([0.5, -1, 3, np.nan], np.float32)


def builder() -> Builder:
    return Builder([Type("float32", (4,)), Type("float32", (4,))])


def test_equal_nodes_join_through_chains():
    b = builder()
    x, y = b.inputs
    first = b.op("exp", b.op("add", x, y))
    second = b.op("exp", b.op("add", y, x))
    graph = assert_same(share, b.graph([b.op("sub", first, second)]), [X, X])
    assert ops(graph) == ["add", "exp", "sub"]


def test_order_matters_where_it_does():
    b = builder()
    x, y = b.inputs
    graph = b.graph([b.op("sub", x, y), b.op("sub", y, x), b.op("lt", x, y), b.op("lt", y, x)])
    assert len(assert_same(share, graph, [X, X]).nodes) == 4


def test_parameters_tell_apart():
    b = builder()
    x = b.inputs[0]
    zeros = [b.constant(np.float32(0.0)), b.constant(np.float32(-0.0)), b.constant(np.int32(0))]
    again = b.constant(np.float32(0.0))
    sums = [b.op("reduce", x, kind=kind, axes=(0,)) for kind in ("sum", "max", "sum")]
    graph = assert_same(share, b.graph([*zeros, again, *sums]), [X, X])
    assert ops(graph) == ["constant"] * 3 + ["reduce"] * 2


def test_numbers_that_compare_equal_are_not_the_same_parameter():
    b = Builder([Type("float32", (4,)), Type("int32", (2, 1))])
    params: dict[str, Any] = dict(
        offset_dims=(), collapsed_slice_dims=(0,), start_index_map=(0,), operand_batching_dims=(),
        start_indices_batching_dims=(), slice_sizes=(1,), mode="drop",
    )  # fmt: skip
    result = [Type("float32", (2,))]
    gathers = [b.add("gather", b.inputs, result, fill=fill, **params)[0] for fill in (0.0, -0.0)]
    graph = assert_same(share, b.graph(gathers), [X, np.array([[1], [9]], np.int32)])
    assert len(graph.nodes) == 2


def test_equal_operands_of_a_body_become_one():
    scalar = Type("float32", ())
    body = Builder([scalar, scalar, scalar, scalar])
    a, b, c, d = body.inputs
    step = body.graph([body.op("add", body.op("mul", a, b), body.op("mul", c, d))])
    outer = Builder([scalar, Type("float32", (4,))])
    s, x = outer.inputs
    params: dict[str, Any] = dict(bodies=[step], consts=2, length=4)
    graph = outer.graph(outer.add("map", [s, s, x, x], [x.type], **params))
    new = assert_same(share, graph, [np.float32(2), X])
    (node,) = new.nodes
    assert len(node.inputs) == 2
    assert node.params["consts"] == 1


def test_carries_never_join():
    scalar = Type("float32", ())
    body = Builder([scalar, scalar])
    a, b = body.inputs
    step = body.graph([body.op("add", a, b), body.op("mul", a, b)])
    outer = Builder([scalar])
    (s,) = outer.inputs
    params: dict[str, Any] = dict(bodies=[step], consts=0, carry=2, length=3, reverse=False)
    graph = outer.graph(outer.add("scan", [s, s], [scalar, scalar], **params))
    assert len(assert_same(share, graph, [np.float32(1.5)]).nodes[0].inputs) == 2


def scans(*inside: str) -> Graph:
    """A scan for each letter, over the same operands; equal letters have equal bodies."""
    scalar = Type("float32", ())
    outer = Builder([scalar, scalar])
    results = []
    for kind in inside:
        body = Builder([scalar, scalar])
        a, b = body.inputs
        first = body.op("sub", b, a) if kind == "turned" else body.op("sub", a, b)
        second = body.op("mul", b, first)
        deeper = Builder([scalar])
        (z,) = deeper.inputs
        pair = [z, deeper.op("neg", z)]
        again = deeper.graph([deeper.op("sub", *(pair[::-1] if kind == "deeper" else pair))])
        params: dict[str, Any] = dict(bodies=[again], consts=0, carry=1, length=2, reverse=False)
        third = body.add("scan", [second], [scalar], **params)[0]
        ends = [third, first] if kind != "ends" else [first, third]
        params = dict(consts=0, carry=2, length=3, reverse=False)
        step = body.graph(ends)
        results += outer.add("scan", outer.inputs, [scalar, scalar], bodies=[step], **params)
    return outer.graph(results)


TWO = [np.float32(1.5), np.float32(0.25)]


def test_loops_that_do_the_same_are_one():
    graph = assert_same(share, scans("plain", "plain", "plain"), TWO)
    assert [node.op for node in graph.nodes] == ["scan"]


@pytest.mark.parametrize("kind", ["turned", "deeper", "ends"])
def test_loops_that_differ_anywhere_stay_apart(kind):
    graph = assert_same(share, scans("plain", kind, "plain"), TWO)
    assert [node.op for node in graph.nodes] == ["scan", "scan"]
