"""Of products that a mask hides, what is left is computed: the same bits, wherever they are."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree, leaves, same_bits
from tests.graph.same import ops
from tests.machines import STATED
from tests.trace.test_blocks import case
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.graph.pattern import Pattern
from tilewright.graph.sampled import sampled
from tilewright.graph.text import parse, to_text
from tilewright.graph.verify import GraphError, verify
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(4)
K, N, ROWS = 64, 96, 24


def array(*shape):
    return (RANDOM.normal(size=shape) / shape[0] ** 0.5).astype(np.float32)


def graph(fn, *args):
    """As it is for stated figures."""
    return Stages(trace(fn, *args).graph, Dump("test"), machine=STATED).graph


def products(fn, *args) -> tuple[int, int]:
    """How many there are of blocks, and of blocks that are added to something."""
    found = ops(graph(fn, *args))
    return found.count("dot_sampled"), found.count("add_sampled")


def same_as_whole(fn, *args):
    """Bits are those of all products whole."""
    found = leaves(tilewright.compile(fn, *args)(*args))
    with mock.patch("tilewright.graph.sampled.best_pattern", return_value=None):
        whole = tilewright.compile(lambda *args: (fn(*args), args[0]), *args)
    assert not set(ops(whole.compiled.graph)) & {"dot_sampled", "add_sampled"}
    same_bits(found, leaves(whole(*args))[:-1], "whole")


def dense(tall=4, k=K, n=N, density=0.3):
    mask, _ = case(k, n, tall, density)

    def gradient(w, x):
        return jax.value_and_grad(lambda w: jnp.sum((x @ tilewright.blocks(w, mask)) ** 2))(w)

    return gradient


def recurrent(steps=5):
    """A net whose state goes through a masked matrix, trip after trip."""
    mask, _ = case(K, K, 4, 0.3)

    def loss(w, x):
        u = tilewright.blocks(w, mask)
        last, _ = lax.scan(lambda h, x: (jnp.maximum(h @ u, 0) + x, None), x[0], x)
        return jnp.sum(last * last)

    return jax.value_and_grad(loss), (array(K, K), array(steps, ROWS, K))


@pytest.mark.parametrize("tall", [1, 4, 16])
def test_a_dense_layer(tall):
    args = array(K, N), array(ROWS, K)
    assert products(dense(tall), *args) == (1, 0)
    agree(dense(tall), *args, absolute=1e-4, relative=1e-5)
    same_as_whole(dense(tall), *args)


def test_a_recurrence_adds_what_is_left_to_its_carry():
    fn, args = recurrent()
    assert products(fn, *args) == (0, 1)
    agree(fn, *args, absolute=1e-4, relative=1e-5)
    same_as_whole(fn, *args)


def test_a_matrix_that_is_used_twice():
    mask, _ = case(K, K, 4, 0.3)

    def gradient(w, x):
        u = tilewright.blocks(w, mask)
        return jax.vjp(lambda u: (x @ u) @ u, u)[1](x @ w)[0]

    def masked(w, x):
        return tilewright.blocks(gradient(w, x), mask)

    args = array(K, K), array(ROWS, K)
    assert products(masked, *args) == (1, 1)
    agree(masked, *args, absolute=1e-4, relative=1e-5)
    same_as_whole(masked, *args)


def test_large_products_are_dealt_out():
    args = array(256, 512), array(64, 256)
    gradient = dense(4, 256, 512)
    agree(gradient, *args, absolute=1e-2, relative=1e-4, simulated=False)
    same_as_whole(gradient, *args)


def test_more_terms_than_a_leaf():
    args = array(K, N), array(600, K)
    assert products(dense(), *args) == (1, 0)
    agree(dense(), *args, absolute=1e-3, relative=1e-4)


@pytest.mark.parametrize(
    "read",
    [
        lambda w, x, mask: (tilewright.blocks(x.T @ w, mask), x.T @ w),
        lambda w, x, mask: tilewright.blocks(jnp.maximum(x.T @ w, 0), mask),
        lambda w, x, mask: tilewright.blocks((x.T @ w).astype(jnp.bfloat16), mask),
    ],
    ids=["a result, too", "a function of it", "narrow"],
)
def test_what_else_is_read_is_computed(read):
    mask, _ = case(K, N, 4, 0.3)
    args = array(ROWS, N), array(ROWS, K)
    assert products(lambda w, x: read(w, x, mask), *args) == (0, 0)


@pytest.mark.parametrize("before", [False, True])
def test_a_carry_that_a_trip_reads_is_computed(before):
    mask, _ = case(K, K, 4, 0.3)

    def fn(w, x):
        def trip(total, x):
            after = total + x.T @ x
            return after, jnp.sum(total if before else after)

        total, sums = lax.scan(trip, w, x)
        return tilewright.blocks(total, mask), sums

    def alone(w, x):
        return fn(w, x)[0]

    args = array(K, K), array(3, ROWS, K)
    assert products(fn, *args) == (0, 0)
    assert products(alone, *args) == (0, 1)
    agree(fn, *args, absolute=1e-4, relative=1e-4)
    agree(alone, *args, absolute=1e-4, relative=1e-4)


def test_two_masks_read_what_either_keeps():
    first, second = (case(K, N, 4, 0.2)[0] for _ in range(2))

    def fn(w, x):
        made = x.T @ w
        return tilewright.blocks(made, first) - 2 * tilewright.blocks(made, second)

    args = array(ROWS, N), array(ROWS, K)
    assert products(fn, *args) == (1, 0)
    agree(fn, *args, absolute=1e-4, relative=1e-5)


def test_what_had_better_be_whole_is():
    assert products(dense(4, K, N, 0.95), array(K, N), array(ROWS, K)) == (0, 0)
    assert products(dense(4, K, 40), array(K, 40), array(ROWS, K)) == (0, 0)
    assert products(dense(), array(K, N), array(8000, K)) == (0, 0), "it is cut in strips"


def test_a_mask_that_hides_all():
    fn = dense(4, K, N, 0.0)
    agree(fn, array(K, N), array(ROWS, K))


def test_infinities_that_a_mask_hides():
    """As in the whole product, whose mask comes after."""
    w, x = array(K, N), array(ROWS, K)
    x[3, 5] = np.inf
    same_as_whole(dense(), w, x)


def _product(places, starts, columns=32, base=False):
    kinds = [Type("float32", (5, 32)), Type("float32", (5, columns))]
    builder = Builder([*([Type("float32", (32, columns))] if base else []), *kinds])
    tables = builder.constant(places), builder.constant(starts)
    op = "add_sampled" if base else "dot_sampled"
    return builder.graph([builder.op(op, *builder.inputs, *tables, height=4)])


@pytest.mark.parametrize("base", [False, True])
def test_text(base):
    made = _product(*Pattern(np.eye(2, 8, dtype=bool), 4, 1).tables(), base=base)
    again = parse(to_text(made))
    assert to_text(again) == to_text(made)
    verify(again)
    given = [array(*value.shape) for value in made.inputs]
    same_bits(evaluate(made, given), evaluate(again, given), "read again")


def test_tables_that_do_not_fit_are_refused():
    places, starts = Pattern(np.ones((2, 8), bool), 4, 1).tables()
    verify(_product(places, starts))
    for wrong, columns, message in (
        ((places.astype(np.int64), starts), 32, "every block has a place"),
        ((places, starts[:1]), 32, "every leaf"),
        ((places, starts), 40, "whole blocks"),
    ):
        with pytest.raises(GraphError, match=message):
            verify(_product(*wrong, columns))


def test_without_masks_nothing_changes():
    made = trace(lambda w, x: x @ w, array(8, 16), array(4, 8)).graph
    assert sampled(made, STATED) is made
