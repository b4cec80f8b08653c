"""What the tracer builds passes; each broken invariant is found and named."""

from collections.abc import Sequence

import pytest

from tests.graph.cases import CASES
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.verify import GraphError, verify
from tilewright.trace import trace

FLOAT = Type("float32", (3,))


def graph_of(op: str, inputs: Sequence[Type], outputs: Sequence[Type], **keywords) -> Graph:
    builder = Builder(inputs)
    return builder.graph(builder.add(op, builder.inputs, outputs, **keywords))


@pytest.mark.parametrize("case", CASES)
def test_traced_graphs_pass(case):
    function, *arguments = CASES[case]
    verify(trace(function, *arguments).graph)


def identity(*types: Type) -> Graph:
    builder = Builder(types)
    return builder.graph(builder.inputs)


BROKEN = {
    "no such operation": graph_of("frobnicate", [FLOAT], [FLOAT]),
    "different shapes": graph_of("add", [FLOAT, Type("float32", (4,))], [FLOAT]),
    "different dtypes": graph_of("add", [FLOAT, Type("int32", (3,))], [FLOAT]),
    "two operands": graph_of("add", [FLOAT], [FLOAT]),
    "should give float32": graph_of("neg", [FLOAT], [Type("float32", (4,))]),
    "should give bool": graph_of("eq", [FLOAT, FLOAT], [FLOAT]),
    "number of elements": graph_of("reshape", [FLOAT], [Type("float32", (4,))], shape=(4,)),
    "bad parameters": graph_of("transpose", [FLOAT], [FLOAT]),
    "selects by bool": graph_of("select", [FLOAT, FLOAT, FLOAT], [FLOAT]),
    "a body gives": graph_of(
        "loop", [FLOAT], [FLOAT], consts=0, bodies=[identity(FLOAT), identity(FLOAT)]
    ),
    "a body takes": graph_of("map", [FLOAT], [FLOAT], consts=0, length=3, bodies=[identity(FLOAT)]),
    "leading dimension": graph_of(
        "map", [FLOAT], [FLOAT], consts=0, length=4, bodies=[identity(Type("float32", ()))]
    ),
    "index is a scalar": graph_of("branch", [FLOAT], [], bodies=[identity()]),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_nodes_are_named(message):
    with pytest.raises(GraphError, match=message):
        verify(BROKEN[message])


def test_definitions():
    x, y = Value(FLOAT), Value(FLOAT)
    node = Node("neg", (x,), (y,))
    verify(Graph((x,), (node,), (y,)))
    with pytest.raises(GraphError, match="before it is defined"):
        verify(Graph((), (node,), (y,)))
    with pytest.raises(GraphError, match="defined twice"):
        verify(Graph((x,), (node, node), (y,)))
    with pytest.raises(GraphError, match="never defined"):
        verify(Graph((x,), (), (y,)))


def test_bodies_are_closed():
    outside = Value(Type("float32", ()))
    inner = Value(Type("float32", ()))
    leak = Graph((inner,), (), (outside,))
    graph = graph_of("map", [FLOAT], [FLOAT], consts=0, length=3, bodies=[leak])
    with pytest.raises(GraphError, match="never defined"):
        verify(graph)
