"""Blocks of 16 x 16 elements turned round in registers: contiguous rows to contiguous columns.

In: a matrix whose rows are contiguous. Out: its copy whose columns are, converted on the way if
need be. Always: four levels of shuffles; at the level h, element (i, j) and element (i ^ h, j ^ h)
change places where the bit h of i and j differ. Nothing outside of the matrix is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.base import LANES
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.vectors import kind_bits, offset, shuffle
from tilewright.frozen import frozen


@frozen
class Side:
    """One of the two matrices: dtype, and elements from line to line (along a line: 1)."""

    dtype: str
    step: int


def transpose(
    function: Function, given: Side, made: Side, rows: int, columns: int, source: str, target: str
) -> None:
    """Copy a matrix (none of its sizes 0) so that its columns are contiguous."""
    full, rest = divmod(rows, LANES)
    dtypes = [given.dtype, made.dtype]
    if full:
        steps = [[LANES * given.step], [LANES]]
        with walk(function, [full], [source, target], dtypes, steps) as (x, y):
            _band(function, given, made, LANES, columns, x, y)
    if rest:
        source = offset(function, source, given.dtype, full * LANES * given.step)
        target = offset(function, target, made.dtype, full * LANES)
        _band(function, given, made, rest, columns, source, target)


def _band(
    function: Function, given: Side, made: Side, rows: int, columns: int, source: str, target: str
) -> None:
    """Up to 16 rows."""
    full, rest = divmod(columns, LANES)
    if full:
        with repeat(function, full, [("ptr", source), ("ptr", target)]) as turn:
            here, there = turn.carry
            _block(function, given, made, rows, LANES, here, there)
            turn.next[0] = offset(function, here, given.dtype, LANES)
            turn.next[1] = offset(function, there, made.dtype, LANES * made.step)
        source, target = turn.result
    if rest:
        _block(function, given, made, rows, rest, source, target)


def _block(
    function: Function, given: Side, made: Side, rows: int, columns: int, source: str, target: str
) -> None:
    lines = ["zeroinitializer"] * LANES
    for row in range(rows):
        place = offset(function, source, given.dtype, row * given.step)
        value = vectors.load(function, given.dtype, place, 1, LANES, columns)
        if given.dtype != made.dtype:
            value = vectors.widen(function, value, given.dtype, made.dtype, LANES)
        lines[row] = value
    turned = turn_block(function, MEMORY_TYPE[made.dtype], lines)
    for column in range(columns):
        place = offset(function, target, made.dtype, column * made.step)
        vectors.store(function, made.dtype, turned[column], place, 1, LANES, rows)


def turn_block(
    function: Function, kind: str, lines: Sequence[str], half: int | None = None
) -> list[str]:
    """n vectors of n lanes (2^j): lane j of vector i becomes lane i of vector j.

    From the level `half` on, if those before it (n / 2 is the first) are done already.
    """
    lines, width = list(lines), len(lines)
    half = width // 2 if half is None else half
    while half:
        if half == 2 and kind_bits(kind) == 32:
            quads = [lines[i : i + 4] for i in range(0, width, 4)]
            return [line for quad in quads for line in _turn_quads(function, kind, width, quad)]
        for i in range(width):
            if not i & half:
                x, y = lines[i], lines[i + half]
                low = [j if not j & half else width + j - half for j in range(width)]
                high = [j + half if not j & half else width + j for j in range(width)]
                lines[i] = shuffle(function, kind, width, x, y, low)
                lines[i + half] = shuffle(function, kind, width, x, y, high)
        half //= 2
    return lines


def _turn_quads(function: Function, kind: str, width: int, lines: Sequence[str]) -> list[str]:
    """The last two levels of four lines of 32 bits: within 128 bits, neighbours interleaved twice.

    The same as by exchanging, for which a machine needs two shuffles at the last level.
    """
    low = [lane for i in range(0, width, 4) for lane in (i, width + i, i + 1, width + i + 1)]
    high = [lane + 2 for lane in low]

    def interleaved(x: str, y: str) -> list[str]:
        return [shuffle(function, kind, width, x, y, lanes) for lanes in (low, high)]

    even, odd = interleaved(lines[0], lines[2]), interleaved(lines[1], lines[3])
    return [line for x, y in zip(even, odd, strict=True) for line in interleaved(x, y)]
