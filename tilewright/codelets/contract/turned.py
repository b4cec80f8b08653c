"""LLVM text of the outer form where few rows meet columns that lie along k.

In: the `Problem` of a `ContractOuter` with up to 7 rows, whose `right` is contiguous along k. Out:
its tiles. Blocks of `right` are turned round in registers just before they are used: with few rows
a copy would cost more than the product. Always: the order is the law's `sequence`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.contract.problem import Problem
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.tiling import split
from tilewright.codelets.emit.turn import turn_block
from tilewright.codelets.emit.vectors import offset
from tilewright.graph.law import LANES

WIDEST = 256
"""Bits of a vector: a block of 8 x 8 takes as many shuffles an element as one of 16 x 16 less one
level, of half the width (256 rows of 40 times a column, Zen 4: 8 % less time)."""


def tiles(function: Function, problem: Problem, left: str, right: str, out: Sequence[str]) -> None:
    """16 columns after others, so that short vectors do not wait for themselves; all rows at once.

    Turning lines fills the registers as it is: more at once was a third slower.
    """
    width = problem.arithmetic.lanes(min(WIDEST, function.module.features.vector_bits))
    full, rest = divmod(problem.columns, width)
    dtypes = [problem.right.dtype, *(side.dtype for side in problem.sides)]
    steps = [problem.right.step, *(side.column_step for side in problem.sides)]
    for run in split(full, -(-LANES // (width * problem.rows))) if full else ():
        lanes = [Lanes(i * width, width, width) for i in range(run.size)]
        places = _at(function, problem, right, out, run.start * width)
        along = [[width * run.size * step] for step in steps]
        with walk(function, [run.count], places, dtypes, along) as (panel, *inside):
            _panel(function, problem, lanes, left, panel, inside)
    if rest:
        narrow = min(width, max(4, 1 << (rest - 1).bit_length()))
        panel, *inside = _at(function, problem, right, out, full * width)
        _panel(function, problem, [Lanes(0, narrow, rest)], left, panel, inside)


def _at(
    function: Function, problem: Problem, right: str, out: Sequence[str], column: int
) -> list[str]:
    panel = offset(function, right, problem.right.dtype, column * problem.right.step)
    return [panel, *problem.moved(function, out, 0, column)]


def _panel(
    function: Function,
    problem: Problem,
    lanes: list[Lanes],
    left: str,
    right: str,
    out: Sequence[str],
) -> None:
    arithmetic, before = problem.arithmetic, -(-problem.k // problem.leaf) - 1
    if before < 1:
        totals = _leaf(function, problem, lanes, left, right, problem.k)
    else:
        widths = [lane.width for lane in lanes for _ in range(problem.rows)]
        tree = Pairwise(function, arithmetic.kind, widths, arithmetic.add, before)
        with repeat(function, before, [("ptr", left), ("ptr", right)]) as turn:
            here, there = turn.carry
            tree.push(turn.index, _leaf(function, problem, lanes, here, there, problem.leaf))
            turn.next[:] = _moved(function, problem, here, there, problem.leaf)
        left, right = turn.result
        rest = problem.k - before * problem.leaf
        totals = tree.finish(_leaf(function, problem, lanes, left, right, rest))
    for number, total in enumerate(totals):
        lane, row = lanes[number // problem.rows], number % problem.rows
        problem.finish(function, lane, total, out, row)


def _moved(function: Function, problem: Problem, left: str, right: str, terms: int) -> list[str]:
    return [
        offset(function, left, problem.left.dtype, terms * problem.left.k_step),
        offset(function, right, problem.right.dtype, terms),
    ]


def _leaf(
    function: Function,
    problem: Problem,
    lanes: list[Lanes],
    left: str,
    right: str,
    length: int,
) -> list[str]:
    """Sums over one leaf, for each machine vector those of all rows."""
    rows = [vector(problem.arithmetic.kind, lane.width) for lane in lanes]
    kinds = [kind for kind in rows for _ in range(problem.rows)]
    starts = [problem.arithmetic.start(problem.k, lane.width) for lane in lanes]
    sums = [start for start in starts for _ in range(problem.rows)]
    width = lanes[0].width
    full, rest = divmod(length, width)
    if full:
        carry = [*zip(kinds, sums, strict=True), ("ptr", left), ("ptr", right)]
        with repeat(function, full, carry) as turn:
            *sums, left, right = turn.carry
            sums = _block(function, problem, lanes, left, right, width, sums)
            turn.next[:] = [*sums, *_moved(function, problem, left, right, width)]
        *sums, left, right = turn.result
    if rest:
        sums = _block(function, problem, lanes, left, right, rest, sums)
    return sums


def _block(
    function: Function,
    problem: Problem,
    lanes: list[Lanes],
    left: str,
    right: str,
    length: int,
    sums: list[str],
) -> list[str]:
    """`length` terms of k."""
    done: list[str] = []
    for number, lane in enumerate(lanes):
        some = sums[number * problem.rows : (number + 1) * problem.rows]
        place = offset(function, right, problem.right.dtype, lane.start * problem.right.step)
        turned = _turned(function, problem, lane, place, length)
        for term in range(length):
            for row in range(problem.rows):
                x = _element(function, problem, lane.width, left, row, term)
                some[row] = problem.arithmetic.multiply_add(
                    function, lane.width, x, turned[term], some[row]
                )
        done += some
    return done


def _turned(
    function: Function, problem: Problem, lane: Lanes, right: str, length: int
) -> list[str]:
    """A vector of columns for each term.

    Of two columns half a block apart the same halves are read side by side: what comes from memory
    into half a register takes no shuffle, and the first level of turning is done.
    """
    arithmetic, matrix, half = problem.arithmetic, problem.right, lane.width // 2

    def read(column: int, start: int) -> Register:
        valid = min(half, length - start)
        line = "zeroinitializer"
        if column < lane.valid and valid > 0:
            place = offset(function, right, matrix.dtype, column * matrix.step + start)
            line = vectors.load(function, matrix.dtype, place, 1, half, valid)
            line = vectors.widen(function, line, matrix.dtype, arithmetic.dtype, half)
        return Register(function, arithmetic.kind, half, line)

    columns = range(half)
    lines = [read(c, start).beside(read(c + half, start)) for start in (0, half) for c in columns]
    return turn_block(function, arithmetic.kind, [line.name for line in lines], half // 2)


def _element(
    function: Function, problem: Problem, width: int, left: str, row: int, term: int
) -> str:
    """One element of `left` in every lane."""
    matrix, arithmetic = problem.left, problem.arithmetic
    place = offset(function, left, matrix.dtype, row * matrix.step + term * matrix.k_step)
    scalar = vectors.load_scalar(function, matrix.dtype, place)
    scalar = vectors.widen(function, scalar, matrix.dtype, arithmetic.dtype, 0)
    return vectors.splat(function, arithmetic.kind, width, scalar)
