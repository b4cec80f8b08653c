"""Sorting along an axis: all operands in the lexicographic order of the first few, stably.

In: strided operands of one shape; the keys are integers. Out: as many, permuted. Always: equal
keys stay in order. What is sorted are numbers in scratch memory: for one key of 32 bits or less
that key above its position, in 64 bits (so that comparing needs nothing else); else positions,
compared by their keys.
"""

from __future__ import annotations

import numpy as np

from tilewright.codelets.along.lines import lines
from tilewright.codelets.along.merge_sort import add_merge_sort
from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, Module
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import itemsize, load_scalar, offset, store_scalar
from tilewright.frozen import frozen
from tilewright.graph.ops.across import sort
from tilewright.machine.cost import Count

_PACKED = "merge_sort_packed"
_HIGH_BIT = -(1 << 31)


@frozen
class Sort(Codelet):
    """`sources` and `outs` are of one shape; the first `keys` decide."""

    sources: tuple[Operand, ...]
    outs: tuple[Operand, ...]
    dimension: int
    keys: int

    @property
    def name(self) -> str:
        count = len(self.sources)
        return f"sort_{count}_by_{self.keys}_{self.sources[0].label}_along_{self.dimension}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return self.sources

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return self.outs

    @property
    def length(self) -> int:
        return self.sources[0].shape[self.dimension]

    @property
    def packed(self) -> bool:
        """Whether a key and its position fit in 64 bits."""
        return self.keys == 1 and itemsize(self.sources[0].dtype) <= 4

    @property
    def scratch(self) -> int:
        """Two arrays for one line."""
        return 2 * self.length * (8 if self.packed else 4) if self.sources[0].size else 0

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(sort(*arrays, dimension=self.dimension, keys=self.keys))

    @property
    def work(self) -> Count:
        first = self.sources[0]
        compared = first.size * max(self.length - 1, 0).bit_length()
        lines = first.size // max(self.length, 1)
        work = {("sort", first.dtype): compared}
        return Count({}, work, nbytes(*self.sources), nbytes(*self.outs), lines)

    def emit(self, module: Module, symbol: str) -> None:
        count = len(self.sources)
        function = module.function(symbol, "void", ["ptr"] * (2 * count + (self.scratch > 0)))
        if self.scratch:
            assert self.length < 1 << 31
            self._sorter(module, symbol)
            base = [function.argument(i) for i in range(2 * count)]
            operands, axes = (*self.sources, *self.outs), [self.dimension] * 2 * count
            work = _Line(self, function, symbol, function.argument(2 * count))
            lines(
                function, operands, axes, base, lambda _, at, valid: work.write(at), together=False
            )
        function.close()

    def _sorter(self, module: Module, symbol: str) -> None:
        """The function that sorts one line's numbers."""
        if self.packed:
            add_merge_sort(module, _PACKED, "i64", 8, lambda x, y: f"icmp slt i64 {x}, {y}")
            return
        keys = "".join(f", ptr %key{i}" for i in range(self.keys))
        self._less(module, f"{symbol}_less")
        add_merge_sort(
            module,
            f"{symbol}_sort",
            "i32",
            4,
            lambda x, y: f"call i1 @{symbol}_less(i32 {x}, i32 {y}{keys})",
            keys,
            calls=[f"{symbol}_less"],
        )

    def _less(self, module: Module, symbol: str) -> None:
        """Whether position x comes before y: by the first key that differs."""
        kinds = ["i32", "i32"] + ["ptr"] * self.keys
        function = module.function(symbol, "i1", kinds, "alwaysinline nounwind")
        positions = [function.let(f"sext i32 {function.argument(i)} to i64") for i in range(2)]
        result = "false"
        for number in reversed(range(self.keys)):
            operand, base = self.sources[number], function.argument(2 + number)
            x, y = (self._element(function, operand, base, place) for place in positions)
            kind = MEMORY_TYPE[operand.dtype]
            sign = "s" if operand.dtype.startswith("int") else "u"
            before = function.let(f"icmp {sign}lt {kind} {x}, {y}")
            equal = function.let(f"icmp eq {kind} {x}, {y}")
            result = function.let(f"select i1 {equal}, i1 {result}, i1 {before}")
        function.close(f"i1 {result}")

    def _element(self, function: Function, operand: Operand, base: str, place: str) -> str:
        step = operand.strides[self.dimension]
        at = offset(function, base, operand.dtype, function.let(f"mul i64 {place}, {step}"))
        return load_scalar(function, operand.dtype, at)


@frozen
class _Line:
    """One line: its numbers are written, sorted, and read back as the permutation."""

    codelet: Sort
    function: Function
    symbol: str
    scratch: str

    def write(self, pointers: list[str]) -> None:
        codelet, count = self.codelet, len(self.codelet.sources)
        sources, targets = pointers[:count], pointers[count:]
        kind = "i64" if codelet.packed else "i32"
        spare = self.function.address(self.scratch, kind, codelet.length)
        self._fill(sources[0])
        arguments = [("ptr", self.scratch), ("ptr", spare), ("i64", str(codelet.length))]
        if not codelet.packed:
            arguments += [("ptr", key) for key in sources[: codelet.keys]]
        sorter = _PACKED if codelet.packed else f"{self.symbol}_sort"
        numbers = self.function.call("ptr", sorter, *arguments)
        for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if i == 0 and codelet.packed:
                self._unpack(numbers, target)
            else:
                self._permute(numbers, i, source, target)

    def _fill(self, key: str) -> None:
        function, codelet = self.function, self.codelet
        operand = codelet.sources[0]
        step = operand.strides[codelet.dimension]
        with repeat(function, codelet.length, [("ptr", key)]) as turn:
            if codelet.packed:
                value = load_scalar(function, operand.dtype, turn.carry[0])
                high = function.let(f"shl i64 {self._signed(operand.dtype, value)}, 32")
                number = function.let(f"or i64 {high}, {turn.index}")
                at = function.address(self.scratch, "i64", turn.index)
                function.do(f"store i64 {number}, ptr {at}")
            else:
                place = function.let(f"trunc i64 {turn.index} to i32")
                at = function.address(self.scratch, "i32", turn.index)
                function.do(f"store i32 {place}, ptr {at}")
            turn.next[:] = [offset(function, turn.carry[0], operand.dtype, step)]

    def _signed(self, dtype: str, value: str) -> str:
        """The key as i64, ordered as signed numbers are, within 32 bits."""
        kind = MEMORY_TYPE[dtype]
        if dtype == "uint32":
            value = self.function.let(f"xor i32 {value}, {_HIGH_BIT}")
        extend = "sext" if dtype.startswith("int") or dtype == "uint32" else "zext"
        return self.function.let(f"{extend} {kind} {value} to i64")

    def _unpack(self, numbers: str, target: str) -> None:
        """The sorted keys, from the high halves."""
        function, operand = self.function, self.codelet.outs[0]
        kind = MEMORY_TYPE[operand.dtype]
        step = operand.strides[self.codelet.dimension]
        with repeat(function, self.codelet.length, [("ptr", target)]) as turn:
            number = function.let(f"load i64, ptr {function.address(numbers, 'i64', turn.index)}")
            high = function.let(f"lshr i64 {number}, 32")
            key = function.let(f"trunc i64 {high} to {kind}")
            if operand.dtype == "uint32":
                key = function.let(f"xor i32 {key}, {_HIGH_BIT}")
            store_scalar(function, operand.dtype, key, turn.carry[0])
            turn.next[:] = [offset(function, turn.carry[0], operand.dtype, step)]

    def _permute(self, numbers: str, operand: int, source: str, target: str) -> None:
        function, codelet = self.function, self.codelet
        dtype = codelet.sources[operand].dtype
        from_step = codelet.sources[operand].strides[codelet.dimension]
        to_step = codelet.outs[operand].strides[codelet.dimension]
        with repeat(function, codelet.length, [("ptr", target)]) as turn:
            skip = function.let(f"mul i64 {self._position(numbers, turn.index)}, {from_step}")
            value = load_scalar(function, dtype, offset(function, source, dtype, skip))
            store_scalar(function, dtype, value, turn.carry[0])
            turn.next[:] = [offset(function, turn.carry[0], dtype, to_step)]

    def _position(self, numbers: str, index: str) -> str:
        function = self.function
        if self.codelet.packed:
            number = function.let(f"load i64, ptr {function.address(numbers, 'i64', index)}")
            return function.let(f"and i64 {number}, {(1 << 32) - 1}")
        place = function.let(f"load i32, ptr {function.address(numbers, 'i32', index)}")
        return function.let(f"sext i32 {place} to i64")
