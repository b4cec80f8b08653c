"""A few rows times packed columns: the law's bits at every precision, on every machine."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import assert_same_bits, check, dense, values
from tests.codelets.run import HOST, LEVELS, levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractPanels, panels_emit
from tilewright.codelets.emit.llvm import Features, Module
from tilewright.codelets.expression import Expression, Instruction, evaluate_expression
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import product
from tilewright.graph.ops.packed import QUAD, pack, shape, unpack

KINDS = [
    ("float32", "float32", False),
    ("bfloat16", "float32", False),
    ("bfloat16", "bfloat16", False),
    ("bfloat16", "bfloat16", True),
    ("int8", "int16", False),
    ("int8", "int8", False),
    ("int8", "uint8", False),
    ("int8", "uint16", False),
]
IN_FOURS = ("int8", "uint8", "uint16")
kinds = pytest.mark.parametrize(("dtype", "lhs", "paired"), KINDS)
SIZES = [(16, 1), (1, 3), (17, 2), (31, 33), (64, 16), (80, 255), (40, 257), (100, 513), (33, 1100)]


def codelet(dtype, lhs, paired, m, n, k, out=None):
    out = out or ("int32" if dtype == "int8" else "float32")
    panels = dense(dtype, *shape(dtype, k, n, QUAD if lhs in IN_FOURS else None))
    return ContractPanels(dense(lhs, m, k), panels, dense(out, m, n), paired)


def operands(case: ContractPanels, seed: int = 0) -> list[np.ndarray]:
    """Within what is promised; the rest of a panel is zero, as packed."""
    lhs = values(case.lhs, seed)
    matrix = values(Operand(case.panels.dtype, (case.k, case.n), (case.n, 1)), seed + 1)
    if case.lhs.dtype == "int16":
        lhs, matrix = (np.maximum(x, -np.iinfo(x.dtype).max) for x in (lhs, matrix))
    return [lhs, packed(case, matrix)]


def packed(case: ContractPanels, matrix: np.ndarray) -> np.ndarray:
    return pack(matrix, depth=case.panels.shape[-1])


@levels
@kinds
def test_bits(dtype, lhs, paired, features):
    for number, (n, k) in enumerate(SIZES):
        case = codelet(dtype, lhs, paired, 1 + number % 4, n, k)
        check(case, features, operands(case))


@levels
@kinds
def test_rows_alone_and_together(dtype, lhs, paired, features):
    case = codelet(dtype, lhs, paired, 4, 70, 300)
    rows, panels = operands(case)
    (together,) = run(case, rows, panels, features=features)
    alone = replace(case, lhs=dense(lhs, 1, 300), out=dense(case.out.dtype, 1, 70))
    for i, row in enumerate(rows):
        (one,) = run(alone, row[None], panels, features=features)
        assert_same_bits(one[0], together[i], f"row {i}")


@kinds
def test_equal_bits_on_every_machine(dtype, lhs, paired):
    case = codelet(dtype, lhs, paired, 3, 50, 701)
    given = operands(case)
    first, *others = [
        run(case, *given, features=features)[0] for features in (*LEVELS, Features(128, 32))
    ]
    for other in others:
        assert_same_bits(first, other, case.name)


@levels
@kinds
def test_one_product_keeps_the_sign_of_its_zero(dtype, lhs, paired, features):
    case = codelet(dtype, lhs, paired, 2, 20, 1)
    rows = np.array([[0], [1]], numpy_dtype(lhs))
    matrix = -np.zeros((1, 20), numpy_dtype(dtype)) if dtype != "int8" else np.zeros((1, 20), dtype)
    check(case, features, [rows, packed(case, matrix)])
    (ours,) = run(case, rows, packed(case, matrix), features=features)
    assert np.signbit(ours).all() == (dtype != "int8")


def test_panels_of_bfloat16_give_the_bits_of_float32():
    """They are widened exactly."""
    case = codelet("bfloat16", "float32", False, 2, 40, 300)
    rows, panels = operands(case)
    matrix = unpack(panels, 300, 40).astype(np.float32)
    (ours,) = run(case, rows, panels)
    assert_same_bits(product(rows, matrix.T, "sequence", "float32"), ours, case.name)


def test_largest_integers_are_exact():
    for k in (512, 513, 1000):
        for lhs, most in (("int16", 32767), ("int8", 127), ("uint8", 255), ("uint16", 65535)):
            case = codelet("int8", lhs, False, 2, 20, k)
            rows = np.full((2, k), most, lhs)
            rows[1] = 1 - rows[1]
            matrix = np.full((k, 20), 127, np.int8)
            exact = (rows.astype(np.int64) @ matrix.astype(np.int64)).astype(np.int32)
            for features in (*LEVELS, Features(128, 32)):
                (ours,) = run(case, rows, packed(case, matrix), features=features)
                assert (ours == exact).all(), (k, lhs)
            assert k > 512 or lhs == "uint16" or (exact[0] == k * 127 * most).all()


@pytest.mark.parametrize("m", [1, 2, 6])
def test_bytes_of_any_sign_are_exact(m):
    """All pairs of the extremes, and sums that would saturate in 16 bits."""
    ends = np.array([-128, -127, -1, 0, 1, 127], np.int8)
    k, n = 36 * 4 + 3, 36
    rows = np.resize(np.repeat(ends, 4), (m, k))
    matrix = np.resize(np.stack([ends, ends, -1 - ends, ends[::-1]], 1), (k, n))
    rows[0], matrix[:, 0] = -128, -128
    exact = (rows.astype(np.int64) @ matrix.astype(np.int64)).astype(np.int32)
    case = codelet("int8", "int8", False, m, n, k)
    for features in (*LEVELS, Features(128, 32)):
        (ours,) = run(case, rows, packed(case, matrix), features=features)
        assert (ours == exact).all()


def test_pairs_use_the_instruction_where_there_is_one():
    if "avx512bf16" not in HOST.names:
        pytest.skip("this host has no vdpbf16ps")
    module = Module(HOST)
    codelet("bfloat16", "bfloat16", True, 1, 64, 64).emit(module, "product")
    assert "dpbf16ps" in module.text()


def test_pairs_are_an_order_of_their_own():
    rows, matrix = (
        np.random.default_rng(i).normal(size=s).astype(numpy_dtype("bfloat16"))
        for i, s in enumerate([(1, 256), (256, 64)])
    )
    found = [
        run(codelet("bfloat16", "bfloat16", paired, 1, 64, 256), rows, pack(matrix))[0]
        for paired in (False, True)
    ]
    assert (found[0] != found[1]).any()
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


@kinds
def test_packing_can_be_undone(dtype, lhs, paired):
    matrix, depth = values(Operand(dtype, (33, 21), (21, 1))), QUAD if lhs in IN_FOURS else None
    panels = pack(matrix, depth=depth)
    assert panels.shape == shape(dtype, 33, 21, depth)
    assert unpack(panels, 33, 21).tobytes() == matrix.tobytes()


@levels
def test_result_in_bfloat16(features):
    case = codelet("bfloat16", "bfloat16", False, 2, 37, 90, out="bfloat16")
    check(case, features, operands(case))


@levels
@kinds
def test_many_rows(dtype, lhs, paired, features):
    for m, n, k in [(5, 70, 40), (13, 200, 33), (40, 24, 258), (2, 20, 512)]:
        case = codelet(dtype, lhs, paired, m, n, k)
        check(case, features, operands(case))


@levels
def test_rows_and_results_that_lie_across(features):
    for m, n, k in [(1, 40, 30), (3, 33, 40), (9, 50, 300)]:
        case = codelet("float32", "float32", False, m, n, k)
        across = replace(
            case, lhs=Operand("float32", (m, k), (1, m)), out=Operand("float32", (m, n), (1, m))
        )
        check(across, features, operands(across))


@levels
def test_epilogue_gives_the_bits_of_product_and_expression(features):
    """Two results, one on an array that is read beside."""
    add, scaled = Instruction("add", (0, 1), "float32"), Instruction("mul", (3, 2), "float32")
    expression = Expression(("float32",) * 3, (add, scaled, Instruction("abs", (4,), "float32")),
                            (5, 0))  # fmt: skip
    for m, n, k in [(1, 40, 30), (2, 128, 22), (13, 50, 300), (40, 33, 17)]:
        plain = codelet("float32", "float32", False, m, n, k)
        bias = Operand("float32", (m, n), (0, 1) if m % 2 else (1, 0))
        beside = (bias, plain.out)
        fused = replace(plain, epilogue=expression, beside=beside, more=(plain.out,))
        given = [*operands(plain), *map(values, beside)]
        check(fused, features, given)
        (sums,) = run(plain, *given[:2], features=features)
        one_by_one = evaluate_expression(expression, [sums, *given[2:]], (m, n))
        for ours, other in zip(run(fused, *given, features=features), one_by_one, strict=True):
            assert ours.tobytes() == np.ascontiguousarray(other).tobytes()


@levels
def test_backwards(features):
    for m, n, k in [(1, 200, 30), (3, 33, 40), (9, 150, 20)]:
        case = codelet("float32", "float32", False, m, n, k)
        check(replace(case, backwards=True), features, operands(case))


@levels
@pytest.mark.parametrize("lhs", ["int16", *IN_FOURS])
def test_one_line_after_the_other(lhs, features):
    for m, n, k in [(1, 100, 37), (3, 48, 64)]:
        case = codelet("int8", lhs, False, m, n, k)
        check(replace(case, far=True), features, operands(case))


@levels
@pytest.mark.parametrize("lhs", IN_FOURS)
@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_long_goes_beneath_the_next_sums(lhs, parts, features, monkeypatch):
    """The same bits, of a lone group of panels, of groups with a rest, backwards."""
    monkeypatch.setattr(panels_emit, "_LONG", 0)
    steps = Instruction("sub", (parts - 1, parts), "int32"), Instruction("abs", (0,), "int32")
    expression = Expression(("int32",) * (parts + 1), steps, (parts + 1, parts + 2))
    for m, n, k in [(1, 16, 40), (1, 150, 9)] if parts == 1 else [(2, 40, 36)]:
        plain, bias = codelet("int8", lhs, False, m, n, k), Operand("int32", (m, n), (0, 1))
        lhs_values, panels = operands(plain)
        together = np.stack([panels] * parts) if parts > 1 else panels
        side = dense("int8", *together.shape)
        beside = {"epilogue": expression, "beside": (bias,), "more": (plain.out,)}
        case = replace(plain, panels=side, **beside)
        for each in (case, replace(case, backwards=True)):
            check(each, features, [lhs_values, together, values(bias)])


def gates(m: int, n: int, k: int, parts: int, dtype: str = "float32", first: int = 0):
    """Sums of all parts, and a row beside, to two results."""
    size = shape(dtype, k, n)
    apart = int(np.prod(size)) + first
    strides = (apart, *dense(dtype, *size).strides)
    panels = Operand(dtype, (parts, *size), strides)
    steps = [Instruction("mul", (parts - 1, parts), "float32")]
    steps += [Instruction("sub", (i, parts + 1 + i), "float32") for i in range(parts)]
    expression = Expression(("float32",) * (parts + 1), tuple(steps), (2 * parts, parts + 1))
    row, out = Operand("float32", (m, n), (0, 1)), dense("float32", m, n)
    lhs = dense("float32", m, k)
    return ContractPanels(lhs, panels, out, epilogue=expression, beside=(row,), more=(out,))


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("parts", [2, 3, 4, 5])
def test_parts_meet_in_the_epilogue(dtype, parts, features):
    for m, n, k, first in ((1, 16, 3, 0), (1, 48, 300, 0), (2, 33, 20, 64), (7, 40, 17, 0)):
        case = gates(m, n, k, parts, dtype, first)
        for each in (case, replace(case, backwards=True)):
            matrices = [values(Operand(dtype, (k, n), (n, 1)), i) for i in range(parts)]
            panels = np.stack([pack(matrix) for matrix in matrices])
            check(each, features, [values(case.lhs, 9), panels, values(case.beside[0], 8)])
    assert case.name.startswith(f"contract_panels_{dtype}_7x{parts}x40x17_")
    whole = gates(1, 128, 4, parts, dtype)
    piece = whole.cut.axes[1]
    assert (piece, whole.cut.length, whole.cut.panels) == (1, 128, 1)


def asks(case: ContractPanels) -> bool:
    """Whether anything is asked for."""
    module = Module(HOST)
    case.emit(module, "codelet")
    return "call void @llvm.prefetch" in module.text()


@levels
@kinds
@pytest.mark.parametrize("m", (5, 13, 49))
def test_bits_where_the_next_panels_are_asked_for(dtype, lhs, paired, m, features):
    case = codelet(dtype, lhs, paired, m, 200, 300)
    assert asks(case)
    check(case, features, operands(case))


@pytest.mark.parametrize(
    "m, n, k",
    [
        (4, 200, 300),  # reading is all that they do
        (300, 200, 300),  # a group is used for long
        (13, 32, 64),  # all are near
    ],
)
def test_what_asks_for_no_panels(m, n, k):
    assert not asks(codelet("float32", "float32", False, m, n, k))
