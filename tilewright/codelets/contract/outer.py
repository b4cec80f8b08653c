"""LLVM text of the outer form: every k adds a column of A times a row of B to a tile of C.

In: a `ContractOuter`. Out: its function. Lanes run along the columns (n; or m, with the operands'
roles exchanged, where only that is contiguous); each row's element of A is broadcast. A tile of C
stays in registers for a whole leaf of k. Always: the order is the law's `sequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tilewright.codelets.contract import chunks, turned
from tilewright.codelets.contract.asking import Asking
from tilewright.codelets.contract.operand import copy
from tilewright.codelets.contract.problem import Problem
from tilewright.codelets.contract.reading import (
    AHEAD,
    copied,
    in_words,
    is_exchanged,
    is_turned,
    loops_of,
    problem_of,
    scratch,
    tiles_of,
)
from tilewright.codelets.contract.words import copy_words
from tilewright.codelets.emit import pairs, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, stretch, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.tiling import Run
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.codelets.contract.codelet import ContractOuter

STREAM = 4096
"""How many bytes in advance dense rows of `left` are asked for: from an L3 or beyond they come
slower than they are used, and the rows after these are the next strip's (58,368 rows of data: 2 to
5 % of a leapfrog; nothing lost where they are near). Of tiles whose rows are more than that, L1 is
full: the next tile's are asked for into L2 (50,176 rows of 144 from memory times 24 columns: 1.19
times as fast; nothing lost where they are near)."""
ASKED = 8 * chunks.CACHE_LINE
"""Bytes of them that a turn of a loop asks for."""
STREAMED = 64
"""Rows from which on."""


def emit(codelet: ContractOuter, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    problem = problem_of(codelet)
    operands = (*codelet.inputs, *codelet.outputs)
    count = len(operands) + (scratch(codelet) > 0)
    function = module.function(symbol, "void", ["ptr"] * (count + len(codelet.asks)))
    asking = _asking(codelet, function, count)
    if codelet.out.size:
        dtypes = [operand.dtype for operand in operands]
        strides = [operand.strides[:-2] for operand in operands]
        pointers = [function.argument(i) for i in range(len(operands))]
        with walk(function, codelet.batch, pointers, dtypes, strides) as (lhs, rhs, *places):
            left, right = (rhs, lhs) if is_exchanged(codelet) else (lhs, rhs)
            if is_turned(problem):
                turned.tiles(function, problem, left, right, places)
            else:
                lent = function.argument(len(operands))
                inside, left, right = _copy(function, problem, left, right, lent)
                sums = lent
                if chunks.scratch(inside):
                    copies = copied(problem, module.features.registers)
                    sums = function.address(lent, "i8", sum(copies))
                _tiles(function, inside, left, right, places, sums, asking)
    function.close()


def _asking(codelet: ContractOuter, function: Function, first: int) -> Asking | None:
    """For the arrays that are arguments from `first` on."""
    if not codelet.asks:
        return None
    places = [function.argument(first + i) for i in range(len(codelet.asks))]
    loops, turns = loops_of(codelet, function.module.features, function.module.near)
    return Asking(function, places, codelet.asks, loops, turns)


def _copy(
    function: Function, problem: Problem, left: str, right: str, lent: str
) -> tuple[Problem, str, str]:
    """The problem on converted, contiguous operands."""
    first, second = copied(problem, function.module.features.registers)
    if problem.paired:
        return _in_words(function, problem, left, right, lent)
    working, k = problem.arithmetic.dtype, problem.k
    if first:
        matrix = copy(function, problem.left, working, problem.rows, k, left, lent)
        problem, left = replace(problem, left=matrix), lent
    if second:
        beside = function.address(lent, "i8", first)
        matrix = copy(
            function, problem.right, working, problem.columns, k, right, beside, by_rows=True
        )
        problem, right = replace(problem, right=matrix), beside
    return problem, left, right


def _in_words(
    function: Function, problem: Problem, left: str, right: str, lent: str
) -> tuple[Problem, str, str]:
    """The problem on words of two terms."""
    first, _ = copied(problem)
    beside = function.address(lent, "i8", first) if first else lent
    copy_words(function, problem.right, problem.columns, problem.k, right, beside)
    if first:
        copy_words(function, problem.left, problem.rows, problem.k, left, lent)
    return in_words(problem), lent if first else left, beside


def _tiles(
    function: Function,
    problem: Problem,
    left: str,
    right: str,
    places: Sequence[str],
    lent: str,
    asking: Asking | None,
) -> None:
    """Panels of columns outside, so that a panel of `right` is used while it is near."""
    features = function.module.features
    width = problem.arithmetic.lanes(features.vector_bits)
    plan = tiles_of(problem, width, features.registers)
    dtypes = [problem.right.dtype, *(side.dtype for side in problem.sides)]
    for start, count, lanes in panels(plan.columns, problem.columns, width):
        columns = lanes[-1].start + width
        panel = offset(function, right, problem.right.dtype, start * problem.right.step)
        here = [panel, *problem.moved(function, places, 0, start)]
        steps = [problem.right.step, *(side.column_step for side in problem.sides)]
        along = [[columns * step] for step in steps]
        length = chunks.chunk(problem, plan.rows, lanes, function.module.near)
        with walk(function, [count], here, dtypes, along) as (panel, *inside):
            if length < problem.k:
                step = partial(_terms, function, problem, asking)
                operands = left, panel
                chunks.panel(
                    function, problem, plan.rows, lanes, operands, inside, lent, length, step
                )
                continue
            for run in plan.rows:
                _rows(function, problem, run, lanes, left, panel, inside, asking)


def _rows(
    function: Function,
    problem: Problem,
    run: Run,
    lanes: tuple[Lanes, ...],
    left: str,
    panel: str,
    places: Sequence[str],
    asking: Asking | None,
) -> None:
    """The tiles of one run of rows against one panel of columns."""
    left = offset(function, left, problem.left.dtype, run.start * problem.left.step)
    here = [left, *problem.moved(function, places, run.start, 0)]
    steps = [problem.left.step, *(side.row_step for side in problem.sides)]
    dtypes = [problem.left.dtype, *(side.dtype for side in problem.sides)]
    along = [[run.size * step] for step in steps]
    with walk(function, [run.count], here, dtypes, along) as (left, *inside):
        _ask(function, problem, run.size, left)
        sums = _sums(function, problem, run.size, lanes, left, panel, asking)
        for row in range(run.size):
            for i, lane in enumerate(lanes):
                problem.finish(function, lane, sums[row * len(lanes) + i], inside, row)


def _ask(function: Function, problem: Problem, rows: int, left: str) -> None:
    """For as many rows of `left` as a tile has, further on, where they stream by."""
    matrix = problem.left
    dense = matrix.k_step == 1 and problem.k <= matrix.step < problem.k + LANES
    if not dense or problem.rows < STREAMED:
        return
    line = matrix.step * itemsize(matrix.dtype)
    crowded, away = rows * line > STREAM, -(-STREAM // line)
    if crowded:
        away = max(away, rows)
    soon = offset(function, left, matrix.dtype, away * matrix.step)
    # Rows may be long: a tile of 13 rows of 784 float32 has 637 lines.
    whole, rest = divmod(rows * line, ASKED)
    if whole:
        with repeat(function, whole, [("ptr", soon)]) as turn:
            vectors.prefetch(function, turn.carry[0], ASKED, into="L2" if crowded else "L1")
            turn.next[:] = [function.address(turn.carry[0], "i8", ASKED)]
        (soon,) = turn.result
    vectors.prefetch(function, soon, rest, into="L2" if crowded else "L1")


def _sums(
    function: Function,
    problem: Problem,
    rows: int,
    lanes: tuple[Lanes, ...],
    left: str,
    right: str,
    asking: Asking | None,
) -> list[str]:
    """One tile's sums over all of k, row by row: leaf after leaf, the last by the same text."""
    leaves = -(-problem.k // problem.leaf)
    if leaves < 2:
        return _leaf(function, problem, rows, lanes, left, right, problem.k, asking)[0]
    widths = [lane.width for lane in lanes] * rows
    tree = Pairwise(function, problem.arithmetic.kind, widths, problem.arithmetic.add, leaves)
    with repeat(function, leaves, [("ptr", left), ("ptr", right)]) as turn:
        length = stretch(function, problem.k, problem.leaf, turn.index)
        left, right = turn.carry
        sums, left, right = _leaf(function, problem, rows, lanes, left, right, length, asking)
        tree.push(turn.index, sums)
        turn.next[:] = [left, right]
    return tree.pushed()


def _leaf(
    function: Function,
    problem: Problem,
    rows: int,
    lanes: tuple[Lanes, ...],
    left: str,
    right: str,
    length: int | str,
    asking: Asking | None,
) -> tuple[list[str], str, str]:
    """Sums over `length` elements of k from 0, and the operands' places after them."""
    sums = [problem.arithmetic.start(problem.k, lane.width) for lane in lanes] * rows
    if not length:
        return sums, left, right
    line = (lanes[-1].start + lanes[-1].width) * itemsize(problem.right.dtype)
    far = problem.right.step == 1 and problem.k * line > function.module.near
    *sums, left, right = _run(
        function, problem, rows, lanes, left, right, sums, length, line if far else 0, asking
    )
    return sums, left, right


def _terms(
    function: Function,
    problem: Problem,
    asking: Asking | None,
    rows: int,
    lanes: Sequence[Lanes],
    left: str,
    right: str,
    sums: list[str],
    length: int | str,
) -> list[str]:
    """Sums over so many more elements of k."""
    return _run(function, problem, rows, lanes, left, right, sums, length, 0, asking)[:-2]


def _run(
    function: Function,
    problem: Problem,
    rows: int,
    lanes: Sequence[Lanes],
    left: str,
    right: str,
    sums: list[str],
    length: int | str,
    ahead: int,
    asking: Asking | None,
) -> list[str]:
    """The sums, and the operands' places, `length` elements of k further on.

    `ahead` are the bytes of a panel's line, where it should be asked for in advance.
    """
    kinds = [vector(problem.arithmetic.kind, lane.width) for lane in lanes] * rows
    carry = [*zip(kinds, sums, strict=True), ("ptr", left), ("ptr", right)]
    own = len(carry)
    carry += asking.carry if asking else []
    with repeat(function, length, carry) as turn:
        *sums, left, right = turn.carry[:own]
        if ahead:
            soon = offset(function, right, problem.right.dtype, AHEAD * problem.right.k_step)
            vectors.prefetch(function, soon, ahead)
        turn.next[:] = [
            *_step(function, problem, rows, lanes, left, right, sums),
            offset(function, left, problem.left.dtype, problem.left.k_step),
            offset(function, right, problem.right.dtype, problem.right.k_step),
            *(asking.stepped(turn.carry[own:]) if asking else []),
        ]
    if asking:
        asking.take(turn.result[own:])
    return turn.result[:own]


def _step(
    function: Function,
    problem: Problem,
    rows: int,
    lanes: Sequence[Lanes],
    left: str,
    right: str,
    sums: list[str],
) -> list[str]:
    """One k: the operand with fewer registers is read first and kept, the other streams by."""
    kind, sums, count = problem.kind, list(sums), len(lanes)
    if count <= rows:
        row_of_right = [_right(function, problem, right, lane) for lane in lanes]
        if count == 1 and problem.paired and pairs.reads_memory(function, lanes[0].width):
            return [
                pairs.multiply_add_from(
                    function,
                    lanes[0].width,
                    offset(function, left, problem.left.dtype, row * problem.left.step),
                    row_of_right[0],
                    total,
                )
                for row, total in enumerate(sums)
            ]
        for row in range(rows):
            scalar = _left(function, problem, left, row)
            for i, lane in enumerate(lanes):
                x = vectors.splat(function, kind, lane.width, scalar)
                at = row * count + i
                sums[at] = problem.multiply_add(function, lane.width, x, row_of_right[i], sums[at])
        return sums
    scalars = [_left(function, problem, left, row) for row in range(rows)]
    for i, lane in enumerate(lanes):
        y = _right(function, problem, right, lane)
        for row, scalar in enumerate(scalars):
            x = vectors.splat(function, kind, lane.width, scalar)
            at = row * count + i
            sums[at] = problem.multiply_add(function, lane.width, x, y, sums[at])
    return sums


def _left(function: Function, problem: Problem, left: str, row: int) -> str:
    """One element of the broadcast operand, as a scalar."""
    matrix = problem.left
    where = offset(function, left, matrix.dtype, row * matrix.step)
    value = vectors.load_scalar(function, matrix.dtype, where)
    return problem.widened(function, value, matrix.dtype, 0)


def _right(function: Function, problem: Problem, right: str, lane: Lanes) -> str:
    """One vector of the other operand."""
    matrix = problem.right
    where = offset(function, right, matrix.dtype, lane.start * matrix.step)
    value = vectors.load(function, matrix.dtype, where, matrix.step, lane.width, lane.valid)
    return problem.widened(function, value, matrix.dtype, lane.width)
