"""Products of a scan's elements leave it a chunk at a time: the same bits, bounded memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.graph.same import assert_same, ops
from tests.machines import STATED
from tilewright.graph.ahead import KEPT, _trips, ahead
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Type, Value
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
H, X = 48, 40
U = (RANDOM.normal(size=(H, 4 * H)) / 8).astype(np.float32)
W = (RANDOM.normal(size=(X, 4 * H)) / 8).astype(np.float32)
B = RANDOM.normal(size=4 * H).astype(np.float32)

INPUTS = {
    "x @ W": lambda x, w: x @ w,
    "x @ W.T": lambda x, w: x @ w.T,
    "with a bias": lambda x, w: x @ w + B,
    "turned": lambda x, w: (w.T @ x.T).T,
    "scaled": lambda x, w: ((x - B[:X]) * 0.5) @ w,
    "in part": lambda x, w: x[:, : X // 2] @ w[: X // 2] + B,
    "backwards": lambda x, w: x[:, ::-1] @ w,
    "doubled": lambda x, w: jnp.concatenate([x, x], -1).reshape(-1, 2, X)[:, 0] @ w,
    "after": lambda x, w: jnp.tanh(x @ w),
}


def recurrent(product, reverse=False):
    """xs (steps, rows, X), W, U -> the last state and all of them."""

    def run(xs, w, u):
        def step(h, x):
            i, f, g, o = jnp.split(product(x, w) + h @ u, 4, axis=-1)
            h = jnp.clip(i * f + g - o * 0.5, -1, 1) * 0.5 + h * 0.25
            return h, h[:, ::2]

        return lax.scan(step, jnp.zeros((xs.shape[1], H)), xs, reverse=reverse)

    return run


def given(steps, rows, turned=False):
    xs = RANDOM.normal(size=(steps, rows, X)).astype(np.float32)
    return [xs, W.T.copy() if turned else W, U]


def rewritten(function, arrays):
    traced = trace(function, *arrays)
    given = [*traced.constants, *arrays]
    return assert_same(lambda graph: eliminate(ahead(graph, STATED)), traced.graph, given)


def inner(graph):
    """The bodies of loops that hold no loop."""
    found = []
    for node in graph.nodes:
        for body in node.bodies:
            deeper = inner(body)
            found += deeper or [body]
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_every_spelling(name):
    arrays = given(7, 1, turned=name == "x @ W.T")
    graph = rewritten(recurrent(INPUTS[name]), arrays)
    (body,) = inner(graph)
    assert [n.op for n in body.nodes].count("dot") == 1, name
    if name == "after":
        assert "tanh" not in ops(body)
    assert ops(graph).count("scan") == 1


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [131, 200])
def test_chunks_of_any_length(steps, reverse):
    """A prime number of steps leaves a shorter chunk, which a backward scan takes first."""
    graph = rewritten(recurrent(INPUTS["with a bias"], reverse), given(steps, 1))
    assert len(inner(graph)) == (2 if steps == 131 else 1)
    first, *_ = [n for n in graph.nodes if n.bodies and "scan" in ops(n.bodies[0])]
    assert first.params["length"] == (8 if steps == 131 else 10)


def test_a_chunk_keeps_no_more_than_a_tile_holds():
    """Results of a megabyte each, for ten thousand steps."""
    tile = STATED.tile
    large = Value(Type("float32", (1, 1 << 18)))
    trips = _trips(10_000, 1, [large], tile)
    assert trips * large.type.nbytes <= KEPT * tile.memory
    small = Value(Type("float32", (1, 16)))
    assert _trips(10_000, 1, [small], tile) > trips


def test_what_waits_for_multiplying_stays():
    arrays = given(9, 8)
    graph = rewritten(recurrent(INPUTS["x @ W"]), arrays)
    assert [n.op for n in inner(graph)[0].nodes].count("dot") == 2


def test_vectors_stay():
    """Rows of their product would be summed in another order."""

    def run(xs, w, u):
        return lax.scan(lambda h, x: ((x @ w + h @ u)[:H], None), jnp.zeros(H), xs)[0]

    xs, w, u = given(9, 1)
    graph = rewritten(run, [xs[:, 0], w, u])
    assert [n.op for n in inner(graph)[0].nodes].count("dot") == 2


def test_products_with_the_state_and_of_elements_with_each_other_stay():
    def run(xs, w, u):
        def step(h, x):
            return (x @ w + h @ u)[:, :H] + (x.T @ x)[0, 0], None

        return lax.scan(step, jnp.zeros((1, H)), xs)[0]

    graph = rewritten(run, given(9, 1))
    assert [n.op for n in inner(graph)[0].nodes].count("dot") == 2


@pytest.mark.parametrize("steps", [5, 150])
def test_on_all_ways_to_run(steps):
    agree(recurrent(INPUTS["with a bias"]), *given(steps, 2), absolute=1e-3, simulated=steps < 9)


def test_memory_does_not_grow_with_steps():
    sizes = []
    for steps in (512, 1024):
        xs, w, u = given(steps, 1)
        function = recurrent(INPUTS["x @ W"])
        program = tilewright.compile(lambda *given, f=function: f(*given)[0], xs, w, u, tiles=1)
        sizes.append(program.compiled.program.shared_bytes)
    assert sizes[0] == sizes[1] < 3 * (W.nbytes + U.nbytes)


def test_gradients():
    def loss(w, u, xs):
        return jnp.sum(recurrent(INPUTS["x @ W"])(xs, w, u)[0] ** 2)

    xs, w, u = given(20, 1)
    agree(jax.grad(loss, (0, 1)), w, u, xs, relative=1e-3, absolute=1e-3, simulated=False)
