"""Bytes that are asked for while a product is computed: its own next panels, or what a vertex after
it reads from afar.

In: places of arrays, and in how many loops of how many turns a product's sums are taken. Out: LLVM
text that asks for a few bytes a turn, each loop going on with the next array where it was left.
Products leave the way from the caches beyond the nearest alone; elementwise vertices wait for
nothing else. Always: nothing but time hangs on it.

(An LSTM's way back, 64 x 128 units and 128 steps, reads 224 KB a step that were written long ago:
its derivatives take 3.8 us for 10.2 where the gradient of the weights before them asks.)
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.llvm import Function


class Ahead:
    """`step` bytes a turn from a place on; see `Strand`."""

    def __init__(self, function: Function, place: str, step: int):
        self.function, self.place, self.step = function, place, step

    @property
    def carry(self) -> list[tuple[str, str]]:
        return [("ptr", self.place)]

    def stepped(self, values: Sequence[str]) -> list[str]:
        (place,) = values
        vectors.prefetch(self.function, place, self.step, into="L2")
        return [self.function.address(place, "i8", self.step)]

    def take(self, values: Sequence[str], turns: int) -> None:
        (self.place,) = values


class Asking:
    """`nbytes` from each of `places` on; see `Strand`."""

    def __init__(
        self,
        function: Function,
        places: Sequence[str],
        nbytes: Sequence[int],
        loops: int,
        turns: int,
    ):
        self.function, self.count = function, len(places)
        each = max(1, loops // self.count) * turns
        self.step = -(-max(nbytes) // each)
        self.slots, self.turn = function.reserve("ptr", self.count), function.reserve("i64", 1)
        for number, place in enumerate(places):
            function.do(f"store ptr {place}, ptr {function.address(self.slots, 'ptr', number)}")
        function.do(f"store i64 0, ptr {self.turn}")

    @property
    def carry(self) -> list[tuple[str, str]]:
        """Where the array whose turn it is was left."""
        return [("ptr", self.function.let(f"load ptr, ptr {self._slot()[1]}"))]

    def stepped(self, values: Sequence[str]) -> list[str]:
        (place,) = values
        vectors.prefetch(self.function, place, self.step, into="L2")
        return [self.function.address(place, "i8", self.step)]

    def take(self, values: Sequence[str]) -> None:
        """After a loop: the next array's turn."""
        (place,), (number, slot) = values, self._slot()
        self.function.do(f"store ptr {place}, ptr {slot}")
        after = self.function.let(f"add i64 {number}, 1")
        last = self.function.let(f"icmp eq i64 {after}, {self.count}")
        after = self.function.let(f"select i1 {last}, i64 0, i64 {after}")
        self.function.do(f"store i64 {after}, ptr {self.turn}")

    def _slot(self) -> tuple[str, str]:
        number = self.function.let(f"load i64, ptr {self.turn}")
        return number, self.function.address(self.slots, "ptr", number)
