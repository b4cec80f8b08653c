"""Rows of an image that are asked for while the row before is worked on.

In: an image whose rows are gone through in steps, some elements of its next row at each. Out: LLVM
text that asks for them in the order of memory. Convolutions go through a row group after group, so
that what they meet for the first time lies pixels apart, which hosts do not foresee. Always:
nothing but time hangs on it.
"""

from __future__ import annotations

from typing import Literal

from tilewright.codelets.base import Operand
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.vectors import itemsize, offset, prefetch
from tilewright.frozen import frozen

LINE = 64
"""Bytes."""
Use = Literal["read", "write"]


@frozen
class Ahead:
    """Rows of `image`, `down` elements apart, the next of which is `first` elements away; at each
    step `share` elements of it are asked for."""

    image: Operand
    first: int
    down: int
    share: int
    use: Use

    @staticmethod
    def of(image: Operand, rows: int, window: int, steps: int, use: Use) -> Ahead:
        """Of a window `window` rows high that moves by `rows`, each time in so many steps."""
        row, line = image.strides[1], LINE // itemsize(image.dtype)
        share = -(-rows * row // (steps * line)) * line
        return Ahead(image, window * row, rows * row, share, use)

    def ask(self, function: Function, place: str, part: int = 0, parts: int = 1) -> None:
        """For one of so many parts of a step's share."""
        dtype, line = self.image.dtype, LINE // itemsize(self.image.dtype)
        lines = self.share // line
        start, end = (lines * number // parts for number in (part, part + 1))
        if start < end:
            place = offset(function, place, dtype, start * line)
            prefetch(function, place, (end - start) * LINE, self.use)

    def ask_along(
        self, function: Function, place: str, number: str, terms: int, total: int
    ) -> None:
        """For the share of some terms, of so many in a step, from a number (a register) on."""
        nbytes = self.share * itemsize(self.image.dtype)
        scaled = function.let(f"mul i64 {number}, {nbytes}")
        place = function.address(place, "i8", function.let(f"udiv i64 {scaled}, {total}"))
        prefetch(function, place, -(-nbytes * terms // total), self.use)
