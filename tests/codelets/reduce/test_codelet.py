"""Reductions: native bits are those of the order law, for every kind, dtype, form and stride."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, check
from tests.codelets.run import HOST, assembly, levels, run, wrapped
from tilewright.codelets.expression import Expression, Instruction, constant_instruction
from tilewright.codelets.reduce import Reduce
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import dense_strides

DOMAINS = [
    ((), ()),
    ((0,), (0,)),
    ((3, 0), (1,)),
    ((0, 3), (0,)),
    ((7,), (0,)),
    ((1000,), (0,)),
    ((5000,), (0,)),
    ((17, 33), (1,)),
    ((17, 33), (0,)),
    ((3, 1500), (1,)),
    ((700, 9), (0,)),
    ((200, 40), (0,)),
    ((5, 6, 7), (0, 2)),
    ((5, 64, 7), (0, 1)),
    ((40, 6, 48), (0, 2)),
    ((4, 3, 5), ()),
    ((66, 3, 150), (0, 1)),
    ((70, 1700), (0,)),
]


def reduction(kind, dtype, shape, axes, strides=None, out=None):
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)
    expression = Expression((dtype,), (), (0,))
    strides = dense_strides(shape) if strides is None else strides
    out = dense_strides(kept) if out is None else out
    return Reduce(kind, expression, shape, axes, (strides,), out)


@levels
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("sum", "float32"), ("sum", "float64"), ("sum", "bfloat16"), ("sum", "float16"),
     ("sum", "int32"), ("max", "float32"), ("min", "int16"), ("max", "uint8"), ("prod", "float64"),
     ("and", "bool"), ("xor", "bool"), ("or", "int64")],
)  # fmt: skip
def test_bits(kind, dtype, features):
    for shape, axes in DOMAINS:
        check(reduction(kind, dtype, shape, axes), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_strides(dtype, features):
    """Padded, transposed, repeated and backwards; reduced dimensions that do not merge."""
    for shape, axes, strides, out in [
        ((50, 6, 7), (0, 1, 2), (50, 8, 1), ()),
        ((50, 6, 32), (0, 1, 2), (200, 33, 1), ()),
        ((50, 6, 32), (0, 1), (200, 33, 1), (2,)),
        ((50, 6, 32), (2, 0), (200, 33, 1), (3,)),
        ((20, 300), (1,), (1, 20), (-2,)),
        ((20, 300), (1,), (0, 0), (1,)),
        ((20, 300), (0,), (-300, -1), (1,)),
    ]:
        check(reduction("sum", dtype, shape, axes, strides, out), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_rows_that_do_not_follow_each_other(dtype, features):
    """Runs of any length, which begin anywhere in a leaf, near or a step apart."""
    for shape, strides in [
        ((7, 3, 50), (150, 50, 1)),
        ((2, 3, 300), (900, 300, 1)),
        ((90, 3, 5), (15, 5, 1)),
        ((90, 2, 8), (-16, 8, 1)),
        ((30, 3, 19), (1, 600, 31)),
        ((9, 2, 17), (34, 17, -1)),
    ]:
        check(reduction("sum", dtype, shape, (0, 2), strides), features)
    inner = (13 * 9, 9, 14 * 13 * 9, 1)
    check(reduction("sum", dtype, (14, 13, 2, 9), (0, 1, 3), inner), features)
    check(reduction("sum", dtype, (14, 2, 13, 9), (0, 2, 3), (1000, 500, 10, 1)), features)


@levels
def test_rows_are_copied_a_run_at_a_time(features):
    """Where a leaf has several, and they are no vectors: to find each element took 0.9 ns of it."""
    long, short = (
        assembly(reduction("sum", "float32", shape, (0, 2)), features)
        for shape in ((100, 20, 50), (100, 20, 5))
    )
    assert "memcpy" in long
    assert "memcpy" not in short


@levels
def test_many_chunks(features):
    """Trees of chunks whose number is not a power of two."""
    check(reduction("sum", "float32", (58368,), (0,)), features)
    check(reduction("sum", "float32", (58368 // 16, 3), (0,)), features)


@levels
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_special_values(kind, features):
    for axes in [(0,), (1,)]:
        codelet = reduction(kind, "float32", (33, 35), axes)
        (array,) = (a.copy() for a in arguments(codelet))
        array[3, 4], array[30, 31], array[5, 6] = np.nan, np.inf, -np.inf
        array[:, 8], array[9] = -0.0, 0.0
        expected, found = codelet.meaning(array)[0], run(codelet, array, features=features)[0]
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@levels
def test_negative_zeros_add_up_to_zero(features):
    """However few they are: lanes without a term are zeros like others."""
    for count in (1, 2, 5, 15, 16, 17):
        array = np.full((count, 18), -0.0, np.float32)
        for x, axes in [(array, (0,)), (array.T.copy(), (1,))]:
            codelet = reduction("sum", "float32", x.shape, axes)
            found = run(codelet, x, features=features)[0]
            assert not np.signbit(codelet.meaning(x)[0]).any()
            assert not np.signbit(found).any(), (count, axes)


@levels
def test_vectors_run_along_either_axis(features):
    """Rows or columns in vectors: the same bits; others than those of NumPy's order."""
    for count in (5, 16, 40, 256, 300, 5000):
        column = reduction("sum", "float32", (count, 19), (0,))
        (array,) = arguments(column)
        found = run(column, array, features=features)[0]
        row = reduction("sum", "float32", (19, count), (1,), (1, 19))
        np.testing.assert_array_equal(run(row, array.T, features=features)[0], found)
        each = reduction("sum", "float32", (count,), (0,), (19,))
        np.testing.assert_array_equal(run(each, array[:, 7], features=features)[0], found[7])
    assert (found != np.cumsum(array, axis=0)[-1]).any()


@levels
def test_wide_rows_near_and_far(features):
    """Down a few columns at a time or row by row: the same bits."""
    for count, columns in [(49, 300), (49, 256), (270, 170)]:
        near = reduction("sum", "float32", (count, columns), (0,))
        (array,) = arguments(near)
        (found,), (expected,) = run(near, array, features=features), near.meaning(array)
        np.testing.assert_array_equal(found, expected)
        (far,) = run(replace(near, far=True), array, features=features)
        np.testing.assert_array_equal(far, found)


@levels
@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
def test_a_single_element_is_flushed(kind, features):
    """LLVM takes a combination with the identity for nothing at all."""
    array = np.array([[1e-40, -1e-40, -0.0, 3.0, -np.inf]], np.float32)
    for x, axes in [(array, (0,)), (array.T, (1,)), (array, ())]:
        codelet = reduction(kind, "float32", x.shape, axes)
        (expected,), (found,) = codelet.meaning(x), run(codelet, x, features=features)
        assert expected.tobytes() == found.tobytes()


SQUARES = Expression(
    ("float32", "float32"),
    (Instruction("sub", (0, 1), "float32"), Instruction("mul", (2, 2), "float32")),
    (3,),
)
"""(x - y) squared."""
LONG = Expression(
    ("bfloat16", "bool"),
    (
        constant_instruction(np.array(0.75, numpy_dtype("bfloat16"))),
        Instruction("mul", (0, 2), "bfloat16"),
        Instruction("add", (3, 0), "bfloat16"),
        Instruction("abs", (4,), "bfloat16"),
        Instruction("neg", (5,), "bfloat16"),
        Instruction("select", (1, 6, 4), "bfloat16"),
        Instruction("max", (7, 3), "bfloat16"),
        Instruction("convert", (8,), "float32", (("dtype", "float32"),)),
    ),
    (9,),
)
"""So many instructions that it is written only once."""
COUNTS = Expression(
    ("int32",),
    (
        Instruction("iota", (), "int32", (("dimension", 0),)),
        Instruction("iota", (), "int32", (("dimension", 1),)),
        Instruction("iota", (), "int32", (("dimension", 2),)),
        Instruction("mul", (1, 2), "int32"),
        Instruction("add", (4, 3), "int32"),
        Instruction("mul", (5, 0), "int32"),
    ),
    (6,),
)
"""(i * j + k) times x."""
POSITIVE = Expression(("float32", "float32"), (Instruction("gt", (0, 1), "bool"),), (2,))


@levels
@pytest.mark.parametrize(
    "expression", [SQUARES, LONG, COUNTS, POSITIVE], ids=["squares", "long", "counts", "bool"]
)
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_fused_expressions(expression, axes, features):
    """Of two inputs, one repeated along a dimension; of the index itself; to a bool."""
    kind = "and" if expression is POSITIVE else "sum"
    for shape in [(5, 7, 19), (3, 70, 16), (130, 9, 11)]:
        _, m, k = shape
        strides = ((m * k, k, 1), (0, k, 1))[: len(expression.inputs)]
        out = dense_strides(tuple(n for i, n in enumerate(shape) if i not in axes))
        check(Reduce(kind, expression, shape, axes, strides, out), features)


STORING = Expression(
    ("float32", "bfloat16"),
    (
        Instruction("convert", (1,), "float32", (("dtype", "float32"),)),
        Instruction("mul", (0, 2), "float32"),
        Instruction("lt", (3, 0), "bool"),
        Instruction("sub", (3, 2), "float32"),
    ),
    (5, 3, 4),
)
"""The sum of x y - y; x y and whether that is less than x are stored."""


def long_and_storing(dtype: str) -> Expression:
    """More instructions than two registers keep busy, all exact or rounded once."""
    steps = [Instruction("mul", (0, 1), dtype)]
    for number in range(2, 18):
        op = ("add", "max", "sub", "mul")[number % 4]
        steps.append(Instruction(op, (number, number % 2), dtype))
    return Expression((dtype, dtype), tuple(steps), (18, 9, 18))


@levels
@pytest.mark.parametrize("expression", [STORING, long_and_storing("float32")], ids=["few", "long"])
def test_results_are_stored_on_the_way(expression, features):
    """Of any shape, in rows and in columns, in turns of many lanes and in what is left of them."""
    for shape, axes in DOMAINS[4:]:
        strides, kept = dense_strides(shape), [n for i, n in enumerate(shape) if i not in axes]
        if axes == (0, 2):
            continue  # no even walk along what is reduced, and nothing to stage results
        out = dense_strides(tuple(kept))
        check(Reduce("sum", expression, shape, axes, (strides,) * 2, out, (strides,) * 2), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int16", "float64"])
def test_a_long_expression_is_summed_and_stored(dtype, features):
    expression = long_and_storing(dtype)
    for size in (100, 127, 128, 255, 256, 300, 1000):
        steps = (1,), (0,)
        check(Reduce("sum", expression, (size,), (0,), steps, (), ((1,), (2,))), features)


def test_stored_results_are_outputs_and_are_written():
    codelet = Reduce("sum", STORING, (7, 5), (0,), ((5, 1), (0, 1)), (1,), ((5, 1), (1, 7)))
    assert [o.dtype for o in codelet.outputs] == ["float32", "float32", "bool"]
    assert codelet.work.stores == 4 * 5 + 4 * 35 + 35
    assert codelet.name.endswith("_storing_2")


@levels
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((200, 40), (0,)), ((3, 70, 33), (1,)), ((1, 9), (0,)), ((0, 5), (0,)), ((70, 1700), (0,))],
)
def test_several_totals_of_a_pass(shape, axes, features):
    """They lie beside each other, before the columns; what is stored comes after them."""
    square = Instruction("mul", (0, 0), "float32")
    expression = Expression(("float32",), (square,), (0, 1, 1))
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)
    out = dense_strides((*kept[:-1], 2, kept[-1]))
    strides = dense_strides(shape)
    codelet = Reduce("sum", expression, shape, axes, (strides,), out, (strides,), totals=2)
    check(codelet, features)


@levels
@pytest.mark.parametrize("rows", [31, 32, 45, 271, 272, 527, 700, 1024])
def test_leaves_that_end_anywhere(rows, features):
    """The last one may be too short for the text of the others, or end between two lanes."""
    for kind, dtype in (("sum", "float32"), ("max", "float64")):
        check(replace(reduction(kind, dtype, (rows, 70), (0,)), far=True), features)


@pytest.mark.parametrize(("kind", "rows", "most"), [("sum", 256, 9_000), ("max", 20_000, 14_000)])
def test_text_of_many_columns_is_short(kind, rows, most):
    """Lanes are combined a vector at a time, and few vectors are carried down the rows."""
    codelet = replace(reduction(kind, "float32", (rows, 500), (0,)), far=True)
    assert len(wrapped(codelet, HOST)) < most
