"""Contractions: native bits are those of the order law, at sizes around the vector and the tile."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, check, dense
from tests.codelets.run import levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.emit.llvm import Features, Module
from tilewright.codelets.expression import Expression, Instruction, evaluate_expression

SIZES = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48]
SHAPES = [
    *zip(SIZES, SIZES[3:] + SIZES[:3], SIZES[6:] + SIZES[:6], strict=True),
    (1, 256, 40),
    (40, 22, 250),
    (5, 3, 0),
    (17, 1, 48),
    (1, 1, 31),
    (2, 5, 513),
    (3, 18, 1100),
    (2, 3, 2100),
]
forms = pytest.mark.parametrize("form", [ContractOuter, ContractVector])


def contraction(form, dtype, m, n, k, out_dtype=None):
    """Of a vector, n is not used."""
    rhs, out = ((k, n), (m, n)) if form is ContractOuter else ((k,), (m,))
    return form(dense(dtype, m, k), dense(dtype, *rhs), dense(out_dtype or dtype, *out))


def by_columns(dtype, m, k, pitch=0):
    """A vector times a matrix whose outputs are contiguous."""
    lhs = Operand(dtype, (m, k), (1, m + pitch))
    return ContractVector(lhs, dense(dtype, k), dense(dtype, m))


@levels
@forms
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int32"])
def test_bits(form, dtype, features):
    for shape in SHAPES:
        check(contraction(form, dtype, *shape), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
def test_vector_along_outputs(dtype, features):
    """The same bits as along k."""
    for m, _, k in [*SHAPES, (70, 1, 40), (100, 1, 257), (33, 1, 3)]:
        codelet = by_columns(dtype, m, k, pitch=m % 3)
        check(codelet, features)
        lhs, rhs = arguments(codelet)
        turned = contraction(ContractVector, dtype, m, 1, k)
        one, other = (run(c, lhs, rhs, features=features)[0] for c in (codelet, turned))
        assert one.tobytes() == other.tobytes()


@levels
@pytest.mark.parametrize(("n", "k", "far"), [(70, 1100, True), (70, 100, False)])
def test_panels_that_lie_far_are_asked_for_in_advance(n, k, far, features):
    codelet = contraction(ContractOuter, "float32", 30, n, k)
    module = Module(features)
    codelet.emit(module, "product")
    assert ("call void @llvm.prefetch" in module.text()) == far
    check(codelet, features)


@levels
@forms
@pytest.mark.parametrize(
    ("dtype", "out_dtype"),
    [("bfloat16", "float32"), ("float32", "bfloat16"), ("float32", "float64"), ("int8", "int32")],
)
def test_result_of_another_dtype(form, dtype, out_dtype, features):
    check(contraction(form, dtype, 9, 17, 33, out_dtype=out_dtype), features)


@levels
def test_any_strides(features):
    """Transposed, repeated, backwards and padded operands; results written across."""
    m, n, k = 7, 19, 21
    lefts = [(k + 3, 1), (1, m), (0, 1), (-k, -1), (1, 0)]
    rights = [(n + 2, 1), (1, k), (2 * n, 2), (0, 1), (-n, -1)]
    outs = [(n, 1), (1, m), (n + 5, 1), (2 * n, 2)]
    for i, (left, right) in enumerate((x, y) for x in lefts for y in rights):
        out = Operand("float32", (m, n), outs[i % len(outs)])
        lhs, rhs = Operand("float32", (m, k), left), Operand("float32", (k, n), right)
        check(ContractOuter(lhs, rhs, out), features)
        vector = Operand("float32", (k,), right[:1])
        check(ContractVector(lhs, vector, Operand("float32", (m,), out.strides[:1])), features)


@levels
def test_matrix_times_vector_across_rows(features):
    """n = 1 with m contiguous: lanes run along m."""
    lhs, rhs = Operand("float32", (37, 20), (1, 37)), dense("float32", 20, 1)
    check(ContractOuter(lhs, rhs, dense("float32", 37, 1)), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int8"])
def test_few_rows_and_columns_along_k(dtype, features):
    """Blocks of the operand in lanes are turned round in registers."""
    for m, n, k in [(1, 40, 256), (2, 17, 33), (7, 5, 600), (3, 2, 7), (1, 16, 16), (1, 9, 520)]:
        turned = Operand(dtype, (k, n), (1, k + 3))
        check(
            ContractOuter(
                dense(dtype, m, k), turned, dense("int32" if dtype == "int8" else dtype, m, n)
            ),
            features,
        )


@levels
@forms
def test_a_product_alone_keeps_the_sign_of_its_zero(form, features):
    """And sums of more terms do not: so says the law, and so do elementwise products."""
    for k, sign in [(1, True), (2, False)]:
        codelet = contraction(form, "float32", 20, 17, k)
        lhs, rhs = (np.full(operand.shape, x, np.float32) for operand, x in
                    zip(codelet.inputs, (0.0, -1.0), strict=True))  # fmt: skip
        expected, found = codelet.meaning(lhs, rhs)[0], run(codelet, lhs, rhs, features=features)[0]
        assert (np.signbit(found) == sign).all()
        assert (np.signbit(expected) == sign).all()


@levels
@forms
def test_products_that_vanish_add_up_to_zero(form, features):
    """A product too small for a float is -0 here; the lanes beside it are +0, and so is the sum."""
    for k in (2, 3, 9, 16, 20):
        codelet = contraction(form, "float32", 20, 17, k)
        across = replace(codelet, lhs=replace(codelet.lhs, strides=(1, 20)))
        for each in (codelet, across):
            lhs, rhs = (np.full(operand.shape, x, np.float32) for operand, x in
                        zip(each.inputs, (1e-30, -1e-30), strict=True))  # fmt: skip
            expected, found = each.meaning(lhs, rhs)[0], run(each, lhs, rhs, features=features)[0]
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@levels
@forms
def test_batches(form, features):
    """Two batch dimensions, one of them shared by an operand."""
    rhs, out = ((5, 18), (4, 18)) if form is ContractOuter else ((5,), (4,))
    right = Operand("float32", (2, 3, *rhs), (0, 90, *dense("float32", *rhs).strides))
    check(form(dense("float32", 2, 3, 4, 5), right, dense("float32", 2, 3, *out)), features)
    none = dense("float32", 0, 4, 5), dense("float32", 0, *rhs), dense("float32", 0, *out)
    check(form(*none), features)


@levels
@forms
def test_special_values(form, features):
    """Infinities and NaN stay in their own outputs; lanes past the end of k bring none."""
    codelet = contraction(form, "float32", 9, 20, 21)
    lhs, rhs = (a.copy() for a in arguments(codelet))
    lhs[2, 20], lhs[3, 4], lhs[5] = np.inf, np.nan, -0.0
    expected = codelet.meaning(lhs, rhs)[0]
    found = run(codelet, lhs, rhs, features=features)[0]
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(np.delete(found, [2, 3], axis=0)).all()


def test_the_order_is_not_any_order():
    """The bits differ between the two orders and from NumPy's product: tests of bits can fail."""
    outer = contraction(ContractOuter, "float32", 16, 16, 300)
    lhs, rhs = arguments(outer)
    vector = contraction(ContractVector, "float32", 16, 1, 300)
    found = run(outer, lhs, rhs)[0]
    assert (found[:, 3] != run(vector, lhs, rhs[:, 3])[0]).any()
    assert (found != (lhs.astype(np.float64) @ rhs).astype(np.float32)).any()
    np.testing.assert_allclose(found, lhs @ rhs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("features", [Features(512, 32), Features(256, 16)])
@forms
def test_functions_stay_small(form, features):
    for shape in [(40, 22, 256), (512, 512, 512), (33, 47, 1100)]:
        module = Module(features)
        contraction(form, "float32", *shape).emit(module, "codelet")
        assert len(module.functions["codelet"].body.splitlines()) < 3000


def test_panels_that_outgrow_the_nearest_memory_are_asked_for_in_advance():
    left, right, out = (
        Operand("float32", shape, (shape[1], 1)) for shape in ((48, 300), (300, 32), (48, 32))
    )
    for near, expected in ((32 << 10, True), (48 << 10, False)):
        module = Module(Features(512, 32), near)
        ContractOuter(left, right, out).emit(module, "x")
        assert ("prefetch" in module.text()) == expected


def test_what_streams_by_is_asked_for_by_a_loop():
    """13 rows of 784 float32 are 637 cache lines: written out, LLVM took 0.1 s for them."""
    module = Module(Features(512, 32))
    contraction(ContractOuter, "float32", 128, 32, 784).emit(module, "x")
    assert 0 < module.text().count("call void @llvm.prefetch") < 100


def test_all_leaves_are_one_text():
    """The last one may be shorter."""
    counts = []
    for k in (256, 512, 784):
        module = Module(Features(512, 32))
        contraction(ContractOuter, "float32", 8, 32, k).emit(module, "x")
        counts.append(module.text().count("@llvm.fma.v16f32("))
    assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("rows", "step", "expected"), [(64, 22, True), (64, 80, False), (48, 22, False)]
)
def test_dense_rows_that_stream_by_are_asked_for_in_advance(rows, step, expected):
    left = Operand("float32", (rows, 22), (step, 1))
    module = Module(Features(512, 32))
    ContractOuter(left, dense("float32", 22, 40), dense("float32", rows, 40)).emit(module, "x")
    assert ("call void @llvm.prefetch" in module.text()) == expected


@levels
@pytest.mark.parametrize("order", ["rows", "columns", "turned"])
def test_epilogue_gives_the_bits_of_product_and_expression(order, features):
    """Two results, arrays beside of every kind of stride, tiles of every size."""
    add, scaled = Instruction("add", (0, 1), "float32"), Instruction("mul", (3, 2), "float32")
    expression = Expression(("float32",) * 3, (add, scaled, Instruction("abs", (4,), "float32")),
                            (5, 0))  # fmt: skip
    for m, n, k in [(1, 40, 30), (13, 50, 22), (40, 256, 22), (33, 17, 300), (5, 3, 0)]:
        product = contraction(ContractOuter, "float32", m, n, k)
        if order == "columns":
            lhs = Operand("float32", (m, k), (1, m))
            product = replace(product, lhs=lhs, out=Operand("float32", (m, n), (1, m)))
        if order == "turned":
            product = replace(product, rhs=Operand("float32", (k, n), (1, k)))
        bias = Operand("float32", (m, n), (0, 1) if m % 2 else (1, 0))
        beside = (bias, product.out)
        fused = replace(product, epilogue=expression, beside=beside, more=(product.out,))
        check(fused, features)
        given = arguments(fused)
        (sums,) = run(product, *given[:2], features=features)
        one_by_one = evaluate_expression(expression, [sums, *given[2:]], (m, n))
        for ours, other in zip(run(fused, *given, features=features), one_by_one, strict=True):
            assert ours.tobytes() == np.ascontiguousarray(other).tobytes()


@levels
def test_vectors_backwards(features):
    """Rows or columns from the last to the first, whole groups and what is left over."""
    for m, k in [(1, 30), (100, 100), (45, 17), (64, 300)]:
        for case in (contraction(ContractVector, "float32", m, 1, k), by_columns("float32", m, k)):
            check(replace(case, backwards=True), features)
