"""Rows that never meet are done in shares, which changes no bit: any cell, rows anywhere."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.graph.same import assert_same, ops
from tests.machines import STATED, scaled
from tilewright.dump import Dump
from tilewright.graph.apart import classes_of
from tilewright.graph.ir import Graph, Node
from tilewright.graph.shares import _Chain, by_shares
from tilewright.machine import machine as named
from tilewright.machine.machine import Machine
from tilewright.models.recurrent import Dense, Layer, Recurrent, initial, window
from tilewright.report import report
from tilewright.sequence.precision import in_precision
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
FEATURES, UNITS, STEPS = 3, 8, 4


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


W, U, V = numbers(FEATURES, UNITS), 0.3 * numbers(UNITS, UNITS), numbers(UNITS, 2)


def machine(tiles: int = 2, barrier: int = 10**6) -> Machine:
    """Barriers are dear: tiles had better not wait for each other at each trip."""
    return scaled(STATED, 1, 1, tiles, barrier)


SHARED = partial(by_shares, machine=scaled(STATED, 1, 1e-6, 2, 0))
"""Everything takes so long that shares are worth it."""


def net(kind: str, **more):
    layers = (Layer(kind, FEATURES, UNITS, **more), Layer(kind, UNITS * (1 + bool(more)), UNITS))
    return Recurrent(layers, (Dense(UNITS, 2),))


def plain(weights, xs):
    """A plain recurrent net."""
    w, u, v = weights

    def step(h, x):
        h = jnp.tanh(x @ w + h @ u)
        return h, h

    return lax.scan(step, jnp.zeros((xs.shape[0], len(u))), xs.swapaxes(0, 1))[1][-1] @ v


def odd(weights, xs):
    """A cell that nobody knows: a memory of outer products, a norm, a counter, a learned start."""
    w, u, v = weights

    def step(carry, x):
        count, memory, h = carry
        key = jax.nn.softmax(h @ u + x @ w, -1)
        memory = 0.5 * memory + key[:, :, None] * h[:, None, :]
        read = jnp.sum(memory * key[:, :, None], 1)
        centred = read - jnp.mean(read, -1, keepdims=True)
        h = jnp.where(count % 2 == 0, centred, jnp.minimum(read, h))
        return (count + 1, memory, h), h[:, :2]

    start = jnp.broadcast_to(u[0], (len(xs), UNITS))
    memory = jnp.zeros((len(xs), UNITS, UNITS))
    (count, _, h), steps = lax.scan(step, (0, memory, start), jnp.swapaxes(xs, 0, 1), reverse=True)
    return count, jnp.swapaxes(steps, 0, 1), h @ v


def maps(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "map"]


def has_rows(graph: Graph, rows: int) -> list[str]:
    """Operations outside of maps with a dimension of so many."""
    return [n.op for n in graph.nodes if any(rows in v.shape for v in n.outputs) and n.op != "map"]


CELLS = {
    "LSTM": (partial(window, net("lstm")), initial(net("lstm"), jax.random.key(0))),
    "GRU, both ways": (
        partial(window, net("gru", directions="both")),
        initial(net("gru", directions="both"), jax.random.key(0)),
    ),
    "a plain one": (plain, (W, U, V)),
    "one that nobody knows": (odd, (W, U, V)),
}


@pytest.mark.parametrize("rows", [32, 37])
@pytest.mark.parametrize("name", CELLS)
def test_all_of_a_net_is_one_map(name, rows):
    fn, weights = CELLS[name]
    xs = numbers(rows, STEPS, FEATURES)
    inputs = [*map(np.asarray, jax.tree.leaves(weights)), xs]
    graph = assert_same(SHARED, trace(fn, weights, xs).graph, inputs)
    (node,) = maps(graph)
    assert node.params["length"] == 2
    assert "scan" not in [n.op for n in graph.nodes]
    assert ops(node.bodies[0]).count("scan") == {"GRU, both ways": 3, "LSTM": 2}.get(name, 1)
    assert set(has_rows(graph, rows)) <= {"reshape", "transpose", "slice", "broadcast"}


def test_rows_may_lie_in_lanes_and_be_scalars():
    """A filter of each of many series: shares are whole vectors."""

    def smoothed(xs, start):
        def step(carry, x):
            mean, last = carry
            mean = 0.9 * mean + 0.1 * x
            return (mean, jnp.maximum(last, x)), None

        return lax.scan(step, (start, start), xs)[0]

    xs, start = numbers(5, 6010), numbers(6010)
    graph = assert_same(SHARED, trace(smoothed, xs, start).graph, [xs, start])
    (node,) = maps(graph)
    (inner,) = (n for n in node.bodies[0].nodes if n.op == "scan")
    assert inner.bodies[0].inputs[0].shape == (1504,)


def test_what_only_scans_read_goes_with_them_and_what_mixes_rows_stays():
    def fn(xs, w, u):
        scaled = jnp.tanh(xs) * 2.0
        shift = jnp.mean(xs, 0)

        def step(h, x):
            h = jnp.tanh(x @ w + h @ u)
            return h, h

        h, _ = lax.scan(step, jnp.zeros((len(xs), UNITS)), (scaled + shift).swapaxes(0, 1))
        return jnp.exp(h), h - jnp.mean(h, 0)

    xs = numbers(32, STEPS, FEATURES)
    graph = assert_same(SHARED, trace(fn, xs, W, U).graph, [xs, W, U])
    (node,) = maps(graph)
    inside, outside = ops(node.bodies[0]), [n.op for n in graph.nodes]
    assert inside.count("tanh") == 2
    assert inside.count("exp") == 1
    assert outside.count("tanh") == outside.count("exp") == 0
    assert outside.count("reduce") == 2
    assert "reduce" not in inside


def test_two_batches_are_two_maps():
    def fn(xs, ys, w, u, v):
        return plain((w, u, v), xs), plain((w, u, v), ys)

    given = [numbers(32, STEPS, FEATURES), numbers(48, STEPS, FEATURES), W, U, V]
    graph = assert_same(SHARED, trace(fn, *given).graph, given)
    assert len(maps(graph)) == 2


def by_batch(h, u):
    """A norm over the batch."""
    return jnp.tanh(h @ u - jnp.mean(h, 0))


def turned(h, u):
    """Rows attend to each other."""
    return jax.nn.softmax(h @ h.T) @ h


@pytest.mark.parametrize("cell", [by_batch, turned], ids=lambda cell: cell.__doc__)
def test_rows_that_meet_stay_together(cell):
    def fn(h, u):
        return lax.scan(lambda h, _: (cell(h, u), h[:, 0]), h, None, length=3)

    graph = trace(fn, numbers(32, UNITS), U).graph
    assert SHARED(graph) is graph


def test_steps_are_no_rows():
    """Of one sequence there is nothing to share, whatever dimension runs through its scans."""
    graph = trace(plain, (W, U, V), numbers(1, 64, FEATURES)).graph
    assert SHARED(graph) is graph


def test_not_where_it_does_not_pay_nor_where_tiles_share_no_memory():
    graph = trace(plain, (W, U, V), numbers(32, STEPS, FEATURES)).graph
    assert by_shares(graph, machine()) is graph  # less work than one barrier
    assert by_shares(graph, named("ipu:gc200")) is graph


def test_few_rows_share_trips_and_many_do_not():
    """Each share reads the weights: of two rows that takes as long as of one."""
    kind = Recurrent((Layer("lstm", 16, 256),), (Dense(256, 1),))
    weights = jax.eval_shape(lambda: initial(kind, jax.random.key(0)))
    many = scaled(STATED, 1, 1, 64, 10)
    for rows, shared in ((1, False), (64, False), (64 * 64, True)):
        xs = jax.ShapeDtypeStruct((rows, 20, 16), np.float32)
        graph = by_shares(trace(partial(window, kind), weights, xs).graph, many)
        assert bool(maps(graph)) == shared, rows


def test_what_every_share_would_do_again_does_not_pay():
    """Rows of a weight's gradient are apart, but what they are made of is made of a product."""

    def fn(w, xs, start):
        def step(carry, x):
            total, h = carry
            h = jnp.tanh(h @ w)
            return (total + x.T @ h, h), None

        return lax.scan(step, (jnp.zeros((64, 256)), start), xs)[0]

    shapes = (256, 256), (9, 32, 64), (32, 256)
    graph = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes)).graph
    assert by_shares(graph, scaled(STATED, 1, 1, 2, 100)) is graph


def test_rows_that_change_places_meet():
    """A carry is turned and read as a matrix of the same shape: its rows are other rows."""

    def fn(x):
        def step(carry, _):
            first, second, third = carry
            return (third, second.T.reshape(3, 4), first), None

        return lax.scan(step, (x, 2 * x, 3 * x), None, length=2)[0]

    graph = trace(fn, numbers(3, 4)).graph
    assert "map" not in ops(assert_same(SHARED, graph, [numbers(3, 4)]))


@pytest.mark.parametrize("name", [name for name in CELLS if name != "a plain one"])
def test_all_ways_to_run_it_agree(name, monkeypatch):
    monkeypatch.setattr("tilewright.graph.share_ways.Ways.gain", 0.0)
    fn, weights = CELLS[name]
    weights = jax.tree.map(np.asarray, weights)
    agree(fn, weights, numbers(37, STEPS, FEATURES), exact=False, relative=1e-4, absolute=1e-4)


def test_products_are_priced_by_what_they_read():
    """Bytes take a quarter; and what meets inputs alone is no part of what every trip reads."""
    net = Recurrent((Layer("lstm", 16, 256), Layer("lstm", 256, 256)), (Dense(256, 1),))
    weights, taken = initial(net, jax.random.key(0)), {}
    for precision in ("float32", "int8", "int8x8"):
        graph = trace(partial(window, net), in_precision(weights, precision), numbers(4, 50, 16))
        for chain in (_Chain(graph.graph, rows) for rows in classes_of(graph.graph)):
            if chain.scans:
                taken[precision] = chain.ways(STATED).shares
    assert 0.4 < taken["int8"] / taken["float32"] < 0.7
    assert 0.2 < taken["int8x8"] / taken["float32"] < 0.45


def test_report_says_what_was_chosen():
    xs = numbers(64, 50, 16)
    graph = trace(plain, (0.1 * numbers(16, 256), 0.1 * numbers(256, 256), numbers(256, 2)), xs)
    program = Stages(graph.graph, Dump("test"), machine=STATED).program
    told = str(report(program, STATED, STATED.chip.tiles))
    assert "as planned" not in told
    otherwise = " ".join(str(report(program, STATED, STATED.chip.tiles + 1)).split())
    assert f"(as planned, for {STATED.chip.tiles} tiles)" in otherwise
    assert "64 rows in shares of" in told
    assert "all tiles at each trip" in told
