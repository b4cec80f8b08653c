"""Units: every node has one, none runs before what it reads, and updates wait for other readers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.random_programs import arguments, program
from tilewright.dump import Dump
from tilewright.graph.ops import ELEMENTWISE, VIEWS
from tilewright.plan.schedule import (
    CHEAP,
    SCALAR_LIMIT,
    UPDATES,
    VECTOR_LIMIT,
    alias_root,
    schedule,
)
from tilewright.stages import Stages
from tilewright.trace import trace

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def graph_of(fn, *args):
    return Stages(trace(fn, *args).graph, Dump("test")).graph


def bodies(graph):
    yield graph
    for node in graph.nodes:
        for body in node.bodies:
            yield from bodies(body)


def many(x):
    """More scalars and vectors than a unit takes."""
    total, scalar = x, x[0, 0]
    for i in range(100):
        total = jnp.where(total > i, total * 1.5, total + i)
        scalar = scalar * 2 + x[1, 1] - i
    return total, scalar


def updates(x):
    y = x * 2
    z = y.at[0].set(1.0)
    return z, y.sum(), (y + 1).max(), z.at[1].add(2.0)


def sums(x):
    return (jnp.exp(x) * 2).sum(), (x - 1).max(1), jnp.tanh(x)


GRAPHS = {
    **{f"random {seed}": (program(seed), arguments(seed)) for seed in range(25)},
    "many": (many, (X,)),
    "updates": (updates, (X,)),
    "sums": (sums, (X,)),
    "gradient": (jax.grad(lambda x: jnp.log1p(jnp.tanh(x @ X.T) ** 2).sum()), (X,)),
    "loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: updates(c)[0] + i, x), (X,)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_laws(name):
    fn, args = GRAPHS[name]
    for graph in bodies(graph_of(fn, *args)):
        check(graph)


def check(graph):
    units, producers = schedule(graph), graph.producers()
    place = {node: (i, j) for i, unit in enumerate(units) for j, node in enumerate(unit.nodes)}
    assert len(place) == sum(len(unit.nodes) for unit in units), "a node in two units"
    wanted = {n for n in graph.nodes if n.op not in VIEWS and n.op != "constant"}
    assert set(place) == wanted, "a node without a unit"
    for node, where in place.items():
        for value in node.inputs:
            maker = producers.get(alias_root(value, producers))
            assert maker not in place or place[maker] < where, f"{node.op} before {maker.op}"
    for unit in units:
        elementwise = [n for n in unit.nodes if n.op in ELEMENTWISE or n.op == "iota"]
        if unit.kind == "fused":
            assert elementwise == unit.nodes
            assert {node.output.shape for node in unit.nodes} == {unit.shape}
            limit = SCALAR_LIMIT if unit.shape == () else VECTOR_LIMIT
            assert len(unit.nodes) <= 2 * limit
        else:
            assert unit.nodes[-1].op == unit.kind
            assert [*elementwise, unit.nodes[-1]] == unit.nodes
    last_reader(graph, units, producers, place)


def last_reader(graph, units, producers, place):
    """An update works in place only if nobody reads its operand later: it is put off if it can.

    It waits for no reader that itself waits for an update.
    """
    updating = [node for node in graph.nodes if node.op in UPDATES]
    late = {other for node in updating for other in dependents(graph, node)}
    for node in updating:
        root = alias_root(node.inputs[0], producers)
        for other in place:
            reads = any(alias_root(v, producers) is root for v in other.inputs)
            if reads and other not in late:
                assert place[other] < place[node], f"{other.op} reads what {node.op} overwrites"


def dependents(graph, first):
    found, values = {first}, set(first.outputs)
    for node in graph.nodes:
        if values & set(node.inputs):
            found.add(node)
            values |= set(node.outputs)
    return found


def test_chains_fuse():
    (unit,) = schedule(graph_of(lambda x: jnp.tanh(x * 2 + 1) - x, X))
    assert [node.op for node in unit.nodes] == ["mul", "add", "tanh", "sub"]


def test_a_reduction_takes_what_only_it_reads():
    units = schedule(graph_of(sums, X))
    kinds = {unit.kind: [node.op for node in unit.nodes] for unit in units}
    assert kinds["fused"] == ["tanh"]
    assert ["exp", "mul", "reduce"] in [[n.op for n in unit.nodes] for unit in units]


def test_cheap_work_goes_to_its_only_reader():
    """Rather than that its result is stored and loaded again."""

    def function(x, y):
        early = x + y  # all that it reads is in memory anyway
        return jnp.tanh(x).sum(0), (x @ y.T @ y) * early

    units = schedule(graph_of(function, X, X))
    (late,) = [u for u in units if u.kind == "fused" and any(n.op == "mul" for n in u.nodes)]
    assert [node.op for node in late.nodes] == ["add", "mul"]
    assert "add" in CHEAP
    assert "tanh" not in CHEAP


def test_a_chain_moves_to_the_only_unit_that_reads_it():
    """1 - x and x (1 - x) hang on no product, and are read after it: they are made there."""

    def fn(x, y):
        return (x @ y) * (x * (1 - x))

    square = np.eye(4, dtype=np.float32)
    for graph in bodies(graph_of(fn, square, square)):
        units = [unit for unit in schedule(graph) if any(n.op in ELEMENTWISE for n in unit.nodes)]
        assert len(units) <= 1
        check(graph)


def test_a_long_chain_is_walked_once():
    """Each link reads the one before it twice."""

    def fn(x, y):
        chain = x
        for _ in range(60):
            chain = chain * chain
        return (x @ y) * chain

    square = np.eye(4, dtype=np.float32)
    for graph in bodies(graph_of(fn, square, square)):
        check(graph)


def test_a_chain_stays_where_another_reads_its_beginning():
    def fn(x, y):
        rest = 1 - x
        return (x @ y) * (x * rest), rest

    square = np.eye(4, dtype=np.float32)
    graph = graph_of(fn, square, square)
    check(graph)
    fused = [[n.op for n in unit.nodes] for unit in schedule(graph) if unit.kind == "fused"]
    assert fused == [["sub"], ["mul", "mul"]]


def test_a_chain_of_what_is_computed_stays():
    """Whether that is stored is settled elsewhere: see `recompute.py`."""

    def fn(x, y):
        z = jnp.exp(x)
        return (x @ y) * (z * (1 - z)), z

    square = np.eye(4, dtype=np.float32)
    graph = graph_of(fn, square, square)
    check(graph)
    before = next(unit for unit in schedule(graph) if unit.kind == "fused")
    assert [node.op for node in before.nodes] == ["exp", "sub", "mul"]
