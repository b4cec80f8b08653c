"""The order of summation against a plain loop over scalars, and fma against exact fractions."""

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tilewright.graph.order import (
    cumulative_ordered,
    dot_form,
    dot_ordered,
    fma32,
    reduce_ordered,
)

SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1023, 1024, 1025, 2049, 5000]


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


def row_sum(row):
    results = []
    for first in range(0, len(row), 1024):
        sums = [[np.float32(0)] * 16 for _ in range(4)]
        for e, x in enumerate(row[first : first + 1024]):
            sums[e // 16 % 4][e % 16] = add(sums[e // 16 % 4][e % 16], x)
        lanes = [add(add(a, b), add(c, d)) for a, b, c, d in zip(*sums, strict=True)]
        results.append(halve(lanes))
    return pairwise(results)


def column_sum(column):
    results = []
    for first in range(0, len(column), 64):
        total = np.float32(0)
        for x in column[first : first + 64]:
            total = add(total, x)
        results.append(total)
    return pairwise(results)


@pytest.mark.parametrize("n", SIZES)
def test_row_sum(n):
    x = data(n, 2, n)
    expected = np.array([row_sum(row) for row in x], np.float32)
    np.testing.assert_array_equal(reduce_ordered("sum", x, (1,)), expected)


@pytest.mark.parametrize("n", SIZES)
def test_column_sum(n):
    x = data(n, n, 2)
    expected = np.array([column_sum(x[:, j]) for j in range(2)], np.float32)
    np.testing.assert_array_equal(reduce_ordered("sum", x, (0,)), expected)


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


def inner_dot(a, b):
    total = None
    for first in range(0, len(a), 1024):
        lanes: list[Any] = [np.float32(0)] * 16
        for e, (x, y) in enumerate(
            zip(a[first : first + 1024], b[first : first + 1024], strict=True)
        ):
            lanes[e % 16] = fma32(x, y, lanes[e % 16])
        total = halve(lanes) if total is None else add(total, halve(lanes))
    return np.float32(0) if total is None else total


def outer_dot(a, b):
    total = None
    for first in range(0, len(a), 512):
        part = np.float32(0)
        for x, y in zip(a[first : first + 512], b[first : first + 512], strict=True):
            part = fma32(x, y, part)
        total = part if total is None else add(total, part)
    return np.float32(0) if total is None else total


@pytest.mark.parametrize("k", [0, 1, 5, 16, 17, 33, 511, 512, 513, 1025, 2500])
def test_dot_forms(k):
    a, b = data(k, 2, k), data(k + 1, 3, k)
    inner = [[inner_dot(x, y) for y in b] for x in a]
    ours = dot_ordered(a, b, ((1,), (1,)), ((), ()), "float32")
    np.testing.assert_array_equal(ours, np.array(inner, np.float32))
    outer = [[outer_dot(x, y) for y in b] for x in a]
    ours = dot_ordered(a, b.T, ((1,), (0,)), ((), ()), "float32")
    np.testing.assert_array_equal(ours, np.array(outer, np.float32))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_16_bits_are_summed_like_float32(dtype):
    a, b = data(4, 2, 530, dtype=dtype), data(9, 3, 530, dtype=dtype)
    wide = a.astype(np.float32), b.astype(np.float32)
    for turn, name in ((lambda x: x, "inner"), (lambda x: x.T, "outer")):
        contract = ((1,), (1 if name == "inner" else 0,))
        ours = dot_ordered(a, turn(b), contract, ((), ()), np.dtype(dtype).name)
        theirs = dot_ordered(wide[0], turn(wide[1]), contract, ((), ()), "float32")
        np.testing.assert_array_equal(ours, theirs.astype(dtype))


@pytest.mark.parametrize(
    "m, n, k, form",
    [
        (16, 16, 20, "inner"),
        (16, 17, 191, "outer"),
        (16, 127, 192, "inner"),
        (16, 128, 5000, "outer"),
    ],
)
def test_form_by_shape(m, n, k, form):
    assert dot_form((m, k), (n, k), ((1,), (1,)), ((), ())) == form
    assert dot_form((m, k), (k, n), ((1,), (0,)), ((), ())) == "outer"


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
    monkeypatch.setattr("tilewright.graph.order._BLOCK", 64)
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
