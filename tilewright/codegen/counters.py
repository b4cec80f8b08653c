"""Counters that the host reads while a program runs: turns of loops, and a profile's ticks.

In: the name of what is to be counted. Out: its number, and lines that add to it. Every worker has a
row of counters to itself, so nothing is locked.
"""

from __future__ import annotations

from tilewright.codegen.slots import Slots
from tilewright.codelets.emit.llvm import Function


class Counters:
    """`names` are the counters' in the order of their numbers.

    `turns` has the names of those that count the turns of a `While`, by the step's id.
    """

    def __init__(self, slots: Slots):
        self.slots = slots
        self.names: list[str] = []
        self.turns: dict[int, str] = {}

    def new(self, name: str, step: object = None) -> int:
        self.names.append(name)
        if step is not None:
            self.turns[id(step)] = name
        return len(self.names) - 1

    def row(self, function: Function) -> str:
        """The address of this worker's counters."""
        return self.slots.fixed(function, "counters")

    def add(self, function: Function, counter: int, amount: str = "1") -> None:
        at = function.address(self.row(function), "i64", counter)
        value = function.let(f"load i64, ptr {at}")
        function.do(f"store i64 {function.let(f'add i64 {value}, {amount}')}, ptr {at}")
