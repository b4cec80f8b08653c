"""Products of which some blocks are wanted: bits of the whole product, nothing elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import assert_same_bits, dense, values
from tests.codelets.run import LEVELS, Compiled, levels, run
from tests.codelets.test_cut import pieces
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter, ContractSampled
from tilewright.codelets.emit.llvm import Features
from tilewright.graph.ops.sampled import where
from tilewright.graph.pattern import Pattern

F = "float32"
SIZES = [(64, 64, 64, 4), (7, 32, 48, 16), (1, 16, 16, 1), (600, 48, 80, 4), (300, 20, 32, 1)]
"""Terms, rows, columns, and rows of a block."""


def pattern(m: int, n: int, tall: int, density: float) -> Pattern:
    return Pattern(np.random.default_rng(m).random((n // 16, m // tall)) < density, tall, 1)


def codelet(t: int, m: int, n: int, of: Pattern, onto: bool) -> ContractSampled:
    places, starts = of.tables()
    tables = dense("int32", *places.shape), dense("int32", *starts.shape)
    return ContractSampled(dense(F, t, m), dense(F, t, n), *tables, dense(F, m, n), of.height, onto)


def case(t: int, m: int, n: int, of: Pattern, onto: bool):
    """The codelet, what it is given, and which elements it has."""
    ours, tables = codelet(t, m, n, of, onto), of.tables()
    given = [values(ours.lhs, 1), values(ours.rhs, 2), *tables]
    return ours, [*given, values(ours.out, 3)][: 4 + onto], where(*tables, of.height, m)


@levels
@pytest.mark.parametrize("onto", [False, True])
def test_bits_are_those_of_the_whole_product(onto, features):
    for number, (t, m, n, tall) in enumerate(SIZES):
        of = pattern(m, n, tall, (0.4, 0.7, 1.0)[number % 3])
        ours, given, kept = case(t, m, n, of, onto)
        (found,) = run(ours, *given, features=features)
        assert_same_bits(ours.meaning(*given)[0], found, ours.name)
        lhs, rhs = given[:2]
        whole = ContractOuter(dense(F, m, t), ours.rhs, ours.out)
        (sums,) = run(whole, lhs.T, rhs, features=features)
        expected = given[-1] + sums if onto else sums
        assert_same_bits(expected[kept], found[kept], ours.name)
        elsewhere = given[-1] if onto else np.zeros_like(sums)
        assert_same_bits(elsewhere[~kept], found[~kept], ours.name)


def test_equal_bits_on_every_machine():
    ours, given, _ = case(300, 48, 64, pattern(48, 64, 16, 0.5), True)
    first, *others = [
        run(ours, *given, features=features)[0] for features in (*LEVELS, Features(128, 32))
    ]
    for other in others:
        assert_same_bits(first, other, ours.name)


@levels
def test_blocks_of_any_number_in_a_panel(features):
    of = Pattern(np.arange(40)[None] < np.array([0, 1, 2, 3, 4, 5, 9, 40])[:, None], 4, 1)
    ours, given, _ = case(5, 160, 128, of, True)
    assert_same_bits(ours.meaning(*given)[0], run(ours, *given, features=features)[0], ours.name)


@levels
def test_operands_that_lie_apart(features):
    """Terms of the left one side by side; rows of the others further apart than they are long."""
    of = pattern(32, 48, 4, 0.5)
    plain, given, _ = case(9, 32, 48, of, True)
    (expected,) = plain.meaning(*given)
    ours = replace(
        plain, lhs=Operand(F, (9, 32), (1, 11)), rhs=Operand(F, (9, 48), (56, 1)),
        out=Operand(F, (32, 48), (64, 1)),
    )  # fmt: skip
    assert_same_bits(expected, run(ours, *given, features=features)[0], ours.name)


@levels
def test_what_is_gone_is_neither_read_nor_written(features):
    of = Pattern(np.array([[True, False], [False, True]]), 4, 1)
    ours, given, kept = case(3, 8, 32, of, True)
    given[4] = np.where(kept, given[4], np.float32(np.nan))
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert np.isfinite(found[kept]).all()
    assert np.isnan(found[~kept]).all()


@levels
def test_what_lay_there_does_not_show(features):
    ours, given, _ = case(3, 8, 32, Pattern(np.eye(2, dtype=bool), 4, 1), False)
    out = np.full(ours.out.shape, np.nan, np.float32)
    Compiled(ours, features)(*given, out)
    assert_same_bits(ours.meaning(*given)[0], out, ours.name)


@levels
def test_signs_of_zeros(features):
    """A sum of one term keeps its own; elsewhere they are positive."""
    of = Pattern(np.array([[True, False]]), 1, 1)
    ours, given, _ = case(1, 2, 16, of, False)
    given[:2] = (np.full_like(given[0], -1e-30), np.full_like(given[1], 1e-30))
    (found,) = run(ours, *given, features=features)
    assert_same_bits(ours.meaning(*given)[0], found, ours.name)
    assert np.signbit(found).all(1).tolist() == [True, False]


@pytest.mark.parametrize("onto", [False, True])
def test_pieces_are_the_whole(onto):
    ours, given, _ = case(6, 32, 112, pattern(32, 112, 4, 0.4), onto)
    (expected,) = ours.meaning(*given)
    out, work = np.empty_like(expected), 0.0
    for piece, slices in pieces(ours, 32):
        arrays = [array[where] for array, where in zip(given, slices, strict=False)]
        (out[slices[-1]],) = run(piece, *arrays)
        work += sum(piece.work.macs.values())
    assert_same_bits(expected, out, ours.name)
    assert work == pytest.approx(sum(ours.work.macs.values()))
    assert work == pytest.approx(6 * where(given[2], given[3], 4, 32).sum())


def test_names_say_what_differs():
    of = pattern(32, 48, 4, 0.5)
    names = {codelet(t, 32, 48, of, onto).name for t in (5, 6) for onto in (False, True)}
    assert len(names) == 4
