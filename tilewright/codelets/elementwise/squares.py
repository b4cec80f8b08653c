"""Copies that turn rows into columns, by squares of 16 x 16 in registers.

In: pointers to a source whose rows are contiguous and to a target whose columns are. Out: the moves
of one square. Squares touch each cache line about once; moving element by element would touch a
line of the source for each element.
"""

from __future__ import annotations

from tilewright.codelets.base import LANES
from tilewright.codelets.elementwise.collapse import Walk
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.turn import turn_block
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen


@frozen
class Square:
    """Source element (i, j) lies at i + j * source_step, its target at i * target_step + j."""

    dtype: str
    source_step: int
    target_step: int


def square_of(walk: Walk, dtype: str) -> tuple[int, Square] | None:
    """For a walk of (source, target): the dimension i of the squares, j being the last.

    None where squares do not apply, or would not pay.
    """
    source, target = walk.steps
    if len(walk.sizes) < 2 or walk.sizes[-1] < LANES or itemsize(dtype) > 4:
        return None
    if target[-1] != 1 or abs(source[-1]) <= 1:
        return None
    for i, size in enumerate(walk.sizes[:-1]):
        if source[i] == 1 and size >= LANES:
            return i, Square(dtype, source[-1], target[i])
    return None


def copy_square(function: Function, square: Square, source: str, target: str) -> None:
    """Move 16 x 16 elements."""
    move_block(function, square.dtype, source, square.source_step, target, square.target_step)


def move_block(
    function: Function, dtype: str, source: str, source_step: int, target: str, target_step: int
) -> None:
    """Element j of line i of the source becomes element i of line j of the target; or in place.

    In a function of its own, once a program: 64 shuffles take LLVM 10 ms.
    """
    symbol = f"move_block_{dtype}"
    if symbol not in function.module.functions:
        _write_move(function.module.function(symbol, "void", ["ptr", "i64"] * 2), dtype)
    given = [("ptr", source), ("i64", str(source_step))]
    made = [("ptr", target), ("i64", str(target_step))]
    function.call("void", symbol, *given, *made)


def _write_move(function: Function, dtype: str) -> None:
    """The function `move_block` calls: source, its step, target, its step."""
    rows, place = [], "%a0"
    for _ in range(LANES):
        rows.append(memory.load_raw(function, dtype, place, LANES, 1))
        place = offset(function, place, dtype, "%a1")
    place = "%a2"
    for column in turn_block(function, MEMORY_TYPE[dtype], rows):
        memory.store_raw(function, dtype, column, place, LANES, 1)
        place = offset(function, place, dtype, "%a3")
    function.close()
