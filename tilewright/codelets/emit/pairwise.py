"""The tree of leaves: results combined in adjacent pairs, level by level, as they come.

In: results one after the other, numbered from 0. Out: their combination. A result with the number i
first closes as many levels as i has trailing ones, like a carry in a binary counter; what is left
open at the end are the levels of the count's ones, combined from the lowest to the highest. That is
the same tree as pairing adjacent results level by level with an odd one passing on. Always: a
level's slot holds the combination of 2 ** level results; memory is one slot a level. Slots are
volatile: LLVM would keep them in registers, and spill the sums of the next leaf in its loops (a
convolution of 5 x 5 x 16 terms ran at 0.43 of the peak with AVX2, at 0.9 since).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import kind_bits

Combine = Callable[[Function, int, str, str], str]
"""(function, width, x, y) -> the register that holds x combined with y."""


def levels(before: int) -> int:
    """Of slots, for so many results before the last."""
    return max(1, before.bit_length())


def pitch(kind: str, widths: Sequence[int]) -> int:
    """Bytes from one tree's slot to the next's."""
    return max(kind_bits(kind) * max(width, 1) // 8 for width in widths)


class Pairwise:
    """Several independent trees that advance together; each of vectors of its own width.

    `before` is how many results come before the last, which `finish` takes. Slots are reserved,
    unless there are some: a place, and bytes from one level's to the next's.
    """

    def __init__(
        self,
        function: Function,
        kind: str,
        widths: Sequence[int],
        combine: Combine,
        before: int,
        slots: tuple[str, int] | None = None,
    ):
        self.function = function
        self.widths = widths
        self.rows = [vector(kind, width) for width in widths]
        self.combine = combine
        self.before = before
        self.pitch = pitch(kind, widths)
        if slots is None:
            step = len(widths) * self.pitch
            slots = function.reserve("i8", levels(before) * step), step
        self.slots, self.step = slots

    def push(self, number: str, results: Sequence[str]) -> None:
        """Take the results with this number (an i64), one for each tree."""
        if number.isdigit():
            self._push_known(int(number), results)
        else:
            self._push(number, results)

    def _push_known(self, number: int, results: Sequence[str]) -> None:
        level = 0
        while number >> level & 1:
            results = self._joined(str(level), results)
            level += 1
        self._store(str(level), results)

    def _push(self, number: str, results: Sequence[str]) -> None:
        function, before = self.function, self.function.block
        head, close, done = (function.name(stem) for stem in ("head", "close", "done"))
        function.do(f"br label %{head}")
        function.label(head)
        level = "%" + function.name("level")
        carries = ["%" + function.name("carry") for _ in results]
        mark = len(function.lines)
        shifted = function.let(f"lshr i64 {number}, {level}")
        bit = function.let(f"trunc i64 {shifted} to i1")
        function.do(f"br i1 {bit}, label %{close}, label %{done}")
        function.label(close)
        closed = self._joined(level, carries)
        above = function.let(f"add i64 {level}, 1")
        function.do(f"br label %{head}")
        rows = [f"  {level} = phi i64 [ 0, %{before} ], [ {above}, %{close} ]"]
        rows += [
            f"  {carry} = phi {row} [ {result}, %{before} ], [ {following}, %{close} ]"
            for row, carry, result, following in zip(
                self.rows, carries, results, closed, strict=True
            )
        ]
        function.lines[mark:mark] = rows
        function.label(done)
        self._store(level, carries)

    def finish(self, last: Sequence[str]) -> list[str]:
        """The combination of all results, of which these are the last."""
        totals = list(last)
        for level in range(self.before.bit_length()):
            if self.before >> level & 1:
                totals = self._joined(str(level), totals)
        return totals

    def pushed(self) -> list[str]:
        """The combination of all results, where no last one comes after those `before`."""
        lowest, *above = [n for n in range(self.before.bit_length()) if self.before >> n & 1]
        totals = self._at(str(lowest))
        for level in above:
            totals = self._joined(str(level), totals)
        return totals

    def _joined(self, level: str, results: Sequence[str]) -> list[str]:
        """What lies at a level, combined with what came after it."""
        rows = zip(self.widths, self._at(level), results, strict=True)
        return [self.combine(self.function, width, old, result) for width, old, result in rows]

    def _at(self, level: str) -> list[str]:
        """What lies at a level."""
        return [
            self.function.let(f"load volatile {row}, ptr {self._slot(level, tree)}, align 4")
            for tree, row in enumerate(self.rows)
        ]

    def _store(self, level: str, results: Sequence[str]) -> None:
        for tree, (row, result) in enumerate(zip(self.rows, results, strict=True)):
            slot = self._slot(level, tree)
            self.function.do(f"store volatile {row} {result}, ptr {slot}, align 4")

    def _slot(self, level: str, tree: int) -> str:
        if level.isdigit():
            where = str(int(level) * self.step + tree * self.pitch)
        else:
            row = self.function.let(f"mul i64 {level}, {self.step}")
            where = self.function.let(f"add i64 {row}, {tree * self.pitch}")
        return self.function.address(self.slots, "i8", where)
