"""The upper levels of a sum: partial results, each a node of the law's tree, become their root.

In: `(count, *shape)`, parts stacked in order, all nodes of one level (the last may be cut short).
Out: their combination in adjacent pairs, `(*shape)`. Always: one addition for each part but the
first, of the parts' own dtype.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen
from tilewright.graph.law import combine_pairs
from tilewright.machine.cost import Count

_AT_ONCE = 8
"""Parts whose tree is written out; such groups are nodes of the level above."""


@frozen
class Tree(Codelet):
    """Sums; float32, float64 or integers (sums of 16-bit floats are kept in float32)."""

    parts: Operand
    out: Operand

    @property
    def name(self) -> str:
        return f"tree_{self.parts.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.parts,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def count(self) -> int:
        return self.parts.shape[0]

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (combine_pairs("sum", arrays[0]),)

    @property
    def work(self) -> Count:
        adds = {("add", self.parts.dtype): self.parts.size - self.out.size}
        iterations = -(-self.out.size // LANES)
        return Count({}, adds, nbytes(self.parts), self.out.nbytes, iterations)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 2)
        if self.out.size:
            shape = self.out.shape or (1,)
            steps = [self.parts.strides[1:] or (1,), self.out.strides or (1,)]
            dtypes = [self.parts.dtype, self.out.dtype]
            outer = [array[:-1] for array in steps]
            pointers = [function.argument(i) for i in range(2)]
            with walk(function, shape[:-1], pointers, dtypes, outer) as places:
                self._line(function, places, shape[-1], [array[-1] for array in steps])
        function.close()

    def _line(
        self, function: Function, places: Sequence[str], length: int, steps: Sequence[int]
    ) -> None:
        """Neighbouring outputs, a vector of them at a time."""
        dtypes = [self.parts.dtype, self.out.dtype]
        moves = [[step * LANES] for step in steps]
        full, rest = divmod(length, LANES)
        if full:
            with walk(function, [full], places, dtypes, moves) as here:
                self._vector(function, here, LANES, steps)
        if rest:
            here = [
                offset(function, place, dtype, full * move[0])
                for place, dtype, move in zip(places, dtypes, moves, strict=True)
            ]
            self._vector(function, here, rest, steps)

    def _vector(
        self, function: Function, places: Sequence[str], valid: int, steps: Sequence[int]
    ) -> None:
        source, target = places
        combination = Combination("sum", self.parts.dtype)
        before = -(-self.count // _AT_ONCE) - 1
        rest = self.count - before * _AT_ONCE
        if before:
            kind = combination.register
            tree = Pairwise(function, kind, [LANES], combination.apply, before)
            with repeat(function, before, [("ptr", source)]) as turn:
                (here,) = turn.carry
                total = self._group(function, combination, here, valid, steps[0], _AT_ONCE)
                tree.push(turn.index, [total])
                turn.next[0] = self._part(function, here, _AT_ONCE)
            (source,) = turn.result
            (total,) = tree.finish(
                [self._group(function, combination, source, valid, steps[0], rest)]
            )
        else:
            total = self._group(function, combination, source, valid, steps[0], rest)
        vectors.store(function, self.out.dtype, total, target, steps[1], LANES, valid)

    def _part(self, function: Function, place: str, number: int) -> str:
        return offset(function, place, self.parts.dtype, number * self.parts.strides[0])

    def _group(
        self,
        function: Function,
        combination: Combination,
        place: str,
        valid: int,
        step: int,
        count: int,
    ) -> str:
        parts = []
        for number in range(count):
            here = self._part(function, place, number)
            parts.append(vectors.load(function, self.parts.dtype, here, step, LANES, valid))
        while len(parts) > 1:
            even = len(parts) // 2 * 2
            pairs = zip(parts[0:even:2], parts[1:even:2], strict=True)
            joined = [combination.apply(function, LANES, x, y) for x, y in pairs]
            parts = joined + parts[even:]
        return parts[0]
