"""The machinery that rewrites stand on."""

import numpy as np

from tests.graph.cases import CASES
from tests.graph.same import assert_same, ops
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type, Value
from tilewright.graph.rewrite import (
    Rebuilder,
    cone,
    fresh,
    inline,
    users,
    with_bodies,
)
from tilewright.graph.text import to_text
from tilewright.graph.verify import verify
from tilewright.trace import trace

FLOAT = Type("float32", (3,))
X = np.array([1, 4, 9], np.float32)


def chain() -> tuple[Graph, list[Value]]:
    b = Builder([FLOAT, FLOAT])
    root = b.op("sqrt", b.inputs[0])
    total = b.op("add", root, b.inputs[1])
    twice = b.op("add", total, root)
    return b.graph([twice, total]), [root, total, twice]


def test_replaced_values_are_read_from_then_on():
    graph, (root, *_) = chain()

    def rewrite(graph: Graph) -> Graph:
        new = Rebuilder(graph.inputs)
        for node in graph.nodes:
            node = new.renamed(node)
            if node.op == "sqrt":
                new.replace(node.outputs, [new.op("neg", new.op("neg", *node.inputs))])
            else:
                new.keep(node)
        return new.finish(graph.outputs)

    new = rewrite(graph)
    verify(new)
    assert ops(new) == ["neg", "neg", "add", "add"]
    np.testing.assert_array_equal(evaluate(new, [X, X])[0], 3 * X)
    assert new.outputs == graph.outputs
    assert root not in {v for n in new.nodes for v in n.outputs}


def test_producer_follows_what_is_appended():
    new = Rebuilder([Value(FLOAT)])
    (x,) = new.inputs
    assert new.producer(x) is None
    y = new.op("neg", x)
    assert new.producer(y) is new.nodes[0]
    z = new.op("exp", y)
    assert new.producer(z) is new.nodes[1]


def test_nothing_changes_nothing():
    for case in ("while_vmap", "map", "cond"):
        graph = trace(*CASES[case]).graph
        for node in graph.nodes:
            assert with_bodies(node, lambda body: body) is node


def test_fresh_shares_no_value():
    for case, (function, *arguments) in CASES.items():
        traced = trace(function, *arguments)
        copy = fresh(traced.graph)
        assert to_text(copy) == to_text(traced.graph), case
        assert not all_values(copy) & all_values(traced.graph)


def all_values(graph: Graph) -> set[Value]:
    values = set(graph.inputs)
    for node in graph.nodes:
        values.update(node.outputs)
        for body in node.bodies:
            values |= all_values(body)
    return values


def test_inline_twice():
    body, _ = chain()
    b = Builder([FLOAT])
    (x,) = b.inputs
    first, second = inline(b, body, [x, x])
    third, _ = inline(b, body, [first, second])
    graph = b.graph([third])
    assert_same(lambda g: g, graph, [X])
    assert len(graph.nodes) == 6


def test_users_and_cone():
    graph, (root, total, twice) = chain()
    table = users(graph)
    assert [n.output for n in table[root]] == [total, twice]
    nodes, leaves = cone(graph.producers(), [twice])
    assert (len(nodes), leaves) == (3, set(graph.inputs))
    nodes, leaves = cone(graph.producers(), [twice], stop={total})
    assert leaves == {total, graph.inputs[0]}
    assert {n.output for n in nodes} == {twice, root}
    nodes, _ = cone(graph.producers(), [total], stop={total})
    assert {n.output for n in nodes} == {total, root}
