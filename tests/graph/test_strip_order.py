"""Rows first or last: both orders of a strip give the bits of the whole; the cheaper is taken."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import same_bits
from tests.machines import STATED
from tests.trace.comparing import operations
from tilewright.graph import strips
from tilewright.graph.evaluate import evaluate
from tilewright.graph.strips import make_strips
from tilewright.graph.verify import verify
from tilewright.plan.lower import lower
from tilewright.simulate import simulate
from tilewright.trace import trace

ROWS = 300
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 6)).astype(np.float32)
Y = RANDOM.normal(size=ROWS).astype(np.float32)
V = RANDOM.normal(size=(6, 16)).astype(np.float32)
U = RANDOM.normal(size=(16, 3)).astype(np.float32)


def net(x, v, u):
    return jnp.sum(jnp.log1p((Y[:, None] - jnp.tanh(x @ v + v[0]) @ u) ** 2))


def columns(x, v, u):
    """The data turned round."""
    hidden = jnp.tanh(v.T @ x.T + v[0][:, None])
    return jnp.sum((Y - (u.T @ hidden)) ** 2)


def heads(x, v, u):
    """Several free dimensions, on either side, and a result for each row."""
    hidden = jnp.einsum("rk,khj->rhj", x, v.reshape(6, 4, 4))
    back = jnp.einsum("jhk,rhj->kr", v.reshape(6, 4, 4).transpose(2, 1, 0), hidden)
    return jnp.sum(back * back), back


def pieces(x, v, u):
    """Slices, parts put together, sums along a row, a row's number among all."""
    hidden = jnp.concatenate([x @ v, x[:, 1:4] @ u[:3]], axis=1)
    share = jax.nn.softmax(hidden[:, 2:15:3], axis=1)
    return jnp.sum(share * hidden[:, :5]) + jnp.sum(hidden.T @ x), share.T


CHAINS = {"net": net, "columns": columns, "heads": heads, "pieces": pieces}


@pytest.fixture(params=[True, False], ids=["first", "last"])
def order(request, monkeypatch):
    monkeypatch.setattr(strips, "rows_first", lambda *_: request.param)
    monkeypatch.setattr(strips, "MAX_STRIP", 128)
    return request.param


@pytest.mark.parametrize("name", CHAINS)
def test_bits_of_both_orders(name, order):
    def fn(*args):
        values, back = jax.vjp(CHAINS[name], *args)
        return values, back(jax.tree.map(jnp.ones_like, values))

    traced = trace(fn, X, V, U)
    inputs = [*traced.constants, X, V, U]
    graph = make_strips(traced.graph, STATED)
    verify(graph)
    nodes = [node for node in graph.nodes if node.op == "strips"]
    assert {node.params["first"] for node in nodes} == {order}
    whole = evaluate(traced.graph, inputs)
    same_bits(evaluate(graph, inputs), whole, "strips")
    program, literals = lower(graph, STATED)
    result = simulate(program, [*literals, *inputs], 2, seed=0)
    flat = [a.reshape(b.shape) for a, b in zip(result.outputs, whole, strict=True)]
    same_bits(flat, whole, "simulated")


def taken(widths, rows=600):
    """`first` of the strips of a net's gradient."""
    shapes = [(rows, widths[0]), *pairwise(widths)]
    args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]

    def loss(x, *weights):
        for w in weights[:-1]:
            x = jnp.tanh(x @ w)
        return jnp.sum((x @ weights[-1]) ** 2)

    graph = trace(jax.grad(loss, argnums=tuple(range(1, len(args)))), *args).graph
    graph = make_strips(graph, STATED)
    assert "strips" in operations(graph)
    return {node.params["first"] for node in graph.nodes if node.op == "strips"}


def test_wide_layers_lie_in_lanes_and_rows_of_narrow_ones():
    assert taken((22, 40, 1)) == {True}
    assert taken((22, 40, 40, 1)) == {True}
    assert taken((16, 64, 64, 8)) == {True}
    assert taken((4, 10, 1)) == {False}
    assert taken((22, 3, 1)) == {False}


def test_products_with_a_batch_keep_rows_last():
    def loss(x, w):
        return jnp.sum(jnp.einsum("rhk,hkj->rhj", x, w) ** 2)

    args = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((600, 4, 16), (4, 16, 32))]
    graph = make_strips(trace(jax.grad(loss, argnums=1), *args).graph, STATED)
    assert all(not node.params["first"] for node in graph.nodes if node.op == "strips")
