"""Nothing idle is left, at any depth, and results do not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.graph.same import assert_same, ops
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.graph.text import to_text
from tilewright.trace import trace

X = np.arange(6, dtype=np.float32)
TIES = np.array([[1, 1, 0, 0], [5, 2, 9, 3], [0, 1, 2, 3], [0, 0, 0, 0]], np.int32)


def eliminated(function, *arguments) -> Graph:
    traced = trace(function, *arguments)
    return assert_same(eliminate, traced.graph, [*traced.constants, *arguments])


def find(graph: Graph, op: str):
    (node,) = (n for n in graph.nodes if n.op == op)
    return node


def test_dead_nodes_go_and_inputs_stay():
    b = Builder([Type("float32", (6,)), Type("float32", (6,))])
    x, _ = b.inputs
    b.op("exp", b.op("neg", x))
    kept = b.op("abs", x)
    graph = assert_same(eliminate, b.graph([kept, kept]), [X, X])
    assert ops(graph) == ["abs"]


def test_a_carry_that_only_feeds_itself_goes():
    def function(x):
        def step(carry, _):
            a, b, c = carry
            return (a + 1, b * 2 + c, c + 1), (a, b)

        (a, _, _), (ys, _) = lax.scan(step, (x, x, x), None, length=4)
        return a, ys

    node = find(eliminated(function, X), "scan")
    assert node.params["carry"] == 1
    assert len(node.outputs) == 2
    assert ops(node.bodies[0]).count("mul") == 0


def test_what_the_condition_reads_stays():
    def function(x):
        def step(carry):
            i, a, b = carry
            return i + 1, a * 2, b + a

        return lax.while_loop(lambda c: c[0] < 5, step, (0, x, x))[1]

    node = find(eliminated(function, X), "loop")
    assert [v.dtype for v in node.outputs] == ["int32", "float32"]


def test_a_carry_is_wanted_through_others():
    def function(x):
        def step(carry, _):
            a, b, c, d = carry
            return (b, c, a, d + a), None

        return lax.scan(step, (x, x + 1, x + 2, x), None, length=5)[0][0]

    assert find(eliminated(function, X), "scan").params["carry"] == 3


def test_carries_that_never_change_become_constants():
    def function(x):
        def step(carry, y):
            a, fixed = carry
            return (a + fixed * y, fixed), a

        return lax.scan(step, (x, x * 3), jnp.arange(4.0))

    node = find(eliminated(function, X), "scan")
    assert (node.params["consts"], node.params["carry"]) == (1, 1)

    def loop(x):
        return lax.while_loop(lambda c: c[0].sum() < 90, lambda c: (c[0] + c[1], c[1]), (x, x * 3))

    node = find(eliminated(loop, X), "loop")
    assert (node.params["consts"], len(node.outputs)) == (1, 1)


def test_dead_elements_and_results_of_a_map():
    def function(x):
        return lax.map(lambda r: (r[0] + 1, jnp.exp(r[1]), r[2]), (x, x * 2, x))[0]

    graph = eliminated(function, X)
    node = find(graph, "map")
    assert (len(node.inputs), len(node.outputs)) == (1, 1)
    assert "exp" not in ops(graph)


def test_branches_lose_results_and_operands():
    def function(i, x):
        cases = [lambda x, y, z: (x + y, z), lambda x, y, z: (x - y, -z)]
        return lax.switch(i, cases, x, x * 2, x * 3)[0]

    node = find(eliminated(function, np.int32(1), X), "branch")
    assert (len(node.inputs), len(node.outputs)) == (3, 1)


def test_a_result_that_every_case_hands_on():
    def function(i, x):
        return lax.switch(i, [lambda x, y: (x + 1, y), lambda x, y: (x * 2, y)], x, x * 3)

    node = find(eliminated(function, np.int32(1), X), "branch")
    assert len(node.outputs) == 1


@pytest.mark.parametrize("case", [0, 1])
def test_a_result_that_cases_hand_on_from_operands_of_their_own(case):
    def function(i, x):
        return lax.switch(i, [lambda x, y: (x + 1, x), lambda x, y: (y * 2, y)], x, x * 3)

    eliminated(function, np.int32(case), X)


def test_through_nested_bodies():
    def inner(x):
        def step(carry, _):
            return (carry[0] + 1, jnp.exp(carry[1])), None

        return lax.scan(step, (x, x), None, length=3)[0]

    def function(x):
        def step(carry, _):
            a, b = inner(carry[0])
            return (a, b), None

        return lax.scan(step, (x, x), None, length=2)[0][0]

    assert "exp" not in ops(eliminated(function, X))


def test_deep_nests_take_linear_time():
    def nest(depth):
        if depth == 0:
            return lambda c: tuple(jnp.sin(v) for v in c)
        body = nest(depth - 1)
        turned = lambda c: (lambda r: (*r[1:], r[0]))(body(c))  # noqa: E731
        return lambda c: lax.fori_loop(0, 2, lambda i, c: turned(c), c)

    traced = trace(lambda x: nest(7)((x, x, x, x))[0], X)
    assert len(to_text(eliminate(traced.graph))) > 0


def test_sorts_lose_what_is_carried_along_for_nothing():
    graph = eliminated(lambda x: jnp.argsort(x), X)
    assert len(find(graph, "sort").inputs) == 2


def test_sorts_keep_the_keys_that_decide():
    graph = eliminated(lambda a, b, c, d: lax.sort((a, b, c, d), num_keys=2)[2], *TIES)
    assert len(find(graph, "sort").inputs) == 3


def sums_of_strips(read: str) -> Graph:
    """Sums over 300 rows, 256 and then 44, of what strips read: "xs", one "x", or "nothing"."""
    kinds = [Type("float32", (2,))] * 2 + [Type("float32", (300,))] * 2

    def body(rows: int) -> Graph:
        b = Builder([*kinds[:2], *[Type("float32", (rows,))] * 2])
        _, scale, x, y = b.inputs
        if read == "nothing":
            return b.graph([scale])
        total = b.op("reduce", b.op("mul", x, y if read == "xs" else x), kind="sum", axes=(0,))
        return b.graph([b.op("mul", scale, b.op("broadcast", total, shape=(2,), dimensions=()))])

    b = Builder(kinds)
    sums = b.add(
        "strips",
        b.inputs,
        [kinds[0]],
        bodies=[body(256), body(44)],
        consts=2,
        ys=0,
        rows=300,
        axes=(0, 0),
        strip=256,
        first=False,
        strips=2,
    )
    return b.graph(sums)


@pytest.mark.parametrize(("read", "stay"), [("xs", (1, 2, 3)), ("x", (1, 2)), ("nothing", (1, 2))])
def test_strips_lose_what_they_do_not_read(read, stay):
    rows = np.linspace(-1, 1, 300, dtype=np.float32)
    inputs = [X[:2], X[2:4], rows, rows + 1]
    graph = assert_same(eliminate, sums_of_strips(read), inputs)
    node = find(graph, "strips")
    assert node.inputs == tuple(graph.inputs[i] for i in stay)
    assert node.params["consts"] == 1
    assert [len(body.inputs) for body in node.bodies] == [len(stay)] * 2


def test_gradient_of_a_scan():
    def function(x):
        def step(c, _):
            return jnp.tanh(c) * 2, c

        return lax.scan(step, x, None, length=3)[0].sum()

    eliminated(jax.value_and_grad(function), X)


def test_rows_that_strips_give_twice_or_read_are_given_once_or_not_at_all():
    b = Builder([Type("float32", (600, 4))])
    (x,) = b.inputs
    bodies = []
    for rows in (256, 88):
        inside = Builder([Type("float32", (rows, 4))])
        (here,) = inside.inputs
        twice, other = inside.op("exp", here), inside.op("neg", here)
        total = inside.op("reduce", other, kind="sum", axes=(0,))
        bodies.append(inside.graph([twice, here, twice, other, total]))
    rows = [Type("float32", (600, 4))] * 4
    found = b.add("strips", [x], [*rows, Type("float32", (4,))], bodies=bodies, consts=0, ys=4,
                  rows=600, axes=(0,), first=True, strip=256, strips=3)  # fmt: skip
    graph = assert_same(eliminate, b.graph(found), [np.ones((600, 4), np.float32)])
    node = find(graph, "strips")
    assert node.params["ys"] == 2
    assert graph.outputs[0] is graph.outputs[2]
    assert graph.outputs[1] is x
    assert len(node.outputs) == 3
