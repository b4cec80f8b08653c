"""Rows times what is left of packed columns: the bits of the whole product, of every format."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import assert_same_bits, dense, values
from tests.codelets.contract.test_panels import codelet as whole
from tests.codelets.contract.test_panels import operands as whole_operands
from tests.codelets.run import LEVELS, levels, run
from tests.codelets.test_cut import pieces
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractBlocks
from tilewright.codelets.emit.llvm import Features
from tilewright.codelets.expression import Expression, Instruction, evaluate_expression
from tilewright.graph.ops.packed import pack, shape
from tilewright.graph.pattern import Pattern, lines_of

F = "float32"
KINDS = [(F, F), ("bfloat16", F), ("bfloat16", "bfloat16"), ("int8", "int16"), ("int8", "int8"),
         ("int8", "uint8"), ("int8", "uint16")]  # fmt: skip
SIZES = [(1, 33, 64, 4), (2, 96, 528, 4), (3, 20, 1100, 1), (4, 16, 48, 16), (9, 50, 512, 16)]
"""Rows, columns, k, and how many k a block has, if a line has no more."""
WHOLE = [(1, 80, 528, 4), (3, 64, 48, 16), (9, 96, 64, 1)]
"""The same, of whole panels."""


def pattern(n: int, k: int, tall: int, depth: int, density: float, seed: int = 0) -> Pattern:
    height = max(1, tall // depth)
    random = np.random.default_rng(seed).random((-(-n // 16), k // (height * depth)))
    return Pattern(random < density, height, depth)


def codelet(dtype, lhs, m, n, k, of: Pattern, out=None):
    given = whole(dtype, lhs, False, m, n, k, out)
    places, starts = of.tables()
    blocks = dense(dtype, of.count, of.height, 16, of.depth)
    tables = dense("int32", *places.shape), dense("int32", *starts.shape)
    return ContractBlocks(given.lhs, blocks, *tables, given.out)


def thinned(panels: np.ndarray, of: Pattern) -> np.ndarray:
    """Panels with zeros in the place of blocks that are gone."""
    count, _, lanes, depth = panels.shape
    apart = panels.reshape(count, -1, of.height, lanes, depth).copy()
    apart[~of.kept] = 0
    return apart.reshape(panels.shape)


def case(dtype, lhs, m, n, k, tall, density, seed=0):
    """The product of blocks, that of panels, and both their operands."""
    dense_one = whole(dtype, lhs, False, m, n, k)
    rows, panels = whole_operands(dense_one, seed)
    of = pattern(n, k, tall, panels.shape[-1], density, seed)
    panels = thinned(panels, of)
    given = [rows, of.blocks(panels), *of.tables()]
    return codelet(dtype, lhs, m, n, k, of), dense_one, given, [rows, panels]


@levels
@pytest.mark.parametrize(("dtype", "lhs"), KINDS)
def test_bits_are_those_of_the_whole_product(dtype, lhs, features):
    for number, size in enumerate(SIZES):
        ours, theirs, given, panels = case(dtype, lhs, *size, density=(0.3, 0.0, 1.0)[number % 3])
        (found,) = run(ours, *given, features=features)
        for meaning in (ours.meaning(*given), theirs.meaning(*panels)):
            assert_same_bits(meaning[0], found, ours.name)


def test_equal_bits_on_every_machine():
    ours, _, given, _ = case(F, F, 3, 50, 704, 1, 0.2)
    first, *others = [
        run(ours, *given, features=features)[0] for features in (*LEVELS, Features(128, 32))
    ]
    for other in others:
        assert_same_bits(first, other, ours.name)


@levels
def test_panels_of_any_length_side_by_side(features):
    """Empty ones, whole ones, and those whose blocks all meet one leaf."""
    of = Pattern(np.zeros((7, 40), bool), 16, 1)
    of.kept[1], of.kept[2, 16:32], of.kept[3, ::2], of.kept[5, 39], of.kept[6, :3] = (True,) * 5
    for m in (1, 6):
        ours = codelet(F, F, m, 100, 640, of)
        panels = thinned(values(dense(F, *shape(F, 640, 100))), of)
        rows = values(ours.lhs, 1)
        given = [rows, of.blocks(panels), *of.tables()]
        (found,) = run(ours, *given, features=features)
        (expected,) = whole(F, F, False, m, 100, 640).meaning(rows, panels)
        assert_same_bits(ours.meaning(*given)[0], found, ours.name)
        assert_same_bits(expected, found, ours.name)


@levels
@pytest.mark.parametrize(
    ("m", "n", "k", "tall"), [(1, 80, 528, 4), (3, 64, 48, 16), (9, 96, 64, 1)]
)
def test_blocks_of_a_whole_matrix_are_read_where_they_lie(m, n, k, tall, features):
    """Its rows may be further apart than they are long."""
    of = pattern(n, k, tall, 1, 0.3)
    packed = codelet(F, F, m, n, k, of)
    matrix = Operand(F, (k, n), (n + 8, 1))
    ours = replace(packed, panels=matrix, tall=tall)
    rows, weights = values(ours.lhs), values(matrix, 1)
    given = [rows, weights, *of.tables()]
    (found,) = run(ours, *given, features=features)
    (expected,) = packed.meaning(rows, of.blocks(pack(weights)), *of.tables())
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert_same_bits(expected, found, ours.name)
    assert ours.work.macs == packed.work.macs
    for piece, slices in pieces(ours, 32):
        arrays = [array[where] for array, where in zip(given, slices, strict=False)]
        assert_same_bits(expected[slices[-1]], run(piece, *arrays, features=features)[0], ours.name)


@levels
def test_what_is_gone_is_not_read(features):
    """What an infinity meets in a block that is gone does not show; in one that is left it does."""
    of = Pattern(np.array([[True, False], [False, True]]), 4, 1)
    ours = codelet(F, F, 1, 32, 8, of)
    rows = np.ones((1, 8), np.float32)
    rows[0, 1] = np.inf
    given = [rows, np.ones((2, 4, 16, 1), np.float32), *of.tables()]
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert np.isposinf(found[0, :16]).all()
    assert (found[0, 16:] == 4).all()


@levels
def test_a_negative_zero_keeps_its_sign(features):
    """A product below the smallest float, and then terms that are gone."""
    of = Pattern(np.array([[True, False]]), 1, 1)
    ours = codelet(F, F, 1, 16, 2, of)
    tiny = np.full((1, 1, 16, 1), -1e-30, np.float32)
    given = [np.full((1, 2), 1e-30, np.float32), tiny, *of.tables()]
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert (found == 0).all()
    assert np.signbit(found).all()


@pytest.mark.parametrize("features", LEVELS, ids=lambda level: str(level.vector_bits))
def test_epilogue(features):
    steps = (Instruction("add", (0, 1), F), Instruction("max", (2, 0), F))
    expression = Expression((F, F), steps, (3, 2))
    plain, _, given, _ = case(F, F, 3, 40, 64, 4, 0.4)
    row = replace(plain.out, strides=(0, 1))
    ours = replace(plain, epilogue=expression, beside=(row,), more=(plain.out,))
    beside = values(row, 7)
    (sums,) = plain.meaning(*given)
    expected = evaluate_expression(expression, (sums, beside), (3, 40))
    found = run(ours, *given, beside, features=features)
    for one, other in zip(expected, found, strict=True):
        assert_same_bits(one, other, ours.name)


@pytest.mark.parametrize(("m", "n"), [(3, 100), (70, 33)])
def test_pieces_are_the_whole(m, n):
    ours, _, given, _ = case(F, F, m, n, 64, 4, 0.4)
    (expected,) = ours.meaning(*given)
    out = np.empty_like(expected)
    work = 0.0
    for piece, slices in pieces(ours, 32):
        arrays = [array[where] for array, where in zip(given, slices, strict=False)]
        (out[slices[-1]],) = run(piece, *arrays)
        work += sum(piece.work.macs.values())
    assert_same_bits(expected, out, ours.name)
    assert work == pytest.approx(sum(ours.work.macs.values()), rel=0.2)
    assert sum(ours.work.macs.values()) == m * given[1].size


def test_patterns_hold_all_that_is_not_zero():
    random = np.random.default_rng(0)
    panels = random.normal(size=(5, 48, 16, 1)) * (random.random((5, 48, 1, 1)) < 0.1)
    for height in (1, 4, 16):
        lines = lines_of(panels)
        of = Pattern(np.any(lines.reshape(5, -1, height), 2), height, 1)
        assert np.count_nonzero(of.blocks(panels)) == np.count_nonzero(panels)
        places, starts = of.tables()
        assert len(places) == of.count == starts[-1, -1, 1]
