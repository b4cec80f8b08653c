"""Zero blocks of what is bound are skipped: the same bits, wherever products are, on all tiles."""

from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ml_dtypes import bfloat16

import tilewright
from tests.agree import TILES, close, leaves, same_bits
from tests.graph.same import ops
from tests.machines import STATED
from tilewright.graph.blocks import best_pattern
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Type
from tilewright.graph.ops.packed import pack
from tilewright.graph.pattern import Pattern, lines_of
from tilewright.graph.text import parse, to_text
from tilewright.graph.verify import GraphError, verify
from tilewright.simulate import simulate

RANDOM = np.random.default_rng(0)


def array(*shape):
    return (RANDOM.normal(size=shape) / shape[0] ** 0.5).astype(np.float32)


def pruned(w: np.ndarray, tall: int, density: float, seed: int = 1) -> np.ndarray:
    """With zeros for all but a share of blocks of `tall` x 16."""
    k, n = w.shape
    kept = np.random.default_rng(seed).random((-(-k // tall), -(-n // 16))) < density
    return (w * np.repeat(np.repeat(kept, tall, 0), 16, 1)[:k, :n]).astype(w.dtype)


def skips(bound: tilewright.Executable) -> int:
    """How many products of blocks there are."""
    return ops(bound.compiled.graph).count("dot_blocks")


def of_workers(tiles: int, bound: tilewright.Executable) -> tilewright.Executable:
    with mock.patch("tilewright.runtime.executable.default_workers", return_value=tiles):
        return tilewright.Executable(bound.compiled, signature=bound.signature)


def agree_bound(program, bound, fixed, free, exact=True):
    """Whole and thinned, evaluated, simulated and native, on all numbers of tiles."""
    expected = leaves(program(*fixed, *free))
    for tiles in TILES:
        same_bits(leaves(of_workers(tiles, bound)(*free)), expected, f"{tiles} tiles")
    compiled, image = bound.compiled, bound.image
    places = sum(buffer.space == "constant" for buffer in compiled.program.inputs)
    given = [*bound.signature.leaves(free, {})]
    meaning = evaluate(compiled.graph, [*image.constants[places:], *given])
    (same_bits if exact else close)(expected, meaning, "evaluate")
    result = simulate(compiled.program, [*image.constants, *given], 3, seed=0)
    assert result.races == []
    flat = [a.reshape(mean.shape) for a, mean in zip(result.outputs, meaning, strict=True)]
    same_bits(flat, meaning, "simulate")


def dense(w, b, x):
    return jnp.maximum(x @ w + b, 0)


@pytest.mark.parametrize(("rows", "tall"), [(1, 4), (5, 16), (40, 1)])
def test_a_dense_layer(rows, tall):
    w, b, x = pruned(array(256, 192), tall, 0.2), array(192), array(rows, 256)
    program = tilewright.compile(dense, w, b, x, tiles=5)
    bound = program.bind(w, b)
    assert skips(bound) == 1
    agree_bound(program, bound, (w, b), (x,))
    (blocks,) = [n.inputs[1] for n in bound.compiled.graph.nodes if n.op == "dot_blocks"]
    assert blocks.type.nbytes == np.count_nonzero(w) * 4


def test_large_products_are_dealt_out():
    w, b, x = pruned(array(256, 512), 4, 0.5), array(512), array(64, 256)
    program = tilewright.compile(dense, w, b, x, tiles=5)
    bound = program.bind(w, b)
    assert "Spread" in str(bound.compiled.program.steps)
    agree_bound(program, bound, (w, b), (x,))


def recurrent(w, u, xs):
    def step(h, x):
        h = jnp.tanh(x @ w + h @ u)
        return h, h

    return lax.scan(step, jnp.zeros((xs.shape[1], u.shape[0])), xs)


@pytest.mark.parametrize("dtype", [np.float32, bfloat16])
def test_a_product_in_a_loop(dtype):
    w, u = array(16, 96), pruned(array(96, 96), 4, 0.2).astype(dtype)
    xs = array(9, 2, 16)
    program = tilewright.compile(recurrent, w, u, xs)
    bound = program.bind(w, u)
    assert skips(bound) == 1
    agree_bound(program, bound, (w, u), (xs,), exact=False)


def test_a_convolution_of_one_tap():
    kernel, x = pruned(array(64, 64), 4, 0.2), array(1, 4, 4, 64)

    def conv(w, x):
        return lax.conv_general_dilated(
            x, w[None, None], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    program = tilewright.compile(conv, kernel, x)
    bound = program.bind(kernel)
    assert skips(bound) == 1
    agree_bound(program, bound, (kernel,), (x,))


def test_a_transposed_matrix():
    """As PyTorch keeps it; and one of which no whole line makes up k."""
    w, x = pruned(array(250, 96), 2, 0.2).T.copy(), array(3, 250)
    program = tilewright.compile(lambda w, x: x @ w.T, w, x)
    bound = program.bind(w)
    assert skips(bound) == 1
    agree_bound(program, bound, (w,), (x,))


def test_what_a_function_closes_over():
    w, x = pruned(array(192, 192), 4, 0.2), array(1, 192)

    def turned(w, x):
        return lax.fori_loop(0, 20, lambda _, x: jnp.tanh(x @ w), x)

    program = tilewright.compile(lambda x: turned(w, x), x)
    assert skips(program) == 1
    whole = tilewright.compile(turned, w, x)
    same_bits(leaves(program(x)), leaves(whole(w, x)), "closed over")


def test_dense_where_that_is_cheaper():
    x = array(1, 128)
    for density, expected in ((0.95, 0), (0.5, 1)):
        w = pruned(array(128, 128), 4, density)
        assert skips(tilewright.compile(lambda w, x: x @ w, w, x).bind(w)) == expected


@pytest.mark.parametrize(
    ("rows", "size", "density", "height"),
    [
        (1, 512, 0.95, 0),
        (1, 512, 0.8, 4),  # from L2, where finding blocks goes on beside
        (1, 64, 0.8, 0),  # in L1, where a row alone waits for its terms
        (1, 64, 0.7, 0),
        (1, 64, 0.5, 4),
        (4, 64, 0.7, 4),
    ],
)
def test_blocks_are_skipped_where_they_were_measured_to_be_sooner(rows, size, density, height):
    panels = pack(pruned(np.ones((size, size), np.float32), 4, density, seed=1))
    kind = Type("float32", panels.shape)
    found = best_pattern(rows, lines_of(panels), 1, kind, STATED)
    assert (found.height if found else 0) == height


def test_new_weights_in_an_old_pattern_are_not_compiled(monkeypatch):
    w, x = pruned(array(128, 96), 4, 0.2), array(1, 128)
    program = tilewright.compile(lambda w, x: x @ w, w, x)
    first = program.bind(w)
    monkeypatch.setattr("tilewright.stages.compile_cached", None)
    second = program.bind(w * 2)
    np.testing.assert_array_equal(second(x), first(x) * 2)
    monkeypatch.setattr("tilewright.stages.compile_cached", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        program.bind(pruned(array(128, 96), 4, 0.2, seed=5))


def test_in_blocks_of_the_cheapest_height():
    """Tall ones where they hold few zeros more, flat ones where tall ones are all left."""
    x = array(1, 128)
    for tall in (16, 4, 1):
        w = pruned(array(128, 128), tall, 0.1)
        bound = tilewright.compile(lambda w, x: x @ w, w, x).bind(w)
        (height,) = [n.inputs[1].shape[1] for n in bound.compiled.graph.nodes if len(n.inputs) == 4]
        assert height == tall


def test_as_text():
    w, x = pruned(array(64, 64), 4, 0.3), array(1, 64)
    graph = tilewright.compile(lambda w, x: x @ w, w, x).bind(w).compiled.graph
    assert "dot_blocks" in to_text(graph)
    again = parse(to_text(graph))
    assert to_text(again) == to_text(graph)
    verify(again)


def test_tables_that_do_not_fit_are_refused():
    of = Pattern(np.ones((2, 4), bool), 4, 1)
    places, starts = of.tables()
    text = to_text(_product(places, starts))
    verify(parse(text))
    for wrong, message in (
        ((places[:-1], starts), "every block has a place"),
        ((places, starts[:1]), "every leaf"),
        ((places.astype(np.int64), starts), "every block has a place"),
    ):
        with pytest.raises(GraphError, match=message):
            verify(_product(*wrong))


def _product(places, starts):
    from tilewright.graph.ir import Builder

    builder = Builder([Type("float32", (3, 16)), Type("float32", (8, 4, 16, 1))])
    tables = builder.constant(places), builder.constant(starts)
    return builder.graph([builder.op("dot_blocks", *builder.inputs, *tables, columns=32)])
