"""Rows times the transpose of blocks: the bits of the product of the blocks turned round."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import assert_same_bits, dense, values
from tests.codelets.contract.test_sampled import pattern
from tests.codelets.run import LEVELS, levels, run
from tests.codelets.test_cut import pieces
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractAcross, ContractOuter
from tilewright.codelets.emit.llvm import Features
from tilewright.graph.pattern import Pattern

F = "float32"
SIZES = [(16, 16, 16, 4), (48, 32, 64, 16), (32, 12, 592, 4), (16, 9, 1024, 1), (96, 8, 48, 4)]
"""Rows, columns, terms, and rows of a block of the matrix."""


def case(m: int, n: int, k: int, of: Pattern):
    """The codelet, its operands, and the matrix with its zeros; `of` the matrix (n, k)."""
    turned = Pattern(of.kept.T, 16, 1)
    places, starts = turned.tables()
    tables = dense("int32", *places.shape), dense("int32", *starts.shape)
    ours = ContractAcross(dense(F, m, k), dense(F, n, k), *tables, dense(F, m, n), of.height)
    given = [values(ours.lhs, 1), values(ours.matrix, 2), places, starts]
    kept = np.repeat(of.lines, 16, 0).T
    return ours, given, np.where(kept, given[1], np.float32(0))


@levels
def test_bits_are_those_of_the_whole_product(features):
    for number, (m, n, k, tall) in enumerate(SIZES):
        ours, given, zeros = case(m, n, k, pattern(n, k, tall, (0.4, 0.8, 1.0)[number % 3]))
        (found,) = run(ours, *given, features=features)
        assert_same_bits(ours.meaning(*given)[0], found, ours.name)
        whole = ContractOuter(ours.lhs, Operand(F, (k, n), (1, k)), ours.out)
        assert_same_bits(run(whole, given[0], zeros.T, features=features)[0], found, ours.name)


def test_equal_bits_on_every_machine():
    ours, given, _ = case(48, 32, 600 // 16 * 16, pattern(32, 592, 4, 0.5))
    first, *others = [
        run(ours, *given, features=features)[0] for features in (*LEVELS, Features(128, 32))
    ]
    for other in others:
        assert_same_bits(first, other, ours.name)


@levels
def test_rows_of_blocks_of_any_number(features):
    kept = np.arange(20)[:, None] < np.array([0, 1, 2, 19, 20, 7])
    ours, given, zeros = case(32, 24, 320, Pattern(kept, 4, 1))
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    np.testing.assert_allclose(found, given[0] @ zeros.T, atol=1e-4)


@levels
def test_operands_whose_lines_lie_apart(features):
    plain, given, _ = case(16, 16, 64, pattern(16, 64, 4, 0.5))
    (expected,) = plain.meaning(*given)
    ours = replace(
        plain, lhs=Operand(F, (16, 64), (80, 1)), matrix=Operand(F, (16, 64), (256, 1)),
        out=Operand(F, (16, 16), (33, 1)),
    )  # fmt: skip
    assert_same_bits(expected, run(ours, *given, features=features)[0], ours.name)


@levels
def test_what_is_gone_is_not_read(features):
    of = Pattern(np.array([[True, False], [False, True]]), 4, 1)
    ours, given, zeros = case(16, 8, 32, of)
    given[1] = np.where(zeros != 0, given[1], np.float32(np.inf))
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("m", [48, 96])
def test_pieces_are_the_whole(m):
    ours, given, _ = case(m, 32, 64, pattern(32, 64, 4, 0.4))
    (expected,) = ours.meaning(*given)
    out, work = np.empty_like(expected), 0.0
    for piece, slices in pieces(ours, 32):
        arrays = [array[where] for array, where in zip(given, slices, strict=False)]
        (out[slices[-1]],) = run(piece, *arrays)
        work += sum(piece.work.macs.values())
    assert_same_bits(expected, out, ours.name)
    assert work == sum(ours.work.macs.values()) == m * 64 * len(given[2])
