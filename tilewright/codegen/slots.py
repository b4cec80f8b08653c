"""The frame: what every function of a program is handed, as a table of 64-bit slots.

In: keys (a loop variable, or a name for something else that a worker must remember).
Out: the number of each key's slot, and lines that load and store slots and fields of the context.

Every worker has its own frame, on its stack. The first slots are those of `FRAME`; the others are
numbered as they are first asked for, and start at 0.
"""

from __future__ import annotations

from collections.abc import Hashable

from tilewright.codegen.context import FIELDS
from tilewright.codelets.emit.llvm import Function

FRAME = ("context", "shared", "tile", "inputs", "outputs", "worker", "cancel", "counters")


class Slots:
    """Slots by key; functions other than the entry have the frame as their argument `%a0`."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self.numbers

    def __len__(self) -> int:
        return len(FRAME) + len(self.numbers)

    def number(self, key: Hashable) -> int:
        """The key's slot; a new one when it has none."""
        return self.numbers.setdefault(key, len(self))

    def load(self, function: Function, slot: int, kind: str = "i64") -> str:
        return function.let(f"load {kind}, ptr {function.address('%a0', 'i64', slot)}")

    def store(
        self, function: Function, slot: int, kind: str, value: str, frame: str = "%a0"
    ) -> None:
        function.do(f"store {kind} {value}, ptr {function.address(frame, 'i64', slot)}")

    def fixed(self, function: Function, name: str) -> str:
        """One of `FRAME`, which never change: loaded once, at the function's beginning."""
        at = function.known(f"getelementptr i64, ptr %a0, i64 {FRAME.index(name)}")
        return function.known(f"load {'i64' if name == 'worker' else 'ptr'}, ptr {at}")

    def context(self, function: Function, name: str, kind: str = "i64") -> str:
        """A field of the context."""
        address = function.address(self.fixed(function, "context"), "i64", FIELDS[name])
        return function.let(f"load {kind}, ptr {address}")

    def allocate(self, function: Function) -> str:
        """In the entry (context `%a0`, worker `%a1`): a filled frame. Ask for no slot after it."""
        frame = function.let(f"alloca [{len(self)} x i64], align 64")
        for slot in range(len(FRAME), len(self)):
            self.store(function, slot, "i64", "0", frame)

        def fill(name: str, kind: str, value: str) -> None:
            self.store(function, FRAME.index(name), kind, value, frame)

        fill("context", "ptr", "%a0")
        fill("worker", "i64", "%a1")
        for name in ("shared", "inputs", "outputs", "cancel"):
            fill(name, "ptr", given(function, name, "ptr"))
        fill("tile", "ptr", _own(function, "tile_arenas", "tile_arena_stride"))
        fill("counters", "ptr", _own(function, "trips", "trips_stride"))
        return frame


def _own(function: Function, table: str, stride: str) -> str:
    """In the entry: the worker's part of a table of all workers' parts, `stride` bytes each."""
    skip = function.let(f"mul i64 %a1, {given(function, stride, 'i64')}")
    return function.address(given(function, table, "ptr"), "i8", skip)


def given(function: Function, name: str, kind: str) -> str:
    """In the entry: a field of the context."""
    at = function.address("%a0", "i64", FIELDS[name])
    return function.let(f"load {kind}, ptr {at}")
