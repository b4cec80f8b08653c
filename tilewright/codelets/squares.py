"""Copies that turn rows into columns, by squares of 16 x 16 in registers.

In: pointers to a source whose rows are contiguous and to a target whose columns are. Out: the moves
of one square. Squares touch each cache line about once; moving element by element would touch a
line of the source for each element.
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.codelets import memory
from tilewright.codelets.base import LANES
from tilewright.codelets.collapse import Walk
from tilewright.codelets.llvm import MEMORY_TYPE, Function
from tilewright.codelets.transpose import turn_block
from tilewright.codelets.vectors import itemsize, offset


@dataclass(frozen=True)
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
    kind = MEMORY_TYPE[square.dtype]
    rows = []
    for j in range(LANES):
        place = offset(function, source, square.dtype, j * square.source_step)
        rows.append(memory.load_raw(function, square.dtype, place, LANES, 1))
    for i, column in enumerate(turn_block(function, kind, rows)):
        place = offset(function, target, square.dtype, i * square.target_step)
        memory.store_raw(function, square.dtype, column, place, LANES, 1)
