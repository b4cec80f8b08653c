"""Blocks of up to 16 x 16 elements turned round in registers: contiguous rows become columns.

In: a matrix whose rows are contiguous. Out: its copy whose columns are, converted on the way if
need be. Always: levels of shuffles; at the level h, element (i, j) and element (i ^ h, j ^ h)
change places where the bit h of i and j differ. Nothing outside of the matrix is read.

Blocks of a shape are turned by one function of a program: 64 shuffles take LLVM 10 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.base import LANES
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import kind_bits, offset, shuffle
from tilewright.frozen import frozen

NARROWEST = 4
"""Lanes of a vector at least."""


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
            block(function, given, made, rows, LANES, here, there)
            turn.next[0] = offset(function, here, given.dtype, LANES)
            turn.next[1] = offset(function, there, made.dtype, LANES * made.step)
        source, target = turn.result
    if rest:
        block(function, given, made, rows, rest, source, target)


def block(
    function: Function, given: Side, made: Side, rows: int, columns: int, source: str, target: str
) -> None:
    """Turn up to 16 x 16 elements; source and target may be the same place."""
    symbol = f"turn_{given.dtype}_to_{made.dtype}_{rows}x{columns}"
    if symbol not in function.module.functions:
        turning = function.module.function(symbol, "void", ["ptr", "i64"] * 2)
        _write(turning, given.dtype, made.dtype, rows, columns)
    from_place = ("ptr", source), ("i64", str(given.step))
    to_place = ("ptr", target), ("i64", str(made.step))
    function.call("void", symbol, *from_place, *to_place)


def _write(function: Function, given: str, made: str, rows: int, columns: int) -> None:
    """The function that `block` calls: source, its step, target, its step.

    A block that is no square is several, which are turned at once: those of a tall one lie side by
    side in registers before, those of a wide one after.
    """
    tall, wide = _lanes(rows), _lanes(columns)
    kind, size = MEMORY_TYPE[made], min(tall, wide)
    read = _read(function, given, made, rows, columns)
    read += [Register(function, kind, wide, "poison")] * (tall - rows)
    lines = [_side_by_side(read[i::size]) for i in range(size)]
    turned = turn_block(function, kind, [line.name for line in lines], width=lines[0].width)
    place = "%a2"
    for column in range(columns):
        line = Register(function, kind, lines[0].width, turned[column % size])
        if tall < wide:
            first = column // size * size
            line = line.lanes([*range(first, first + size)])
        vectors.store(function, made, line.name, place, 1, tall, rows)
        place = offset(function, place, made, "%a3")
    function.close()


def _lanes(count: int) -> int:
    """Of a vector for so many elements: a power of two."""
    return max(NARROWEST, 1 << (count - 1).bit_length())


def _read(function: Function, given: str, made: str, rows: int, columns: int) -> list[Register]:
    """Rows of the source, converted."""
    lines, place, width = [], "%a0", _lanes(columns)
    for _ in range(rows):
        line = vectors.load(function, given, place, 1, width, columns)
        if given != made:
            line = vectors.widen(function, line, given, made, width)
        lines.append(Register(function, MEMORY_TYPE[made], width, line))
        place = offset(function, place, given, "%a1")
    return lines


def _side_by_side(parts: Sequence[Register]) -> Register:
    """One vector of 1, 2 or 4."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return _side_by_side(parts[:half]).beside(_side_by_side(parts[half:]))


def turn_block(
    function: Function,
    kind: str,
    lines: Sequence[str],
    half: int | None = None,
    width: int | None = None,
) -> list[str]:
    """n vectors of n lanes (2^j): lane j of vector i becomes lane i of vector j.

    From the level `half` on, if those before it (n / 2 is the first) are done already. Vectors of
    a `width` beyond n are so many squares side by side, each turned by itself.
    """
    lines, count = list(lines), len(lines)
    half, width = count // 2 if half is None else half, width or count
    while half:
        if half == 2 and kind_bits(kind) == 32:
            quads = [lines[i : i + 4] for i in range(0, count, 4)]
            return [line for quad in quads for line in _turn_quads(function, kind, width, quad)]
        for i in range(count):
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
