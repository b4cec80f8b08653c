"""How the outer form reads its operands: which lies in lanes, what is copied first, which tiles.

In: a `ContractOuter`. Out: its `Problem`, and what `outer.py` does about it; for models of time,
what is read more than once. Always: no choice alters a bit.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.contract import chunks
from tilewright.codelets.contract.operand import Matrix, copied_bytes, copied_step
from tilewright.codelets.contract.problem import Problem, Side
from tilewright.codelets.contract.words import WORD, copied_words, in_place, is_woven
from tilewright.codelets.emit import tiling
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import panels
from tilewright.codelets.emit.vectors import itemsize
from tilewright.frozen import frozen
from tilewright.graph.law import LANES
from tilewright.machine.machine import Features

if TYPE_CHECKING:
    from tilewright.codelets.contract.codelet import ContractOuter

WORTH_COPYING = 8
"""Rows (columns) from which on an operand that needs conversion is copied first."""
NEAR, WORTH_SPREADING = 32 << 10, 48
"""Lines that lie a multiple of a power of two apart share sets of the nearest cache, of so many
bytes on any host: it holds as many as lie within that. Of operands that have more of them there are
copies for so many rows (columns)."""
APART, NARROW = (512, 2048), 16
"""From how many bytes apart on: with so many registers, and with more. Small tiles read a panel
often: filter gradients of 1 x 1 convolutions, which have a line a pixel, run at 72 to 83 % of the
peak instead of 43 to 48 with AVX2 (Zen 4; pixels of 128 and 256 channels). With AVX-512, whose
tiles have 8 rows of 48, copies of lines 512 bytes apart cost up to 7 % more than they save. So do
those of lines 256 bytes apart, which with AVX2 would save a fifth."""
CROWDED = 2048
"""Rows of `left` that lie a multiple of so many bytes apart crowd a set whatever their number."""
WAYS = 8
"""Rows of `left` so far apart that a tile should have: a set of the nearest cache holds no more."""
AHEAD = 8
"""How many k in advance a panel of `right` is asked for that outgrows the nearest memory: it comes
from the next one for every tile of rows, line by line, and no hardware foresees that, as the lines
of a column are far apart. Where neighbours use the L2 as well, rates of
k = 512 rise by a tenth; where a panel is near, the requests would only cost (5 % of a leapfrog)."""
WORTH_TURNING = 4
"""Terms from which on blocks that lie along k are turned round rather than gathered."""


def problem_of(codelet: ContractOuter) -> Problem:
    lhs, rhs, exchanged = codelet.lhs, codelet.rhs, is_exchanged(codelet)
    left = Matrix(lhs.dtype, lhs.strides[-2], lhs.strides[-1])
    right = Matrix(rhs.dtype, rhs.strides[-1], rhs.strides[-2])
    rows, columns = codelet.m, codelet.n
    if exchanged:
        left, right, rows, columns = right, left, columns, rows
    sides = tuple(Side.of(operand, exchanged) for operand in (*codelet.beside, *codelet.outputs))
    arithmetic = Arithmetic(codelet.sum_dtype)
    expression = codelet.epilogue
    return Problem(
        rows, columns, codelet.k, left, right, sides, arithmetic, expression, codelet.leaf,
        codelet.paired,
    )  # fmt: skip


def is_exchanged(codelet: ContractOuter) -> bool:
    """Whether m is the better dimension for lanes than n."""
    m_step, n_step = codelet.out.strides[-2:]
    if codelet.n == 1 and codelet.m > 1:
        return True
    if codelet.paired:
        return m_step == 1 != n_step
    filled = codelet.n >= min(LANES, codelet.m)
    if filled and n_step == 1 != m_step and codelet.m >= WORTH_COPYING:
        return False  # the right operand is turned once, results would be for every tile
    contiguous = codelet.rhs.strides[-1] == 1 and (n_step == 1 or m_step != 1)
    return not (contiguous and filled) and codelet.lhs.strides[-2] == 1 and codelet.m > 1


def scratch(codelet: ContractOuter) -> int:
    """Bytes for copies of operands, where reading them as they lie costs more, and for sums."""
    problem = problem_of(codelet)
    if is_turned(problem):
        return 0
    return sum(copied(problem)) + chunks.scratch(in_words(problem) if problem.paired else problem)


def is_turned(problem: Problem) -> bool:
    """Whether blocks of right are turned round as they are read: few rows, columns along k."""
    along_k = problem.right.k_step == 1 and problem.right.step != 1 and problem.k >= WORTH_TURNING
    along_k = along_k and not problem.paired
    return along_k and problem.rows < WORTH_COPYING and problem.columns > 1


def has_near_sides(codelet: ContractOuter) -> bool:
    """Whether all that is read beside sums and all results lie along the lanes, or repeat."""
    return all(side.column_step in (0, 1) for side in problem_of(codelet).sides)


def copied(problem: Problem, registers: int = NARROW) -> tuple[int, int]:
    """Bytes of a copy of left and of right; 0: none. With few registers there may be more copies.

    The left one is read once for each panel of columns, the right one once for each tile of rows.
    """
    working, k = problem.arithmetic.dtype, problem.k
    if problem.paired:
        woven = is_woven(problem.left)
        return copied_words(problem.rows, k) if woven else 0, copied_words(problem.columns, k)
    left = problem.left.dtype != working and problem.columns >= WORTH_COPYING
    apart = APART[registers > NARROW]
    left = left or (problem.columns >= WORTH_SPREADING and _meet(problem, problem.left, apart))
    right = problem.right.dtype != working or problem.right.step != 1
    right = right and problem.rows >= WORTH_COPYING
    right = right or (problem.rows >= WORTH_SPREADING and _meet(problem, problem.right, apart))
    right = right and problem.columns > 1
    return (
        copied_bytes(problem.left, working, problem.rows, k) if left else 0,
        copied_bytes(problem.right, working, problem.columns, k, by_rows=True) if right else 0,
    )


def in_words(problem: Problem) -> Problem:
    """One in pairs as it is after the copies: a term is two."""
    left = problem.left
    rows, columns = (copied_step(WORD, n) for n in (problem.rows, problem.columns))
    return replace(
        problem,
        k=problem.k // 2,
        leaf=problem.leaf // 2,
        left=Matrix(WORD, 1, rows) if is_woven(left) else in_place(left),
        right=Matrix(WORD, 1, columns),
    )


def _meet(problem: Problem, matrix: Matrix, least: int) -> bool:
    """Whether a leaf's lines, so far apart at least, are more than the nearest cache holds."""
    pitch, terms = abs(matrix.k_step) * itemsize(matrix.dtype), min(problem.k, problem.leaf)
    apart = pitch & -pitch
    return matrix.step == 1 and terms > LANES and apart >= least and terms * apart > NEAR


def tiles_of(problem: Problem, width: int, registers: int) -> tiling.Tiling:
    """Tiles of rows and vectors of columns."""
    dtypes = problem.arithmetic.dtype, WORD if problem.paired else None
    apart = abs(problem.left.step) * itemsize(problem.left.dtype)
    return tiling.choose(
        problem.rows,
        -(-problem.columns // width),
        problem.k,
        registers,
        row_load=0.5 if problem.left.dtype in dtypes else 1.0,
        column_load=0.5 if problem.right.dtype in dtypes else 1.5,
        tallest=WAYS if apart % CROWDED == 0 else registers,
    )


def loops_of(codelet: ContractOuter, features: Features, near: int) -> tuple[int, int]:
    """In how many loops sums are taken, at least, and how many turns such a loop has."""
    problem = problem_of(codelet)
    problem = in_words(problem) if problem.paired else problem
    width = problem.arithmetic.lanes(features.vector_bits)
    plan, loops = tiles_of(problem, width, features.registers), 0
    turns = min(problem.k, problem.leaf)
    for _, count, lanes in panels(plan.columns, problem.columns, width):
        turns = min(turns, chunks.chunk(problem, plan.rows, lanes, near))
        loops += count * sum(run.count for run in plan.rows)
    return loops * (problem.k // max(turns, 1)) * prod(codelet.batch), turns


@frozen
class Reread:
    """A panel of `right` is read again for every tile of rows: so many `runs` of `size` bytes in
    all, each `step` bytes from the one before; after `rows` of them it is back at the first.
    `foreseen`: nothing waits for them; the code itself asks for them `ahead` in advance, or, at 0,
    they are near."""

    runs: int
    size: int
    step: int
    rows: int
    foreseen: bool
    ahead: int


def rereads(codelet: ContractOuter, features: Features, near: int) -> tuple[Reread, ...]:
    """What is read of `right`, or of its copy, beyond once; `near` is the nearest memory."""
    problem = problem_of(codelet)
    if is_turned(problem) or not codelet.out.size:
        return ()
    line = copied(problem, features.registers)[1] // max(problem.k, 1)
    width, item = problem.arithmetic.lanes(features.vector_bits), itemsize(problem.right.dtype)
    plan, found = tiles_of(problem, width, features.registers), []
    tiles = sum(run.count for run in plan.rows)
    for _, count, lanes in panels(plan.columns, problem.columns, width):
        step = line or abs(problem.right.k_step) * item
        rows = min(problem.k, chunks.chunk(problem, plan.rows, lanes, near))
        runs = (tiles - 1) * problem.k * count * prod(codelet.batch)
        size = (lanes[-1].start + lanes[-1].width) * item
        far = rows == problem.k and problem.k * size > near
        found.append(Reread(runs, size, step, rows, rows == problem.k, AHEAD if far else 0))
    return tuple(found)


@frozen
class SideBySide:
    """`loads` of single elements of `left`, from so many `rows` at a time, `step` bytes apart."""

    loads: int
    rows: int
    step: int


def left_loads(codelet: ContractOuter, features: Features) -> SideBySide:
    """How `left` is read, as it lies: each row's element for every k and panel of columns."""
    problem = problem_of(codelet)
    if is_turned(problem) or not codelet.out.size or copied(problem, features.registers)[0]:
        return SideBySide(0, 0, 0)
    width = problem.arithmetic.lanes(features.vector_bits)
    plan = tiles_of(problem, width, features.registers)
    times = sum(run.count for run in plan.columns) * prod(codelet.batch)
    step = abs(problem.left.step) * itemsize(problem.left.dtype)
    return SideBySide(problem.rows * problem.k * times, max(run.size for run in plan.rows), step)
