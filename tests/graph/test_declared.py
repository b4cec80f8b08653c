"""Products by the transpose of a masked matrix skip its blocks: the same bits, on all tiles."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree, leaves, same_bits
from tests.graph.same import ops
from tests.graph.test_sampled import array, graph
from tests.trace.test_blocks import case
from tilewright.graph.declared import _Skipping
from tilewright.graph.ir import Builder, Type
from tilewright.graph.pattern import Pattern
from tilewright.graph.text import parse, to_text
from tilewright.graph.verify import GraphError, verify

K, N, ROWS = 128, 192, 32


def across(fn, *args) -> int:
    return ops(graph(fn, *args)).count("dot_across")


def same_as_whole(fn, *args):
    """Bits are those of products by the transpose that are done whole."""
    found = leaves(tilewright.compile(fn, *args)(*args))
    with mock.patch.object(_Skipping, "_across", return_value=None):
        whole = tilewright.compile(lambda *args: (fn(*args), args[0]), *args)
    assert "dot_across" not in ops(whole.compiled.graph)
    same_bits(found, leaves(whole(*args))[: len(found)], "whole")


def layer(mask):
    return lambda w, x: x @ tilewright.blocks(w, mask).T


@pytest.mark.parametrize("tall", [1, 4, 16])
def test_a_product_by_the_transpose(tall):
    fn, args = layer(case(K, N, tall)[0]), (array(K, N), array(ROWS, N))
    assert across(fn, *args) == 1
    agree(fn, *args, absolute=1e-5, relative=1e-5)
    same_as_whole(fn, *args)


def test_the_matrix_first():
    mask, _ = case(K, N, 4)

    def fn(w, x):
        return tilewright.blocks(w, mask) @ x

    args = array(K, N), array(N, ROWS)
    assert across(fn, *args) == 1
    agree(fn, *args, absolute=1e-5, relative=1e-5)


def test_through_two_layers_and_back():
    masks = case(K, N, 4)[0], case(N, K, 16)[0]

    def loss(w, x):
        first, second = map(tilewright.blocks, w, masks)
        return jnp.sum((jnp.maximum(x @ first, 0) @ second) ** 2)

    fn, args = jax.grad(loss), ((array(K, N), array(N, K)), array(ROWS, K))
    assert across(fn, *args) == 1
    agree(fn, *args, absolute=1e-3, relative=1e-4)
    same_as_whole(fn, *args)


def test_gates_of_a_recurrence():
    """Its gradient is by the columns of each gate."""
    mask, _ = case(K, 4 * K, 4)

    def loss(w, x):
        u = tilewright.blocks(w, mask)

        def trip(h, x):
            a, b, c, d = jnp.split(h @ u, 4, 1)
            return jnp.maximum(a * b, c) + d * x, None

        return jnp.sum(lax.scan(trip, x[0], x)[0] ** 2)

    fn, args = jax.grad(loss), (array(K, 4 * K), array(4, ROWS, K))
    assert across(fn, *args) == 4
    agree(fn, *args, absolute=1e-3, relative=1e-3)
    same_as_whole(fn, *args)


@pytest.mark.parametrize("hole", [np.s_[15::16], np.s_[:, 5::16]])
def test_holes_of_blocks_are_zeros(hole):
    _, left = case(K, N, 16)
    left[hole] = False
    args = array(K, N), array(ROWS, N)
    assert across(layer(left), *args) == 1
    agree(layer(left), *args, absolute=1e-5, relative=1e-5)


@pytest.mark.parametrize(
    "columns", [np.s_[:, 16:112], np.s_[:, 8:104], np.s_[:, ::2], np.s_[4:100]]
)
def test_parts_of_a_matrix(columns):
    """Whole panels are known; other parts are read as they are."""
    mask, _ = case(K, N, 4)

    def fn(w, x):
        part = tilewright.blocks(w, mask)[columns]
        return x[:, : part.shape[1]] @ part.T

    args = array(K, N), array(ROWS, N)
    assert across(fn, *args) == (columns == np.s_[:, 16:112])
    agree(fn, *args, absolute=1e-5, relative=1e-5)


def test_what_had_better_be_whole_is():
    for density, rows in ((0.9, ROWS), (0.2, 24)):
        fn = layer(case(K, N, 4, density)[0])
        assert across(fn, array(K, N), array(rows, N)) == 0


def test_sums_over_both_dimensions():
    mask, _ = case(K, N, 4)

    def fn(w, x):
        return jnp.einsum("kn,mkn->m", tilewright.blocks(w, mask), x)

    args = array(K, N), array(3, K, N)
    assert across(fn, *args) == 0
    agree(fn, *args, absolute=1e-4, relative=1e-5)


def _product(places, starts, k=32):
    builder = Builder([Type("float32", (16, k)), Type("float32", (8, k))])
    tables = builder.constant(places), builder.constant(starts)
    return builder.graph([builder.op("dot_across", *builder.inputs, *tables, height=4)])


def test_text_and_tables_that_do_not_fit():
    places, starts = Pattern(np.eye(2, dtype=bool), 16, 1).tables()
    made = _product(places, starts)
    again = parse(to_text(made))
    assert to_text(again) == to_text(made)
    verify(again)
    for wrong, k, message in (
        ((places.astype(np.int64), starts), 32, "every block has a place"),
        ((places, starts[:1]), 32, "every leaf"),
        ((places, starts), 40, "whole blocks"),
    ):
        with pytest.raises(GraphError, match=message):
            verify(_product(*wrong, k))
