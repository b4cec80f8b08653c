"""Chains over rows become strips wherever the rows come from, which changes no bit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.graph.same import assert_same, ops
from tests.machines import STATED, scaled
from tests.trace.comparing import agree, operations
from tilewright.graph.ir import Graph, Node
from tilewright.graph.law import LEAF
from tilewright.graph.strips import make_strips
from tilewright.trace import trace

ROWS = 600
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 4)).astype(np.float32)
W, V = RANDOM.normal(size=4).astype(np.float32), RANDOM.normal(size=(4, 8)).astype(np.float32)


def loss(x, v):
    return jnp.sum(jnp.tanh(x @ v))


CHAINS = {
    "data": lambda w, v: loss(X * w, v),
    "counted": lambda w, v: loss(jnp.arange(float(ROWS))[:, None] * w / ROWS, v),
    "random": lambda w, v: loss(jax.random.normal(jax.random.key(0), (ROWS, 4)) * w, v),
    "repeated": lambda w, v: loss(jnp.broadcast_to(w, (ROWS, 4)), v),
}


@pytest.mark.parametrize("name", CHAINS)
def test_rows_from_everywhere(name):
    graph = tilewright.compile(CHAINS[name], W, V).compiled.graph
    # Rows that are all made from one value have no data to cut into strips.
    assert ("strips" in operations(graph)) == (name != "repeated")
    agree(CHAINS[name], W, V, epsilons=64)


def strips_of(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "strips"]


def test_strips_change_no_bit_however_little_memory_there_is():
    """Those of several are nodes of the law's tree: 2^j leaves."""
    x, v = (RANDOM.normal(size=s).astype(np.float32) for s in ((1700, 30), (30, 16)))

    def function(x, v):
        value, gradient = jax.value_and_grad(lambda v: jnp.sum(jnp.tanh(x @ v) * 3))(v)
        return value, gradient, jnp.max(x @ v)

    graph, seen = trace(function, x, v).graph, set()
    for size in np.geomspace(1 / 64, 8, 28):
        make = partial(make_strips, machine=scaled(STATED, size, 1, 2, 0))
        strip = strips_of(make(graph))[0].params["strip"]
        if strip not in seen:
            assert_same(make, graph, [x, v])
        seen.add(strip)
    assert seen == {LEAF, 2 * LEAF, 4 * LEAF}


def test_a_sum_over_rows_and_three_columns_is_no_sum_of_strips():
    """Its leaves end in the middle of a row."""
    x, v = (RANDOM.normal(size=s).astype(np.float32) for s in ((1700, 16), (16, 3)))

    def function(x, v):
        y = jnp.tanh(x @ v)
        return jnp.sum(y), jnp.sum(y, axis=0)

    make = partial(make_strips, machine=scaled(STATED, 1 / 64, 1, 2, 0))
    graph = assert_same(make, trace(function, x, v).graph, [x, v])
    (node,) = strips_of(graph)
    assert ops(node.bodies[0]).count("reduce") == 1
    assert [node.op for node in graph.nodes].count("reduce") == 1


def test_what_depends_on_a_sum_over_the_rows_comes_after_it():
    x, v = (RANDOM.normal(size=s).astype(np.float32) for s in ((1700, 16), (16, 8)))

    def function(x, v):
        y = jnp.tanh(x @ v)
        y = (y - jnp.sum(y, axis=0) / len(y)) @ v.T
        return jnp.sum(jnp.sin(y), axis=0)

    make = partial(make_strips, machine=scaled(STATED, 1 / 64, 1, 2, 0))
    assert len(strips_of(assert_same(make, trace(function, x, v).graph, [x, v]))) == 2


@pytest.mark.parametrize("turn", [False, True], ids=["vector first", "vector second"])
def test_rows_summed_with_a_vector_beside_a_product_of_matrices(turn):
    """A linear part beside a net: both gradients read the data with their rows first."""
    x, v = (RANDOM.normal(size=s).astype(np.float32) for s in ((1700, 28), (28, 8)))

    def function(w, v):
        s = (w @ x.T if turn else x @ w) + jnp.sum(jnp.tanh(x @ v), axis=1)
        return jnp.sum(jnp.exp(-s * s))

    w = RANDOM.normal(size=28).astype(np.float32) / 9
    gradients = jax.value_and_grad(function, (0, 1))
    assert "strips" in operations(tilewright.compile(gradients, w, v).compiled.graph)
    # Sums of 1,700 terms of about 0.1 nearly cancel in some places.
    agree(gradients, w, v, epsilons=4096, absolute=5e-5)


def test_a_matrix_with_its_rows_first_is_the_left_operand():
    """Of a product with a vector, which has no other side to be turned to."""
    x, v = (RANDOM.normal(size=s).astype(np.float32) for s in ((1700, 28), (28, 8)))

    def function(x, v):
        hidden = jnp.tanh(x @ v)
        return x.T @ jnp.sum(hidden, axis=1), x.T @ hidden

    assert "strips" in operations(tilewright.compile(function, x, v).compiled.graph)
    agree(function, x, v, epsilons=4096)


def test_rows_read_across_are_other_rows():
    """A matrix, turned and read in its old shape, has as many rows, but not the same."""

    def fn(x, w):
        return jnp.tanh((x + x.T.reshape(x.shape)) @ w).sum(0)

    x, w = (np.random.default_rng(0).normal(size=s).astype("f4") for s in ((2000, 40), (40, 40)))
    found = tilewright.compile(fn, x, w)(x, w)
    np.testing.assert_allclose(found, jax.jit(fn)(x, w), atol=0.02)


def test_channels_of_images_are_no_rows():
    """Squeezed, excited, projected: a chain over channels, of which weights would be the data."""
    sizes = (1, 5, 5, 96), (96, 8), (8, 96), (96, 16)
    arrays = [RANDOM.random(size).astype(np.float32) for size in sizes]

    def excited(x, squeeze, excite, project):
        factors = jnp.tanh(jnp.mean(x, (1, 2)) @ squeeze) @ excite
        return (x * factors[:, None, None]) @ project

    assert not strips_of(tilewright.compile(excited, *arrays).compiled.graph)
    agree(excited, *arrays, epsilons=64)


def test_a_matrix_that_vectors_meet_twice_stays_near():
    """Strips of it fit the nearest memory; of a matrix that matrices meet, the tile's own."""
    x = RANDOM.normal(size=(4000, 16)).astype(np.float32)

    def strip(function, *arguments) -> int:
        graph = make_strips(tilewright.compile(function, *arguments).compiled.graph, STATED)
        return strips_of(graph)[0].params["strip"]

    near = STATED.tile.memories[0].size
    logistic = strip(jax.grad(lambda w: jnp.sum(jax.nn.softplus(x @ w))), np.ones(16, np.float32))
    net = strip(jax.grad(lambda v: loss(x, v)), np.ones((16, 4), np.float32))
    assert logistic * 16 * 4 <= near < net * 16 * 4
    agree(jax.grad(lambda w: jnp.sum(jax.nn.softplus(x @ w))), np.ones(16, np.float32), epsilons=64)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize(("rows", "strips"), [(8, 0), (400, 1)])
def test_bound_weights_that_meet_few_rows_are_no_data(rows, strips, stacked):
    """Units of a hidden layer run through both its matrices; little lies between."""
    shapes = (rows, 300), (2, 300, 500), (2, 500, 9)
    x, v, w = (RANDOM.normal(size=s).astype(np.float32) for s in shapes)

    def function(x, v, w):
        return jnp.tanh(x @ (v[1] if stacked else v)) @ (w[1] if stacked else w)

    given = (x, v, w) if stacked else (x, v[0], w[0])
    graph = trace(function, *given).graph
    assert len(strips_of(make_strips(graph, machine=STATED, bound=True))) == strips
    assert len(strips_of(make_strips(graph, machine=STATED))) == 1
    program = tilewright.compile(function, *given)
    bound = program.bind(v=given[1], w=given[2])
    assert bound(x).tobytes() == program(*given).tobytes()
