"""Chunk results combined in adjacent pairs, level by level, as they come.

In: results one after the other, numbered from 0. Out: their combination. A result with the number i
first closes as many levels as i has trailing ones, like a carry in a binary counter; what is left
open at the end are the levels of the count's ones, combined from the last to the first. That is the
same tree as pairing adjacent results level by level with an odd one passing on. Always: a level's
slot holds the combination of 2 ** level results; memory is one slot a level.
"""

from __future__ import annotations

from tilewright.codelets.combination import Combination
from tilewright.codelets.llvm import Function, vector


class Pairwise:
    """Several independent trees (of vectors of `width`, 0: scalars) that advance together.

    Make it before any loop is opened: its slots are reserved where the function begins.
    """

    def __init__(
        self, function: Function, combination: Combination, width: int, trees: int, count: int
    ):
        self.function = function
        self.combination = combination
        self.width = width
        self.trees = trees
        self.count = count
        self.row = vector(combination.register, width)
        self.slots = "%" + function.name("slots")
        levels = max(1, count.bit_length())
        function.do(f"{self.slots} = alloca [{levels * trees} x {self.row}], align 64")

    def push(self, number: str, results: list[str]) -> None:
        """Take the results with this number (an i64), one for each tree in use."""
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
        closed = [
            self._combine(self._load(level, tree), carry) for tree, carry in enumerate(carries)
        ]
        above = function.let(f"add i64 {level}, 1")
        function.do(f"br label %{head}")
        rows = [f"  {level} = phi i64 [ 0, %{before} ], [ {above}, %{close} ]"]
        rows += [
            f"  {carry} = phi {self.row} [ {result}, %{before} ], [ {following}, %{close} ]"
            for carry, result, following in zip(carries, results, closed, strict=True)
        ]
        function.lines[mark:mark] = rows
        function.label(done)
        for tree, carry in enumerate(carries):
            function.do(f"store {self.row} {carry}, ptr {self._slot(level, tree)}, align 8")

    def finish(self, trees: int) -> list[str]:
        """The combination of all `count` results in the first `trees` trees."""
        levels = [level for level in range(self.count.bit_length()) if self.count >> level & 1]
        totals = []
        for tree in range(trees):
            total = self._load(str(levels[0]), tree)
            for level in levels[1:]:
                total = self._combine(self._load(str(level), tree), total)
            totals.append(total)
        return totals

    def _combine(self, x: str, y: str) -> str:
        return self.combination.apply(self.function, self.width, x, y)

    def _slot(self, level: str, tree: int) -> str:
        row = self.function.let(f"mul i64 {level}, {self.trees}")
        index = self.function.let(f"add i64 {row}, {tree}")
        return self.function.address(self.slots, self.row, index)

    def _load(self, level: str, tree: int) -> str:
        return self.function.let(f"load {self.row}, ptr {self._slot(level, tree)}, align 8")
