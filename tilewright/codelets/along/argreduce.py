"""Where along an axis the greatest or the least element is.

In: a strided array. Out: an index for each line along the axis. Always: the first of equals; a
NaN wins, the first of them. Which elements are compared first does not matter, so lines that are
contiguous are read 16 elements at a time, and neighbouring lines 16 lines at a time.
"""

from __future__ import annotations

import numpy as np

from tilewright.codelets.along.lines import lines
from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, Module, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import (
    FLOATS,
    constants,
    kind_bits,
    load,
    load_scalar,
    offset,
    shuffle,
    splat,
    splat_constant,
    store,
    store_scalar,
    widen,
)
from tilewright.frozen import frozen
from tilewright.graph.law import accumulation_dtype
from tilewright.graph.ops.across import argreduce
from tilewright.machine.cost import Count


@frozen
class ArgReduce(Codelet):
    """`kind` is argmax or argmin; `out` lacks the axis and is of any integer dtype."""

    kind: str
    axis: int
    source: Operand
    out: Operand

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.source.label}_along_{self.axis}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.source,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (argreduce(*arrays, kind=self.kind, axis=self.axis, dtype=self.out.dtype),)

    @property
    def work(self) -> Count:
        work = {(self.kind, self.source.dtype): self.source.size}
        return Count({}, work, nbytes(self.source), nbytes(self.out), self.out.size)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr", "ptr"])
        if self.out.size and self.source.size:
            base = [function.argument(0), function.argument(1)]
            operands, axes = (self.source, self.out), (self.axis, None)
            lines(function, operands, axes, base, self._line, together=not self._along)
        function.close()

    @property
    def length(self) -> int:
        return self.source.shape[self.axis]

    @property
    def _along(self) -> bool:
        """Whether 16 elements of one line are compared at once."""
        return self.source.strides[self.axis] == 1 and self.length >= 2 * LANES

    def _line(self, function: Function, pointers: list[str], valid: int) -> None:
        source, target = pointers
        search = _Search(function, self)
        if self._along:
            index = search.along(source)
        else:
            _, index = search.one_by_one(source, valid, 0, self.length, None)
        search.store(index, target, valid)


@frozen
class _Search:
    """The best so far and where it was: a pair of registers, scalars or 16 lanes."""

    function: Function
    codelet: ArgReduce

    @property
    def dtype(self) -> str:
        return self.codelet.source.dtype

    @property
    def wide(self) -> str:
        return accumulation_dtype(self.dtype)

    @property
    def index_kind(self) -> str:
        return "i32" if self.codelet.length < 1 << 31 else "i64"

    def types(self, width: int) -> tuple[str, str]:
        return vector(MEMORY_TYPE[self.wide], width), vector(self.index_kind, width)

    def load(self, pointer: str, valid: int) -> str:
        if not valid:
            value = load_scalar(self.function, self.dtype, pointer)
            return widen(self.function, value, self.dtype, self.wide, 0)
        value = load(self.function, self.dtype, pointer, 1, LANES, valid)
        return widen(self.function, value, self.dtype, self.wide, LANES)

    def better(self, width: int, x: str, best: str) -> str:
        """Whether x beats what is best; a NaN beats all but a NaN."""
        row, _ = self.types(width)
        relation = "gt" if self.codelet.kind == "argmax" else "lt"
        if self.wide not in FLOATS:
            sign = "s" if self.wide.startswith("int") else "u"
            return self.function.let(f"icmp {sign}{relation} {row} {x}, {best}")
        beats = self.function.let(f"fcmp u{relation} {row} {x}, {best}")
        number = self.function.let(f"fcmp ord {row} {best}, {best}")
        return self.function.let(f"and {vector('i1', width)} {beats}, {number}")

    def choose(
        self, width: int, which: str, new: tuple[str, str], old: tuple[str, str]
    ) -> tuple[str, str]:
        flags = vector("i1", width)
        best, index = (
            self.function.let(f"select {flags} {which}, {kind} {a}, {kind} {b}")
            for kind, a, b in zip(self.types(width), new, old, strict=True)
        )
        return best, index

    def one_by_one(
        self, pointer: str, valid: int, start: int, stop: int, best: tuple[str, str] | None
    ) -> tuple[str, str]:
        """Elements start ... stop of a line, or of neighbouring ones; later ones must be better."""
        function, width = self.function, LANES if valid else 0
        step = self.codelet.source.strides[self.codelet.axis]
        if best is None:
            zero = "zeroinitializer" if width else "0"
            best, start = (self.load(pointer, valid), zero), start + 1
        if start >= stop:
            return best
        here = offset(function, pointer, self.dtype, start * step)
        carry = [*zip(self.types(width), best, strict=True), ("ptr", here)]
        with repeat(function, stop - start, carry) as turn:
            *before, here = turn.carry
            x, index = self.load(here, valid), self._index(turn.index, start, width)
            beats = self.better(width, x, before[0])
            chosen = self.choose(width, beats, (x, index), (before[0], before[1]))
            turn.next[:] = [*chosen, offset(function, here, self.dtype, step)]
        return turn.result[0], turn.result[1]

    def _index(self, turn: str, start: int, width: int) -> str:
        index = self.function.let(f"add i64 {turn}, {start}")
        if self.index_kind != "i64":
            index = self.function.let(f"trunc i64 {index} to {self.index_kind}")
        return splat(self.function, self.index_kind, width, index) if width else index

    def along(self, pointer: str) -> str:
        """A contiguous line: lane l sees elements l, l + 16, ...; then the lanes, then the rest."""
        function, kind, (row, indices) = self.function, self.index_kind, self.types(LANES)
        whole = self.codelet.length // LANES
        first = constants(kind, range(LANES))
        step = splat_constant(kind, LANES, LANES)
        carry = [(row, self.load(pointer, LANES)), (indices, first), (indices, first)]
        carry += [("ptr", offset(function, pointer, self.dtype, LANES))]
        with repeat(function, whole - 1, carry) as turn:
            best, where, index, here = turn.carry
            x = self.load(here, LANES)
            index = function.let(f"add {indices} {index}, {step}")
            chosen = self.choose(LANES, self.better(LANES, x, best), (x, index), (best, where))
            turn.next[:] = [*chosen, index, offset(function, here, self.dtype, LANES)]
        best = self._across_lanes(turn.result[0], turn.result[1])
        return self.one_by_one(pointer, 0, whole * LANES, self.codelet.length, best)[1]

    def _across_lanes(self, best: str, index: str) -> tuple[str, str]:
        """The best lane; of equal ones that with the least index."""
        function, (row, indices) = self.function, self.types(LANES)
        kind, flags = MEMORY_TYPE[self.wide], vector("i1", LANES)
        for half in (8, 4, 2, 1):
            picks = [lane ^ half for lane in range(LANES)]
            x = shuffle(function, kind, LANES, best, best, picks)
            place = shuffle(function, self.index_kind, LANES, index, index, picks)
            beaten = self.better(LANES, best, x)
            earlier = function.let(f"icmp ult {indices} {place}, {index}")
            tie = function.let(
                f"select {flags} {beaten}, {flags} zeroinitializer, {flags} {earlier}"
            )
            takes = function.let(f"or {flags} {self.better(LANES, x, best)}, {tie}")
            best, index = self.choose(LANES, takes, (x, place), (best, index))
        scalar = function.let(f"extractelement {row} {best}, i64 0")
        return scalar, function.let(f"extractelement {indices} {index}, i64 0")

    def store(self, index: str, pointer: str, valid: int) -> None:
        function, width, dtype = self.function, LANES if valid else 0, self.codelet.out.dtype
        source, target = self.index_kind, MEMORY_TYPE[dtype]
        if source != target:
            operation = "trunc" if kind_bits(source) > kind_bits(target) else "zext"
            index = function.let(
                f"{operation} {vector(source, width)} {index} to {vector(target, width)}"
            )
        if valid:
            store(function, dtype, index, pointer, 1, LANES, valid)
        else:
            store_scalar(function, dtype, index, pointer)
