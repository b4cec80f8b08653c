"""LLVM text of the outer form where few rows meet columns that lie along k.

In: the `Problem` of a `ContractOuter` with up to 7 rows, whose `right` is contiguous along k. Out:
its tiles. Blocks of `right` are turned round in registers just before they are used: with few rows
a copy would cost more than the product. Always: the order is the law's `sequence`.
"""

from __future__ import annotations

from tilewright.codelets import vectors
from tilewright.codelets.contract_problem import Problem
from tilewright.codelets.llvm import Function, vector
from tilewright.codelets.loops import repeat, walk
from tilewright.codelets.pairwise import Pairwise
from tilewright.codelets.transpose import turn_block
from tilewright.codelets.vectors import offset
from tilewright.graph.law import LEAF


def tiles(function: Function, problem: Problem, left: str, right: str, out: str) -> None:
    """Panels of a machine vector of columns, one after the other; all rows at once."""
    width = problem.arithmetic.lanes(function.module.features.vector_bits)
    full, rest = divmod(problem.columns, width)
    dtypes = [problem.right.dtype, problem.out_dtype]
    steps = [[width * problem.right.step], [width * problem.column_step]]
    if full:
        with walk(function, [full], [right, out], dtypes, steps) as (panel, place):
            _panel(function, problem, width, width, left, panel, place)
    if rest:
        panel = offset(function, right, dtypes[0], full * steps[0][0])
        place = offset(function, out, dtypes[1], full * steps[1][0])
        narrow = min(width, max(4, 1 << (rest - 1).bit_length()))
        _panel(function, problem, narrow, rest, left, panel, place)


def _panel(
    function: Function, problem: Problem, width: int, valid: int, left: str, right: str, out: str
) -> None:
    arithmetic, before = problem.arithmetic, -(-problem.k // LEAF) - 1
    if before < 1:
        totals = _leaf(function, problem, width, valid, left, right, problem.k)
    else:
        widths = [width] * problem.rows
        tree = Pairwise(function, arithmetic.kind, widths, arithmetic.add, before)
        with repeat(function, before, [("ptr", left), ("ptr", right)]) as turn:
            here, there = turn.carry
            tree.push(turn.index, _leaf(function, problem, width, valid, here, there, LEAF))
            turn.next[:] = _moved(function, problem, here, there, LEAF)
        left, right = turn.result
        rest = problem.k - before * LEAF
        totals = tree.finish(_leaf(function, problem, width, valid, left, right, rest))
    for row, total in enumerate(totals):
        place = offset(function, out, problem.out_dtype, row * problem.row_step)
        total = vectors.narrow(function, total, arithmetic.dtype, problem.out_dtype, width)
        vectors.store(function, problem.out_dtype, total, place, problem.column_step, width, valid)


def _moved(function: Function, problem: Problem, left: str, right: str, terms: int) -> list[str]:
    return [
        offset(function, left, problem.left.dtype, terms * problem.left.k_step),
        offset(function, right, problem.right.dtype, terms),
    ]


def _leaf(
    function: Function,
    problem: Problem,
    width: int,
    valid: int,
    left: str,
    right: str,
    length: int,
) -> list[str]:
    """Sums over one leaf, a vector for each row."""
    sums = [problem.arithmetic.zero] * problem.rows
    full, rest = divmod(length, width)
    if full:
        row = vector(problem.arithmetic.kind, width)
        carry = [*((row, total) for total in sums), ("ptr", left), ("ptr", right)]
        with repeat(function, full, carry) as turn:
            *sums, left, right = turn.carry
            sums = _block(function, problem, width, valid, left, right, width, sums)
            turn.next[:] = [*sums, *_moved(function, problem, left, right, width)]
        *sums, left, right = turn.result
    if rest:
        sums = _block(function, problem, width, valid, left, right, rest, sums)
    return sums


def _block(
    function: Function,
    problem: Problem,
    width: int,
    valid: int,
    left: str,
    right: str,
    length: int,
    sums: list[str],
) -> list[str]:
    """`length` terms of k."""
    arithmetic, matrix, sums = problem.arithmetic, problem.right, list(sums)
    lines = ["zeroinitializer"] * width
    for column in range(valid):
        place = offset(function, right, matrix.dtype, column * matrix.step)
        line = vectors.load(function, matrix.dtype, place, 1, width, length)
        lines[column] = vectors.widen(function, line, matrix.dtype, arithmetic.dtype, width)
    turned = turn_block(function, arithmetic.kind, lines)
    for term in range(length):
        for row in range(problem.rows):
            where = row * problem.left.step + term * problem.left.k_step
            place = offset(function, left, problem.left.dtype, where)
            scalar = vectors.load_scalar(function, problem.left.dtype, place)
            scalar = vectors.widen(function, scalar, problem.left.dtype, arithmetic.dtype, 0)
            x = vectors.splat(function, arithmetic.kind, width, scalar)
            sums[row] = arithmetic.multiply_add(function, width, x, turned[term], sums[row])
    return sums
