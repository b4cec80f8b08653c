"""The law of sums against a plain loop over scalars, and fma against exact fractions."""

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tilewright.graph.fma import chain32, fma32
from tilewright.graph.law import (
    LEAF,
    combine_pairs,
    cumulative_ordered,
    dot_order,
    dot_ordered,
    product,
    reduce_ordered,
)

SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 1025, 5000]


def data(seed: int, *shape: int, dtype: Any = "float32") -> np.ndarray:
    generator = np.random.default_rng(seed)
    scale = 10.0 ** generator.integers(-3, 3, size=shape)
    return (generator.normal(size=shape) * scale).astype(dtype)


def round_fraction(x: Fraction) -> np.float32:
    """Nearest float32, ties to even, for values in the normal range."""
    if x == 0:
        return np.float32(0)
    exponent = math.frexp(float(x))[1] - 24
    scaled = x / Fraction(2) ** exponent
    return np.float32(math.ldexp(round(scaled), exponent))


def test_fma_rounds_once():
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 1 << 12, size=(3, 4000)).astype(np.float64)
    a, b = (1 + bits[:2] / 2.0**12).astype(np.float32)
    c = ((1 + bits[2] / 2.0**12) * 2.0 ** generator.integers(-30, 30, 4000)).astype(np.float32)
    c *= generator.choice([-1, 1], 4000).astype(np.float32)
    exact = [
        round_fraction(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))
        for x, y, z in zip(a, b, c, strict=True)
    ]
    np.testing.assert_array_equal(fma32(a, b, c), np.array(exact))


def test_fma_where_rounding_twice_is_wrong():
    # a * b + c lies just below the middle of two neighbours, by less than float64 can hold.
    one_up = np.float32(1 + 2.0**-23)
    b = np.float32((1 - 2.0**-23) * 2.0**-24)
    assert np.float32(float(one_up) * float(b) + float(one_up)) == np.float32(1 + 2.0**-22)
    assert fma32(one_up, b, one_up) == one_up


def test_fma_specials():
    inf, nan, tiny = np.float32(np.inf), np.float32(np.nan), np.float32(1e-40)
    assert np.isnan(fma32(inf, np.float32(0), np.float32(1)))
    assert np.isnan(fma32(nan, np.float32(0), np.float32(1)))
    assert fma32(inf, np.float32(2), np.float32(1)) == inf
    assert fma32(np.float32(1e30), np.float32(1e30), np.float32(1)) == inf
    assert fma32(tiny, np.float32(1e30), np.float32(0)) == 0
    assert fma32(np.float32(1e-20), np.float32(1e-20), np.float32(0)) == 0


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("size", [1, 40, 20_000])
def test_a_chain_is_one_step_after_the_other(size, tiny, midway):
    """Also where one step in the middle needs care that the others do not."""
    generator = np.random.default_rng(size)
    a, b = generator.normal(size=(2, 9, size)).astype(np.float32)
    sums = generator.normal(size=size).astype(np.float32)
    one_up, below = np.float32(1 + 2.0**-23), np.float32((1 - 2.0**-23) * 2.0**-24)
    if midway:
        sums[0], a[:, 0], a[5, 0], b[5, 0] = one_up, 0, one_up, below
    if tiny:
        sums[-1], a[:, -1], a[3, -1], b[3, -1] = 0, 0, 1e-20, -1e-20
    ours = chain32(a.astype(np.float64), b.astype(np.float64), sums)
    for x, y in zip(a, b, strict=True):
        sums = fma32(x, y, sums)
    np.testing.assert_array_equal(ours.view(np.uint32), sums.view(np.uint32))
    assert not midway or tiny or ours[0] == one_up
    assert not tiny or ours[-1] == 0


def add(a, b):
    return np.float32(a) + np.float32(b)


def pairwise(values):
    while len(values) > 1:
        pairs = [add(values[i], values[i + 1]) for i in range(0, len(values) - 1, 2)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0] if values else np.float32(0)


def halve(lanes):
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [add(lanes[i], lanes[i + half]) for i in range(half)]
    return lanes[0]


def leaves(values):
    return [values[i : i + 256] for i in range(0, len(values), 256)]


def in_lanes(leaf, step):
    lanes = [np.float32(0)] * 16
    for e, term in enumerate(leaf):
        lanes[e % 16] = step(lanes[e % 16], term)
    return halve(lanes)


def in_sequence(leaf, step):
    total = np.float32(0)
    for term in leaf:
        total = step(total, term)
    return total


@pytest.mark.parametrize("n", SIZES)
def test_sum(n):
    x = data(n, 2, n)
    expected = np.array(
        [pairwise([in_lanes(leaf, add) for leaf in leaves(row)]) for row in x], np.float32
    )
    np.testing.assert_array_equal(reduce_ordered("sum", x, (1,)), expected)
    np.testing.assert_array_equal(reduce_ordered("sum", x.T.copy(), (0,)), expected)


@pytest.mark.parametrize("n", SIZES)
def test_a_sum_is_the_product_with_ones(n):
    x = data(n, 3, n)
    sums = dot_ordered(x, np.ones(n, np.float32), ((1,), (0,)), ((), ()), "float32")
    np.testing.assert_array_equal(reduce_ordered("sum", x, (1,)), sums)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_groups_of_leaves_are_nodes_of_the_tree(count, level):
    """Runs of 2^j leaves may be summed apart: for sums and for products."""
    n, group = count * LEAF - 7, LEAF << level
    x, y = data(count, n, 3), data(count + 1, n, 5)
    groups = [slice(i, i + group) for i in range(0, n, group)]
    parts = np.stack([reduce_ordered("sum", x[g], (0,)) for g in groups])
    np.testing.assert_array_equal(combine_pairs("sum", parts), reduce_ordered("sum", x, (0,)))
    for right in (y, y[:, 0]):
        rest = (((0,), (0,)), ((), ()), "float32")
        products = np.stack([dot_ordered(x[g], right[g], *rest) for g in groups])
        np.testing.assert_array_equal(combine_pairs("sum", products), dot_ordered(x, right, *rest))


def test_several_axes_are_one_row():
    x = data(0, 5, 3, 70)
    flat = x.transpose(1, 0, 2).reshape(3, 350)
    expected = reduce_ordered("sum", flat, (1,))
    np.testing.assert_array_equal(reduce_ordered("sum", x, (0, 2)), expected)
    np.testing.assert_array_equal(reduce_ordered("sum", x, (2, 0)), expected)


def test_sixteen_bit_sums_round_once():
    x = data(1, 100, dtype=ml_dtypes.bfloat16)
    wide = reduce_ordered("sum", x.astype(np.float32), (0,))
    assert reduce_ordered("sum", x, (0,)) == wide.astype(ml_dtypes.bfloat16)
    ones = np.ones(1000, np.float16)
    assert reduce_ordered("sum", ones, (0,)) == 1000


@pytest.mark.parametrize("kind", ["max", "min", "prod"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), ()])
def test_other_kinds(kind, axes):
    x = np.random.default_rng(2).integers(-3, 4, size=(70, 80)).astype(np.float64)
    expected = getattr(np, kind)(x, axis=axes)
    np.testing.assert_array_equal(reduce_ordered(kind, x, axes), expected)


def test_nan_and_empty():
    x = np.array([1, np.nan, 3], np.float32)
    assert np.isnan(reduce_ordered("max", x, (0,)))
    assert reduce_ordered("max", x[:0], (0,)) == -np.inf
    assert reduce_ordered("sum", np.full(3, 100, np.uint8), (0,)) == 44
    flags = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(reduce_ordered("and", flags, (0,)), [True, False])
    np.testing.assert_array_equal(reduce_ordered("or", flags, (1,)), [True, True])
    np.testing.assert_array_equal(reduce_ordered("xor", flags, (1,)), [True, False])


@pytest.mark.parametrize("terms", [0, 1, 256, 300])
def test_of_no_outputs_there_are_no_sums(terms):
    wide, none = np.ones((8, terms), "f4"), np.ones((0, terms), "f4")
    assert product(wide, none, "sequence", "float32").shape == (8, 0)
    assert product(none, wide, "lanes", "float32").shape == (0, 8)
    assert reduce_ordered("sum", none, (1,)).shape == (0,)


def scalar_dot(a, b, order):
    terms = list(zip(a, b, strict=True))
    return pairwise([order(leaf, lambda s, t: fma32(t[0], t[1], s)) for leaf in leaves(terms)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_single_product_keeps_the_sign_of_its_zero(dtype):
    """Only of a single one: several are added to +0."""
    for n, negative in ((1, True), (2, False)):
        left, right = np.full((3, n), -0.0, dtype), np.ones((n, 2), dtype)
        for b in (right, right[:, 0]):
            ours = dot_ordered(left, b, ((1,), (0,)), ((), ()), dtype)
            assert (np.signbit(ours) == negative).all()


@pytest.mark.parametrize("k", [0, 1, 5, 16, 17, 33, 255, 256, 257, 1025])
def test_dot_orders(k):
    a, b = data(k, 2, k), data(k + 1, 3, k)
    matrices = [[scalar_dot(x, y, in_sequence) for y in b] for x in a]
    for right, axis in ((b, 1), (b.T, 0)):
        ours = dot_ordered(a, right, ((1,), (axis,)), ((), ()), "float32")
        np.testing.assert_array_equal(ours, np.array(matrices, np.float32))
    vectors = [scalar_dot(x, b[0], in_lanes) for x in a]
    ours = dot_ordered(a, b[0], ((1,), (0,)), ((), ()), "float32")
    np.testing.assert_array_equal(ours, np.array(vectors, np.float32))
    ours = dot_ordered(b[0], a, ((0,), (1,)), ((), ()), "float32")
    np.testing.assert_array_equal(ours, np.array(vectors, np.float32))
    ours = dot_ordered(a[0], b[0], ((0,), (0,)), ((), ()), "float32")
    np.testing.assert_array_equal(ours, vectors[0])


def test_rows_are_the_same_alone_and_among_others():
    a, b = data(0, 40, 300), data(1, 300, 9)
    whole = dot_ordered(a, b, ((1,), (0,)), ((), ()), "float32")
    for some in (slice(5, 6), slice(0, 17), slice(39, 40)):
        part = dot_ordered(a[some], b, ((1,), (0,)), ((), ()), "float32")
        np.testing.assert_array_equal(part, whole[some])
    batch = dot_ordered(a[None], b[None], ((2,), (1,)), ((0,), (0,)), "float32")
    np.testing.assert_array_equal(batch[0], whole)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_16_bits_are_summed_like_float32(dtype):
    a, b = data(4, 2, 530, dtype=dtype), data(9, 3, 530, dtype=dtype)
    wide = a.astype(np.float32), b.astype(np.float32)
    for pick in (slice(None), 0):
        rest = (((1,), (b[pick].ndim - 1,)), ((), ()))
        ours = dot_ordered(a, b[pick], *rest, np.dtype(dtype).name)
        theirs = dot_ordered(wide[0], wide[1][pick], *rest, "float32")
        np.testing.assert_array_equal(ours, theirs.astype(dtype))


def test_the_order_hangs_on_which_operands_have_free_axes():
    plain = ((1,), (0,)), ((), ())
    assert dot_order(2, 2, *plain) == "sequence"
    assert dot_order(2, 1, *plain) == "lanes"
    assert dot_order(1, 2, ((0,), (0,)), ((), ())) == "lanes"
    assert dot_order(3, 2, ((2,), (1,)), ((0,), (0,))) == "lanes"
    assert dot_order(3, 3, ((2,), (1,)), ((0,), (0,))) == "sequence"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int8", "bool"])
def test_dot_value_with_batch(dtype):
    generator = np.random.default_rng(3)
    a = generator.integers(0, 3, size=(4, 5, 6, 2)).astype(dtype)
    b = generator.integers(0, 3, size=(6, 4, 3, 2)).astype(dtype)
    ours = dot_ordered(a, b, ((2, 3), (0, 3)), ((0,), (1,)), dtype)
    expected = np.einsum("bmkj,kbnj->bmn", a.astype(int), b.astype(int))
    np.testing.assert_array_equal(ours, expected.astype(dtype))
    assert ours.dtype == dtype


def test_blocks_do_not_change_bits(monkeypatch):
    a, b = data(0, 3, 40, 70), data(1, 3, 70, 9)
    arguments = (((2,), (1,)), ((0,), (0,)), "float32")
    whole = dot_ordered(a, b, *arguments)
    monkeypatch.setattr("tilewright.graph.law._BLOCK", 64)
    np.testing.assert_array_equal(dot_ordered(a, b, *arguments), whole)
    one = dot_ordered(a[1, 5:6], b[1], ((1,), (0,)), ((), ()), "float32")
    np.testing.assert_array_equal(one[0], whole[1, 5])


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative(reverse):
    x = data(4, 3, 20)
    flipped = x[:, ::-1] if reverse else x
    rows = []
    for row in flipped:
        total, sums = row[0], [row[0]]
        for value in row[1:]:
            total = add(total, value)
            sums.append(total)
        rows.append(sums[::-1] if reverse else sums)
    np.testing.assert_array_equal(cumulative_ordered("sum", x, 1, reverse), np.array(rows))
    assert cumulative_ordered("max", x[:, :0], 1).shape == (3, 0)
