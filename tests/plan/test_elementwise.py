"""One expression for a unit: each array is read once, constants are part of it."""

import numpy as np

from tests.plan.by_hand import calls_of, run
from tests.plan.scopes import scope_of
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.plan import views
from tilewright.plan.elementwise import ExpressionBuilder

VECTOR = Type("float32", (7,))
X, Y = np.linspace(-2, 2, 7, dtype=np.float32), np.linspace(1, 3, 7, dtype=np.float32)


def test_an_array_is_read_once_and_constants_are_not_read():
    b = Builder([VECTOR, VECTOR])
    x, y = b.inputs
    two = b.op("broadcast", b.constant(np.float32(2)), shape=(7,), dimensions=())
    last = b.op("sub", b.op("mul", x, two), b.op("add", y, x))
    graph = b.graph([last])
    program, (call,) = calls_of(graph)
    assert len(call.codelet.inputs) == 2
    (found,) = run(program, [X, Y])
    np.testing.assert_array_equal(found, evaluate(graph, [X, Y])[0])


def test_what_is_read_elsewhere_is_a_result_too():
    b = Builder([VECTOR, VECTOR])
    x, y = b.inputs
    inner = b.op("mul", x, y)
    graph = b.graph([b.op("exp", inner), inner])
    program, (call,) = calls_of(graph)
    assert len(call.codelet.outputs) == 2
    for found, expected in zip(run(program, [X, Y]), evaluate(graph, [X, Y]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_values_in_registers_are_the_first_leaves():
    b = Builder([VECTOR, VECTOR])
    x, y = b.inputs
    product, last = b.op("mul", x, y), None
    last = b.op("sub", y, product)
    graph = b.graph([last])
    builder = ExpressionBuilder(scope_of(graph), (7,))
    builder.give(product)
    builder.add(graph.nodes[-1])
    expression = builder.build([last])
    assert [leaf.buffer.space for leaf in builder.leaves] == ["register", "input"]
    (step,) = expression.instructions
    assert step.arguments == (1, 0)  # y, from memory, less what is in registers
    assert expression.outputs == (2,)


def test_a_view_of_what_is_known_is_not_read():
    b = Builder([VECTOR])
    (x,) = b.inputs
    seen = b.op("reshape", x, shape=(7, 1))
    graph = b.graph([b.op("neg", seen)])
    builder = ExpressionBuilder(scope_of(graph), (7,))
    builder.give(x)
    builder.same(seen, x)
    assert builder.number(seen) == builder.number(x) == ("leaf", 0)
    assert len(builder.leaves) == 1


def test_two_names_of_the_same_elements_are_read_once():
    b = Builder([VECTOR])
    (x,) = b.inputs
    again = b.op("reshape", b.op("reshape", x, shape=(7, 1)), shape=(7,))
    graph = b.graph([b.op("add", x, again)])
    scope = scope_of(graph)
    for node in graph.nodes[:2]:
        seen = views.reshape(scope.view(node.inputs[0]), node.output.shape)
        assert seen is not None
        scope.put(node.output, seen)
    builder = ExpressionBuilder(scope, (7,))
    assert builder.number(again) == builder.number(x)
    assert len(builder.leaves) == 1
