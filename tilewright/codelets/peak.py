"""Loops that reach one limit of a core and nothing else: what other codelets are measured against.

    PeakFma    multiply-adds on registers only; divide `work.flops` by the time
    PeakChain  additions that wait for each other: one a cycle, whatever the core
    PeakRead   reads of one block of memory over and over: L1, L2 or L3 by its size
    PeakJump   the same by panels, two lines of each row: what going on elsewhere takes

In and out: a few vectors, so that nothing can be left out of the loops.
"""

from __future__ import annotations

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Module, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.frozen import frozen
from tilewright.graph.fma import fma32
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.cost import Count

_CHAINS = 12
"""Sums that do not wait for one another: more than latency times units (4 * 2), fewer than 16."""
_STEPS = 8
"""Of a chain, in one turn."""
_STREAMS = 8
"""Vectors read in one turn of the read loop."""
_ROW = 1024 + LANES
"""Elements from row to row: a page and a line, so that rows do not meet in one set of a cache."""


@frozen
class PeakFma(Codelet):
    """`turns` times, 12 sums of 16 lanes take x * y. Input (2, 16): x and y; output (12, 16)."""

    dtype: str
    turns: int

    @property
    def name(self) -> str:
        return f"peak_fma_{self.dtype}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (Operand(self.dtype, (2, LANES), (LANES, 1)),)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (Operand(self.dtype, (_CHAINS, LANES), (LANES, 1)),)

    @property
    def work(self) -> Count:
        return Count(macs={self.dtype: _CHAINS * LANES * self.turns})

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, y = arrays[0]
        total = np.zeros(LANES, numpy_dtype(self.dtype))
        for _ in range(self.turns):
            total = fma32(x, y, total) if self.dtype == "float32" else x * y + total
        return (np.tile(total, (_CHAINS, 1)),)

    def emit(self, module: Module, symbol: str) -> None:
        arithmetic = Arithmetic(self.dtype)
        width = arithmetic.lanes(module.features.vector_bits)
        function = module.function(symbol, "void", ["ptr"] * 2)
        given, out = function.argument(0), function.argument(1)
        for part in range(0, LANES, width):
            x, y = (
                vectors.load(
                    function, self.dtype, vectors.offset(function, given, self.dtype, at), 1, width
                )
                for at in (part, LANES + part)
            )
            row = (vector(arithmetic.kind, width), arithmetic.zero)
            with repeat(function, self.turns, [row] * _CHAINS) as turn:
                turn.next[:] = [
                    arithmetic.multiply_add(function, width, x, y, total) for total in turn.carry
                ]
            for i, total in enumerate(turn.result):
                target = vectors.offset(function, out, self.dtype, i * LANES + part)
                vectors.store(function, self.dtype, total, target, 1, width)
        function.close()


@frozen
class PeakChain(Codelet):
    """`turns` times eight steps of x = (x + first) ^ 3, on one integer: 16 cycles a turn.

    What is added lies in a register: some cores add small constants as they rename registers, in no
    time (Intel's since Golden Cove, which came out at twice their clock).
    """

    turns: int

    @property
    def name(self) -> str:
        return "peak_chain"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (Operand("int64", (), ()),)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (Operand("int64", (), ()),)

    @property
    def work(self) -> Count:
        each = _STEPS * self.turns
        return Count(operations={("add", "int64"): each, ("xor", "int64"): each})

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x = first = np.array(arrays[0], np.int64).reshape(1)  # an array's sums wrap around
        for _ in range(_STEPS * self.turns):
            x = (x + first) ^ 3
        return (x.reshape(()),)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 2)
        first = function.let(f"load i64, ptr {function.argument(0)}")
        with repeat(function, self.turns, [("i64", first)]) as turn:
            (x,) = turn.carry
            for _ in range(_STEPS):
                x = function.let(f"xor i64 {function.let(f'add i64 {x}, {first}')}, 3")
            turn.next[0] = x
        function.do(f"store i64 {turn.result[0]}, ptr {function.argument(1)}")
        function.close()


@frozen
class PeakRead(Codelet):
    """`turns` times, a block of int32 (a multiple of 128 long) is read and summed by lanes."""

    size: int
    turns: int

    @property
    def name(self) -> str:
        return f"peak_read_{4 * self.size}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (Operand("int32", (self.size,), (1,)),)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (Operand("int32", (LANES,), (1,)),)

    @property
    def work(self) -> Count:
        return Count(loads=4 * self.size * self.turns)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        sums = arrays[0].reshape(-1, LANES).sum(axis=0, dtype=np.int32)
        return ((sums * np.int32(self.turns)).astype(np.int32),)

    def emit(self, module: Module, symbol: str) -> None:
        arithmetic = Arithmetic("int32")
        width = arithmetic.lanes(module.features.vector_bits)
        function = module.function(symbol, "void", ["ptr"] * 2)
        carry = [(vector("i32", width), "zeroinitializer")] * _STREAMS
        with repeat(function, self.turns, carry) as turn:
            start = [("ptr", function.argument(0))]
            inner = list(zip([kind for kind, _ in carry], turn.carry, strict=True))
            with repeat(function, self.size // (_STREAMS * width), start + inner) as step:
                place, *sums = step.carry
                for i, total in enumerate(sums):
                    where = vectors.offset(function, place, "int32", i * width)
                    value = vectors.load(function, "int32", where, 1, width)
                    step.next[1 + i] = arithmetic.add(function, width, total, value)
                step.next[0] = vectors.offset(function, place, "int32", _STREAMS * width)
            turn.next[:] = step.result[1:]
        parts = LANES // width
        for part in range(parts):
            total, *others = turn.result[part::parts]
            for other in others:
                total = arithmetic.add(function, width, total, other)
            target = vectors.offset(function, function.argument(1), "int32", part * width)
            vectors.store(function, "int32", total, target, 1, width)
        function.close()


@frozen
class PeakJump(Codelet):
    """`turns` times, a block of int32 is read in panels: two lines of each row, row after row.

    Rows are `_ROW` elements apart, a page and a line: that is how a product reads a matrix of which
    it needs some columns at a time.
    """

    rows: int
    turns: int

    @property
    def name(self) -> str:
        return f"peak_jump_{self.rows}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (Operand("int32", (self.rows, _ROW), (_ROW, 1)),)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (Operand("int32", (LANES,), (1,)),)

    @property
    def jumps(self) -> int:
        """How often it goes on elsewhere."""
        return self.rows * (_ROW // (2 * LANES)) * self.turns

    @property
    def work(self) -> Count:
        return Count(loads=8 * LANES * self.jumps)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        read = arrays[0][:, : _ROW // (2 * LANES) * 2 * LANES]
        sums = read.reshape(-1, LANES).sum(axis=0, dtype=np.int32)
        return ((sums * np.int32(self.turns)).astype(np.int32),)

    def emit(self, module: Module, symbol: str) -> None:
        arithmetic = Arithmetic("int32")
        width = arithmetic.lanes(module.features.vector_bits)
        function = module.function(symbol, "void", ["ptr"] * 2)
        streams = 2 * LANES // width
        zero = (vector("i32", width), "zeroinitializer")
        with repeat(function, self.turns, [zero] * streams) as turn:
            start = [("ptr", function.argument(0))]
            sums = [(zero[0], total) for total in turn.carry]
            with repeat(function, _ROW // (2 * LANES), start + sums) as panel:
                here, *totals = panel.carry
                inner = [("ptr", here), *((zero[0], total) for total in totals)]
                with repeat(function, self.rows, inner) as row:
                    place, *totals = row.carry
                    for i, total in enumerate(totals):
                        where = vectors.offset(function, place, "int32", i * width)
                        value = vectors.load(function, "int32", where, 1, width)
                        row.next[1 + i] = arithmetic.add(function, width, total, value)
                    row.next[0] = vectors.offset(function, place, "int32", _ROW)
                panel.next[1:] = row.result[1:]
                panel.next[0] = vectors.offset(function, here, "int32", 2 * LANES)
            turn.next[:] = panel.result[1:]
        parts = LANES // width
        for part in range(parts):
            total, *others = turn.result[part::parts]
            for other in others:
                total = arithmetic.add(function, width, total, other)
            target = vectors.offset(function, function.argument(1), "int32", part * width)
            vectors.store(function, "int32", total, target, 1, width)
        function.close()
