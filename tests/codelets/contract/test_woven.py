"""Two products in one: the bits of either, however sets of rows and groups of panels fall."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import check
from tests.codelets.contract.test_panels import codelet, gates, operands, values
from tests.codelets.run import levels
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import Woven
from tilewright.codelets.contract.woven import apart, sets_of, together, weaves
from tilewright.codelets.expression import Expression, Instruction
from tilewright.graph.ops.packed import pack

SINGLES, PAIRS = ("float32", "float32", False), ("bfloat16", "bfloat16", True)


def pair(kind, n, k, rows, panels, terms=None):
    """A row times n columns, and `rows` times some panels, whose results lie further apart."""
    dtype, lhs, paired = kind
    few = codelet(dtype, lhs, paired, 1, n, k)
    many = codelet(dtype, lhs, paired, rows, 16 * panels, terms or k)
    return few, replace(many, out=replace(many.out, strides=(16 * panels + 48, 1)))


@levels
@pytest.mark.parametrize(
    ("n", "k", "rows", "panels", "terms"),
    [(400, 33, 7, 2, None), (320, 17, 12, 1, 40), (800, 200, 20, 3, None), (330, 16, 5, 1, 17)],
)
@pytest.mark.parametrize("kind", [SINGLES, PAIRS], ids=["float32", "pairs"])
def test_bits_are_those_of_either(kind, n, k, rows, panels, terms, features):
    few, many = pair(kind, n, k, rows, panels, terms)
    assert weaves(few, many)
    given = [*operands(few), *operands(many, 5)]
    for case in (Woven(few, many), Woven(few, many).turned):
        check(case, features, given)


@levels
def test_gates_and_what_follows_the_many(features):
    """Parts that meet in an epilogue on one side, a row added to sums on the other."""
    few, many = gates(1, 256, 24, 4), codelet("float32", "float32", False, 13, 32, 24)
    step = Instruction("add", (0, 1), "float32")
    bias = Operand("float32", (13, 32), (0, 1))
    many = replace(many, epilogue=Expression(("float32",) * 2, (step,), (2,)), beside=(bias,))
    assert weaves(few, many)
    row = values(Operand("float32", (24, 256), (256, 1)))
    panels = np.stack([pack(row * i) for i in (1, 2, 3, 4)])
    lhs, matrix = operands(replace(many, epilogue=None, beside=()), 3)
    given = [values(few.lhs), panels, values(few.beside[0], 1), lhs, matrix, values(bias, 2)]
    for case in (Woven(few, many), Woven(few, many).turned):
        check(case, features, given)


@levels
def test_many_that_find_no_groups_come_after_them(features):
    """As where registers are fewer than the plan took for granted."""
    few, many = pair(SINGLES, 48, 20, 30, 2)
    assert not weaves(few, many)

    class Forced(Woven):
        def emit(self, module, symbol):
            from tilewright.codelets.contract import woven_emit

            woven_emit.emit(self, module, symbol, 5)

    check(Forced(few, many), features, [*operands(few), *operands(many, 5)])


def test_what_does_not_go_together():
    few, many = pair(SINGLES, 800, 200, 20, 3)
    assert weaves(few, many)
    assert sets_of(few, many) == 3
    assert not weaves(few, pair(SINGLES, 800, 199, 20, 3)[1]), "fewer terms"
    assert not weaves(few, pair(SINGLES, 800, 300, 20, 3)[1]), "more than a leaf"
    assert weaves(*pair(PAIRS, 800, 200, 20, 3))
    assert not weaves(few, pair(PAIRS, 800, 200, 20, 3)[1]), "other numbers"
    assert not weaves(few, pair(SINGLES, 800, 200, 20, 9)[1]), "too many panels"
    assert not weaves(few, codelet("float32", "float32", False, 20, 40, 200)), (
        "a panel that is not whole"
    )
    assert not weaves(replace(few, far=True), many)
    assert not weaves(many, many), "rows that are not few"
    bytes_ = ("int8", "uint8", False)
    assert not weaves(*pair(bytes_, 800, 200, 20, 3))


def test_arguments_are_put_together_and_taken_apart():
    few, many = gates(1, 256, 24, 4), codelet("float32", "float32", False, 13, 32, 24)
    one, other = ("x", "U", "b", "h", "c"), ("X", "W", "Z")
    both = together(few, many, one, other)
    assert both == ("x", "U", "b", "X", "W", "h", "c", "Z")
    assert apart(few, many, both) == (one, other)


def test_work_is_that_of_both():
    few, many = pair(SINGLES, 400, 33, 7, 2)
    assert Woven(few, many).work.flops == few.work.flops + many.work.flops
