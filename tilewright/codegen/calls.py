"""Calls of codelets: where their operands lie, and each codelet's function, written once.

In: a codelet and its views. Out: lines that compute the views' addresses from the frame, and the
call; the codelets' own functions in the module.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen.clocks import Clocks
from tilewright.codegen.slots import Slots
from tilewright.codelets.base import Codelet
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import Buffer, Program, Var, View


def ring(var: Var) -> tuple[str, Var]:
    """The key of the slot with an instance's place in the ring: see `codegen/context.py`."""
    return ("ring", var)


class Calls:
    """`rings` are the outputs that lie in a ring, where a map's variable counts places there."""

    def __init__(
        self, program: Program, rings: set[Buffer], module: Module, slots: Slots, clocks: Clocks
    ):
        self.offsets, self.rings = program.offsets, rings
        self.constants = sum(b.space == "constant" for b in program.inputs)
        self.module, self.slots, self.clocks = module, slots, clocks
        self.symbols: dict[Codelet, str] = {}

    def call(self, function: Function, codelet: Codelet, views: Sequence[View]) -> None:
        addresses = [("ptr", self.address(function, view)) for view in views]
        symbol = self.symbol(codelet)
        with self.clocks.codelet(function, symbol):
            function.call("void", symbol, *addresses)

    def symbol(self, codelet: Codelet) -> str:
        """Of the codelet's own function."""
        if codelet not in self.symbols:
            symbol = f"{codelet.name}_{len(self.symbols)}"
            self.symbols[codelet] = symbol
            codelet.emit(self.module, symbol)
        return self.symbols[codelet]

    def address(self, function: Function, view: View) -> str:
        """Of the view's first element, for the present values of the loop variables."""
        buffer = view.buffer
        itemsize = numpy_dtype(buffer.dtype).itemsize
        if buffer.space in ("shared", "tile"):
            base = self.slots.fixed(function, buffer.space)
            offset = self.offsets[buffer] + view.offset * itemsize
        else:
            base = self._array(function, buffer)
            offset = view.offset * itemsize
        address = function.address(base, "i8", offset) if offset else base
        for var, step in view.moves:
            in_ring = ring(var) in self.slots and buffer in self.rings
            slot = self.slots.number(ring(var) if in_ring else var)
            index = self.slots.load(function, slot)
            address = function.address(
                address, "i8", function.let(f"mul i64 {index}, {step * itemsize}")
            )
        return address

    def _array(self, function: Function, buffer: Buffer) -> str:
        side = "outputs" if buffer.space == "output" else "inputs"
        index = buffer.index + (self.constants if buffer.space == "input" else 0)
        array = self.slots.fixed(function, side)
        at = function.known(f"getelementptr ptr, ptr {array}, i64 {index}")
        return function.known(f"load ptr, ptr {at}")
