"""Copies that turn rows into columns, by squares of 16 x 16 in registers.

In: pointers to a source whose rows are contiguous and to a target whose columns are. Out: the moves
of one square. Squares touch each cache line about once; moving element by element would touch a
line of the source for each element.
"""

from __future__ import annotations

from tilewright.codelets.base import LANES
from tilewright.codelets.collapse import Walk
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.turn import Side, block
from tilewright.codelets.emit.vectors import itemsize
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
    """Element j of line i of the source becomes element i of line j of the target; or in place."""
    given, made = Side(dtype, source_step), Side(dtype, target_step)
    block(function, given, made, LANES, LANES, source, target)
