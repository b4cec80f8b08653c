"""Arrays that lie across the lanes, turned round by blocks of 16 x 16 on their way.

In: a walk whose last dimension lies in lanes, and arrays that are contiguous along another one.
Out: which arrays to turn about which dimension, and the moves between such an array and a block on
the stack, 16 elements a row, whose rows are in lanes. Always: only elements of the block are read
or written. Element by element each would touch a cache line of its own.
"""

from __future__ import annotations

from math import prod

from tilewright.codelets.base import LANES
from tilewright.codelets.collapse import Walk
from tilewright.codelets.elementwise.squares import move_block
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen

WORTH_TURNING = 8
"""Rows and columns of a block from which on turning it beats reading it one by one."""
WORTH_BLOCKS = 2048
"""Elements of a walk from which on they pay: less stays in an L1 however it is read."""


@frozen
class Turned:
    """The arrays (by position) that are contiguous along `dimension` and lie across the lanes."""

    dimension: int
    arrays: tuple[int, ...]


def turned_arrays(walk: Walk, count: int) -> Turned | None:
    """About the dimension that helps most of the first `count` arrays of the walk, if any does."""
    if prod(walk.sizes) < WORTH_BLOCKS or walk.sizes[-1] < WORTH_TURNING:
        return None
    across = [i for i in range(count) if abs(walk.steps[i][-1]) > 1]
    found = [
        Turned(d, tuple(i for i in across if walk.steps[i][d] == 1))
        for d, size in enumerate(walk.sizes[:-1])
        if size >= WORTH_TURNING
    ]
    best = max(found, key=lambda turned: len(turned.arrays), default=None)
    return best if best is not None and best.arrays else None


@frozen
class Block:
    """Element (row, column) of the array lies at row + column * step, on the stack at `slot`."""

    dtype: str
    step: int
    slot: str
    rows: int
    columns: int

    def read(self, function: Function, array: str) -> None:
        """From the array to the stack."""
        if self.rows == self.columns == LANES:
            move_block(function, self.dtype, array, self.step, self.slot, LANES)
            return
        for column in range(self.columns):
            place, line = self._places(function, array, column)
            value = memory.load_raw(function, self.dtype, place, LANES, 1, self.rows)
            memory.store_raw(function, self.dtype, value, line, LANES, 1)
        move_block(function, self.dtype, self.slot, LANES, self.slot, LANES)

    def write(self, function: Function, array: str) -> None:
        """From the stack to the array."""
        if self.rows == self.columns == LANES:
            move_block(function, self.dtype, self.slot, LANES, array, self.step)
            return
        move_block(function, self.dtype, self.slot, LANES, self.slot, LANES)
        for column in range(self.columns):
            place, line = self._places(function, array, column)
            value = memory.load_raw(function, self.dtype, line, LANES, 1)
            memory.store_raw(function, self.dtype, value, place, LANES, 1, self.rows)

    def _places(self, function: Function, array: str, column: int) -> tuple[str, str]:
        """Of a column in the array, and of a line on the stack."""
        place = offset(function, array, self.dtype, column * self.step)
        return place, offset(function, self.slot, self.dtype, column * LANES)


def reserve(function: Function, dtype: str) -> str:
    """A slot for one block; to be asked for at the beginning of the function."""
    return function.let(f"alloca [{LANES * LANES} x {MEMORY_TYPE[dtype]}], align 64")
