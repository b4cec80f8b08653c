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


ROWS = 10
STRIPED = dict(consts=1, ys=1, rows=ROWS, strip=4, strips=3, groups=((2, 1),))


def strip(rows: int, total: str = "float32") -> Graph:
    """(scale, x) -> (y, partial sum), for so many rows."""
    builder = Builder([Type("float32", ()), Type("float32", (2, rows))])
    scale, x = builder.inputs
    y = builder.op("mul", builder.op("broadcast", scale, shape=(2, rows), dimensions=()), x)
    partial = builder.op("reduce", y, kind="sum", axes=(1,))
    return builder.graph([y, builder.op("convert", partial, dtype=total)])


def striped(bodies: Sequence[Graph] | None = None, x: int = ROWS, **changed) -> Graph:
    inputs = [Type("float32", ()), Type("float32", (2, x))]
    outputs = [Type("float32", (2, ROWS)), Type("float32", (2,))]
    bodies = [strip(4), strip(2)] if bodies is None else bodies
    return graph_of("strips", inputs, outputs, bodies=bodies, **{**STRIPED, **changed})


def test_strips_pass():
    verify(striped())
    verify(striped([strip(5)], strip=5, strips=2))


WRONG_STRIPS = {
    r"an x or y has no last dimension of 10": striped(x=9),
    r"a strip of 11 rows out of 10": striped([strip(11)], strip=11, strips=1),
    r"the rows make 3 strips": striped(strips=2),
    r"a group has at least one strip": striped(groups=((2, 1), (0, 1))),
    r"the groups hold 2 whole strips": striped(groups=((1, 1),)),
    r"has a body for \[4, 2\] rows": striped([strip(4)]),
    r"a body takes .*float32\[2,3\].*, not .*float32\[2,2\]": striped([strip(4), strip(3)]),
    r"a body gives .*int32\[2\].*, not .*float32\[2\]": striped([strip(4, "int32"), strip(2)]),
    r"a body takes .*, not .*float32\[2,4\]": striped([strip(5), strip(2)]),
    r"has at least one x": striped(consts=2),
}


@pytest.mark.parametrize("message", WRONG_STRIPS)
def test_wrong_strips_are_refused(message):
    with pytest.raises(GraphError, match=message):
        verify(WRONG_STRIPS[message])


def test_strips_without_a_parameter_are_refused():
    node = striped().nodes[0]
    params = {name: value for name, value in node.params.items() if name != "groups"}
    broken = Node(node.op, node.inputs, node.outputs, params, node.bodies)
    with pytest.raises(GraphError, match="bad parameters: no groups"):
        verify(Graph(node.inputs, (broken,), node.outputs))


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
