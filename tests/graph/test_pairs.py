"""The law of pairs: bfloat16 products with the bits of `vdpbf16ps`, on any host."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.graph.by_law import by_law
from tilewright.graph.evaluate import evaluate
from tilewright.graph.fma import fma32
from tilewright.graph.law import combine_pairs
from tilewright.graph.text import parse, to_text
from tilewright.machine.host import host_machine
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def halves(*shape):
    return RANDOM.normal(size=shape).astype(jnp.bfloat16)


def product(x, w):
    return jnp.dot(x, w, preferred_element_type=jnp.float32)


def steps(x, w):
    def step(h, _):
        h = jnp.clip(product(h.astype(jnp.bfloat16), w), -1.0, 1.0)
        return h, h

    return jax.lax.scan(step, x.astype(jnp.float32), None, length=9)[1]


def loss(w, x):
    return jnp.sum(jnp.maximum(product(x, w), 0.0) * 0.125)


def convolution(groups, stride=1, dtype=jnp.float32):
    def fn(x, w):
        return jax.lax.conv_general_dilated(
            x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups, preferred_element_type=dtype,
        )  # fmt: skip

    return fn


def net(x, v, w):
    x = jnp.tanh(convolution(3)(x, v)).astype(jnp.bfloat16)
    return convolution(3, 2, jnp.bfloat16)(x, w)


def data(groups, stride=1, dilation=1):
    """The gradient for the images of a convolution."""

    def fn(x, w, g):
        def forward(x):
            return jax.lax.conv_general_dilated(
                x, w, (stride, stride), "SAME", rhs_dilation=(dilation, dilation),
                dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
            )  # fmt: skip

        return jax.vjp(forward, x)[1](g)[0]

    return fn


def taps(groups, size, stride=1, dilation=1):
    """The gradient for a kernel of size x size taps: terms are positions, of each row by twos."""

    def fn(x, g):
        low = dilation * (size - 1) // 2
        reach = [(g.shape[i] - 1) * stride + (size - 1) * dilation - x.shape[i] for i in (1, 2)]
        return jax.lax.conv_general_dilated(
            x, g, (dilation, dilation), [(low, n + 1 - low) for n in reach],
            rhs_dilation=(stride, stride), dimension_numbers=("CHWN", "IHWO", "HWNC"),
            batch_group_count=groups, preferred_element_type=jnp.float32,
        )  # fmt: skip

    return fn


def kernel(x, g):
    """The gradient of a kernel of one tap: terms are the places of all images."""
    axes = ((0, 1, 2), (0, 1, 2))
    return jax.lax.dot_general(x, g, (axes, ((), ())), preferred_element_type=jnp.float32)


CASES = {
    "groups of 16": (convolution(3), halves(2, 7, 9, 48), halves(5, 5, 16, 48)),
    "groups of 4": (convolution(6, 2), halves(2, 7, 9, 24), halves(3, 3, 4, 24)),
    "other groups": (convolution(5), halves(1, 6, 5, 10), halves(3, 3, 2, 15)),
    "all channels": (convolution(1), halves(1, 5, 6, 64), halves(3, 3, 64, 20)),
    "layers": (net, halves(2, 9, 8, 48), halves(3, 3, 16, 48), halves(3, 3, 16, 48)),
    "even": (product, halves(5, 300), halves(300, 70)),
    "odd": (product, halves(33, 301), halves(301, 17)),
    "rounded": (lambda x, w: x @ w, halves(6, 520), halves(520, 9)),
    "one term": (product, halves(4, 1), halves(1, 20)),
    "batched": (jax.vmap(product), halves(3, 4, 37), halves(3, 37, 21)),
    "rows": (jax.value_and_grad(loss), halves(10, 4), halves(300, 10)),
    "back": (data(3), halves(2, 7, 9, 48), halves(5, 5, 16, 48), halves(2, 7, 9, 48)),
    "back, by strides": (
        data(6, 2),
        halves(2, 7, 9, 24),
        halves(3, 3, 4, 36),
        halves(2, 4, 5, 36),
    ),
    "back, spread out": (
        data(1, 1, 2),
        halves(1, 6, 5, 20),
        halves(3, 3, 20, 34),
        halves(1, 6, 5, 34),
    ),
    "back, odd": (data(5), halves(1, 6, 5, 10), halves(3, 3, 2, 15), halves(1, 6, 5, 15)),
    "kernel": (kernel, halves(2, 12, 13, 20), halves(2, 12, 13, 33)),
    "kernel of odd images": (kernel, halves(3, 5, 5, 8), halves(3, 5, 5, 16)),
    "taps": (taps(3, 5), halves(2, 7, 9, 48), halves(2, 7, 9, 48)),
    "taps, by strides": (
        taps(6, 3, 2),
        halves(5, 20, 29, 24),
        halves(5, 10, 15, 36),
    ),
    "taps of single channels": (
        taps(37, 3),
        halves(9, 33, 18, 37),
        halves(9, 33, 18, 37),
    ),
    "taps, spread out": (taps(1, 3, 1, 2), halves(3, 6, 7, 3), halves(3, 6, 7, 20)),
    "across": (lambda x, w: product(x.T, w.T), halves(260, 33), halves(17, 260)),
    "loop": (steps, halves(20, 256), halves(256, 256)),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    fn, *args = CASES[request.param]
    graph = by_law(trace(fn, *args).graph, "pairs")
    return fn, args, graph, evaluate(graph, jax.tree.leaves(args))


def test_host_code_has_the_laws_bits(case):
    fn, args, _, expected = case
    found = jax.tree.leaves(tilewright.compile(fn, *args, law="pairs")(*args))
    for array, wanted in zip(found, expected, strict=True):
        same_bits(np.asarray(array), wanted)


def test_tiles_have_the_laws_bits(case):
    _, args, graph, expected = case
    program, literals = Stages(graph, Dump("test"), machine=tiny(5, 1 << 20)).lowered
    assert faults(program, 1 << 20) == []
    result = simulate(program, [*literals, *jax.tree.leaves(args)], 5, seed=0)
    assert result.races == []
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)


def test_hosts_that_multiply_pairs_do_it_where_they_lie():
    machine = host_machine()
    known = any(unit.feature == "avx512bf16" for unit in machine.tile.units)
    for name in ("even", "odd", "kernel", "across"):
        fn, *args = CASES[name]
        graph = by_law(trace(fn, *args).graph, "pairs")
        text = program_to_text(Stages(graph, Dump("test"), machine=machine).program)
        assert ("contract_pairs_bf16" in text) == (known and name != "odd")
        assert ("contract_outer_f32" in text) == (not known or name == "odd")


def test_odd_terms_come_before_even_ones():
    fn, x, w = CASES["odd"]
    wide_x, wide_w = x.astype(np.float32), w.astype(np.float32)
    leaves = []
    for start in (0, 256):
        sums = np.zeros((33, 17), np.float32)
        for even in range(start, min(start + 256, 301), 2):
            for i in [i for i in (even + 1, even) if i < 301]:
                sums = fma32(wide_x[:, i, None], wide_w[i], sums)
        leaves.append(sums)
    same_bits(evaluate(by_law(trace(fn, x, w).graph, "pairs"), [x, w])[0], leaves[0] + leaves[1])


def test_bits_hang_on_the_law():
    fn, *args = CASES["even"]
    pairs, host = (tilewright.compile(fn, *args, law=law)(*args) for law in ("pairs", "host"))
    assert not np.array_equal(pairs, host)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, w: jnp.einsum("mk,kn->mn", x, w, preferred_element_type=jnp.float32),
        lambda x, w: jnp.einsum("kn,mk->nm", w, x, preferred_element_type=jnp.float32).T,
        jax.vmap(lambda row, w: product(row[None], w)[0], (0, None)),
    ],
)
def test_spellings_and_rows_alone(fn):
    x, w = halves(40, 260), halves(260, 128)
    wanted = tilewright.compile(product, x, w, law="pairs")(x, w)
    same_bits(np.asarray(tilewright.compile(fn, x, w, law="pairs")(x, w)), wanted)
    bound = tilewright.compile(product, x[:1], w, law="pairs").bind(w=w)
    assert "paired" in bound.program
    same_bits(np.asarray(bound(x[7:8])), wanted[7:8])


def test_channels_are_taken_by_twos_tap_by_tap():
    fn, x, w = CASES["groups of 4"]
    image = np.pad(x.astype(np.float32), [(0, 0), (1, 1), (1, 1), (0, 0)])
    kernel = w.astype(np.float32)
    sums = np.zeros((2, 4, 5, 6, 4), np.float32)
    for row, column in np.ndindex(3, 3):
        read = image[:, row : row + 7 : 2, column : column + 9 : 2].reshape(2, 4, 5, 6, 4)
        for channel in (1, 0, 3, 2):
            factor = kernel[row, column, channel].reshape(6, 4)
            sums = fma32(read[..., channel, None], factor, sums)
    graph = by_law(trace(fn, x, w).graph, "pairs")
    same_bits(evaluate(graph, [x, w])[0], sums.reshape(2, 4, 5, 24))


def test_positions_are_taken_by_twos_row_by_row():
    fn, x, g = CASES["taps of single channels"]
    image = np.pad(x.astype(np.float32), [(0, 0), (1, 1), (1, 1), (0, 0)])
    given, leaves = g.astype(np.float32), []
    for n, first in np.ndindex(9, 3):  # 14 rows of 18 positions are a leaf
        sums = np.zeros((3, 3, 37), np.float32)
        for row in range(14 * first, min(14 * first + 14, 33)):
            for column in [i for even in range(0, 18, 2) for i in (even + 1, even)]:
                read = image[n, row : row + 3, column : column + 3]
                sums = fma32(read, given[n, row, column], sums)
        leaves.append(sums)
    graph = by_law(trace(fn, x, g).graph, "pairs")
    wanted = combine_pairs("sum", np.stack(leaves))
    same_bits(evaluate(graph, [x, g])[0], wanted[:, :, None])


@pytest.mark.parametrize("name", ["taps", "taps, by strides", "taps of single channels"])
def test_gradients_of_kernels_are_the_same_on_any_number_of_tiles(name):
    fn, *args = CASES[name]
    wanted = evaluate(by_law(trace(fn, *args).graph, "pairs"), args)[0]
    for tiles in (1, 2, 3, 5):
        found = tilewright.compile(fn, *args, law="pairs", tiles=tiles)(*args)
        same_bits(np.asarray(found), wanted)


def test_an_image_alone_and_kernels_that_stay():
    fn, x, w = CASES["groups of 16"]
    whole = tilewright.compile(fn, x, w, law="pairs")(x, w)
    bound = tilewright.compile(fn, x[:1], w, law="pairs").bind(w=w)
    assert re.search(r"conv_5x5x16_3_groups_float32_1x\dx9x3x16_paired", bound.program)
    assert "copy_bfloat16_3x5x5" not in bound.program  # it was laid out once, before all calls
    same_bits(np.asarray(bound(x[1:])), np.asarray(whole)[1:])


def test_what_has_no_pairs_keeps_the_hosts_law():
    """A vector, two contracted axes, float32, a single channel, a gradient."""
    cases = [
        (convolution(8), halves(1, 5, 5, 8), halves(3, 3, 1, 8)),
        (
            lambda x, w: jax.vjp(convolution(2), x, w)[1](np.ones((1, 5, 5, 8), np.float32)),
            halves(1, 5, 5, 8),
            halves(1, 1, 4, 8),
        ),
        CASES["back, odd"],
        (product, halves(40, 300), halves(300)),
        (lambda x, y: jnp.einsum("aij,bij->ab", x, y), halves(4, 9, 30), halves(5, 9, 30)),
        (product, np.float32(halves(4, 300)), np.float32(halves(300, 5))),
    ]
    for fn, *args in cases:
        graph = trace(fn, *args).graph
        assert to_text(by_law(graph, "pairs")).count("pairs=") == 0


@pytest.mark.parametrize("name", ["loop", "kernel", "back", "back, by strides", "taps"])
def test_text_says_so(name):
    fn, *args = CASES[name]
    text = to_text(by_law(trace(fn, *args).graph, "pairs"))
    assert "pairs=True" in text
    assert to_text(parse(text)) == text
