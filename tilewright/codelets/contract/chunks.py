"""A panel of columns that outgrows the nearest memory, summed some k at a time.

In: a `Problem` of one leaf, a panel and scratch memory. Out: its tiles. All rows take a chunk of
the panel while it is near; between chunks their sums lie in scratch memory. Always: every sum is
taken one term after the other, as in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.contract.problem import Problem
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.loops import repeat, stretch, walk
from tilewright.codelets.emit.tiling import Run
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.graph.law import LANES

SHARE = 5 / 8
"""Of the nearest memory, for a chunk of both operands; sums and stack take some of the rest."""
CACHE_LINE = 64
TILES = 8
"""Tiles of rows from which on the panel's way to the nearest memory pays for their sums' way."""
TALLEST = 4
"""Rows of a tile up to which the panel comes slower from the next memory than it is multiplied."""
ROWS, BYTES = 8, 16 << 10
"""What may have such a panel on any host; others get no scratch memory for it."""

Step = Callable[[int, Sequence[Lanes], str, str, list[str], int | str], list[str]]
"""(rows, lanes, left, right, sums, how many k): the sums of a tile, continued."""


def scratch(problem: Problem) -> int:
    """Bytes for the sums of one panel."""
    size = itemsize(problem.arithmetic.dtype)
    panel = problem.columns * problem.k * size
    if not 1 < problem.k <= problem.leaf or problem.rows < ROWS or panel < BYTES:
        return 0
    return problem.rows * -(-problem.columns // LANES) * LANES * size


def chunk(problem: Problem, runs: Sequence[Run], lanes: Sequence[Lanes], near: int) -> int:
    """How many k the rows should take at a time; all, where the panel stays near."""
    tiles, tallest = sum(run.count for run in runs), max(run.size for run in runs)
    lines = _line(problem, lanes) + _left(problem, runs)
    if not scratch(problem) or tiles < TILES or tallest > TALLEST or problem.k * lines <= near:
        return problem.k
    parts = -(-problem.k * lines // int(SHARE * near))
    return -(-problem.k // parts)


def _line(problem: Problem, lanes: Sequence[Lanes]) -> int:
    """Bytes of a panel's line in the cache: of a wider matrix, cache lines are cut."""
    right, size = problem.right, itemsize(problem.right.dtype)
    taken = (lanes[-1].start + lanes[-1].width) * size
    return min(max(taken, right.k_step * size), taken + CACHE_LINE // 2)


def _left(problem: Problem, runs: Sequence[Run]) -> int:
    """Bytes of a tile's column of `left`: where it lies along rows, a cache line."""
    column = max(run.size for run in runs) * itemsize(problem.left.dtype)
    return 0 if problem.left.k_step == 1 else max(column, CACHE_LINE)


def panel(
    function: Function,
    problem: Problem,
    runs: Sequence[Run],
    lanes: Sequence[Lanes],
    operands: tuple[str, str],
    places: Sequence[str],
    lent: str,
    length: int,
    step: Step,
) -> None:
    """All tiles of rows against one panel, `length` of k at a time."""
    sums = _Sums(function, problem, lanes)
    with walk(function, [problem.rows], [lent], [sums.dtype], [[sums.pitch]]) as (line,):
        sums.store(line, [problem.arithmetic.start(problem.k, lane.width) for lane in lanes])
    matrices = problem.left, problem.right
    carry = [("ptr", operand) for operand in operands]
    with repeat(function, -(-problem.k // length), carry) as turn:
        terms = stretch(function, problem.k, length, turn.index)
        for run in runs:
            _tiles(function, problem, run, lanes, turn.carry, sums, lent, terms, step)
        turn.next[:] = [
            offset(function, place, matrix.dtype, length * matrix.k_step)
            for place, matrix in zip(turn.carry, matrices, strict=True)
        ]
    dtypes = [sums.dtype, *(side.dtype for side in problem.sides)]
    along = [[sums.pitch], *([side.row_step] for side in problem.sides)]
    with walk(function, [problem.rows], [lent, *places], dtypes, along) as (line, *inside):
        for lane, total in zip(lanes, sums.load(line), strict=True):
            problem.finish(function, lane, total, inside, 0)


def _tiles(
    function: Function,
    problem: Problem,
    run: Run,
    lanes: Sequence[Lanes],
    operands: Sequence[str],
    sums: _Sums,
    lent: str,
    terms: int | str,
    step: Step,
) -> None:
    left = offset(function, operands[0], problem.left.dtype, run.start * problem.left.step)
    first = offset(function, lent, sums.dtype, run.start * sums.pitch)
    along = [[run.size * problem.left.step], [run.size * sums.pitch]]
    dtypes = [problem.left.dtype, sums.dtype]
    with walk(function, [run.count], [left, first], dtypes, along) as (left, first):
        lines = [offset(function, first, sums.dtype, row * sums.pitch) for row in range(run.size)]
        before = [total for line in lines for total in sums.load(line)]
        after = step(run.size, lanes, left, operands[1], before, terms)
        for row, line in enumerate(lines):
            sums.store(line, after[row * len(lanes) : (row + 1) * len(lanes)])


class _Sums:
    """A row's vectors of sums in scratch memory."""

    def __init__(self, function: Function, problem: Problem, lanes: Sequence[Lanes]):
        self.function, self.lanes, self.dtype = function, lanes, problem.arithmetic.dtype
        self.pitch = lanes[-1].start + lanes[-1].width

    def load(self, line: str) -> list[str]:
        return [
            vectors.load(self.function, self.dtype, self._at(line, lane), 1, lane.width)
            for lane in self.lanes
        ]

    def store(self, line: str, totals: Sequence[str]) -> None:
        for lane, total in zip(self.lanes, totals, strict=True):
            vectors.store(self.function, self.dtype, total, self._at(line, lane), 1, lane.width)

    def _at(self, line: str, lane: Lanes) -> str:
        return offset(self.function, line, self.dtype, lane.start)
