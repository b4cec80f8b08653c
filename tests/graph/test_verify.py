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


ROWS = 600
STRIPED = dict(consts=1, ys=1, rows=ROWS, axes=(1,), first=False, strip=256, strips=3)


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
    bodies = [strip(256), strip(88)] if bodies is None else bodies
    return graph_of("strips", inputs, outputs, bodies=bodies, **{**STRIPED, **changed})


def test_strips_pass():
    verify(striped())
    verify(striped([strip(ROWS)], strip=ROWS, strips=1))
    verify(striped([strip(512), strip(88)], strip=512, strips=2))


WRONG_STRIPS = {
    r"an x or y has no first or last dimension of 600": striped(x=599),
    r"a strip of 601 rows out of 600": striped([strip(601)], strip=601, strips=1),
    r"the rows make 3 strips": striped(strips=2),
    r"strips of 2\^j times 256 rows": striped([strip(300)], strip=300, strips=2),
    r"has a body for \[256, 88\] rows": striped([strip(256)]),
    r"a body takes .*float32\[2,87\].*, not .*float32\[2,88\]": striped([strip(256), strip(87)]),
    r"a body gives .*int32\[2\].*, not .*float32\[2\]": striped([strip(256, "int32"), strip(88)]),
    r"a body takes .*, not .*float32\[2,256\]": striped([strip(5), strip(88)]),
    r"has at least one x": striped(consts=2, axes=()),
}


@pytest.mark.parametrize("message", WRONG_STRIPS)
def test_wrong_strips_are_refused(message):
    with pytest.raises(GraphError, match=message):
        verify(WRONG_STRIPS[message])


def test_strips_without_a_parameter_are_refused():
    node = striped().nodes[0]
    params = {name: value for name, value in node.params.items() if name != "strips"}
    broken = Node(node.op, node.inputs, node.outputs, params, node.bodies)
    with pytest.raises(GraphError, match="bad parameters: no strips"):
        verify(Graph(node.inputs, (broken,), node.outputs))


def test_the_law_of_sums_is_a_known_one():
    verify(Graph((), (), (), law="host"))
    with pytest.raises(GraphError, match="'paired' is no law of sums; there is host"):
        verify(Graph((), (), (), law="paired"))


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


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((0, 0), "not so many different inputs"),
        ((2,), "not so many different inputs"),
        ((-1,), "not so many different inputs"),
        ((0, 1), "1 outputs for a state of 2"),
        ((1,), r"takes the place of input 1, int32\[\]"),
    ],
)
def test_a_state_fits_its_inputs(state, message):
    x, n = Value(FLOAT), Value(Type("int32", ()))
    verify(Graph((x, n), (), (x,), state=(0,)))
    with pytest.raises(GraphError, match=message):
        verify(Graph((x, n), (), (x,), state=state))


def test_bodies_have_no_state_of_their_own():
    row = Value(Type("float32", FLOAT.shape[1:]))
    body = Graph((row,), (), (row,), state=(0,))
    length = FLOAT.shape[0]
    graph = graph_of("map", [FLOAT], [FLOAT], consts=0, length=length, bodies=[body])
    with pytest.raises(GraphError, match="has a body with a state"):
        verify(graph)
