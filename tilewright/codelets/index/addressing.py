"""How a gather or a scatter walks: one loop nest over positions, and a window at each.

In: the dimension numbers of `graph/ops/` and how the three arrays lie. Out: static counts,
strides, and LLVM text that finds where a window begins. Always: the nest runs in row-major order of
the windows array (a gather's result, a scatter's updates); window dimensions that lie before its
last batch dimension are part of the nest, so that order holds for every element.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from tilewright.codelets.base import Operand
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.index.window import clamp, load_index, simplified
from tilewright.frozen import frozen

Dims = tuple[int, ...]


@frozen
class Addressing:
    """`offset_dims` of `windows` are the operand's dimensions that are not `dropped`, in order."""

    operand: Operand
    indices: Operand
    windows: Operand
    offset_dims: Dims
    dropped: Dims
    index_map: Dims
    operand_batching: Dims
    indices_batching: Dims
    sizes: Dims

    @property
    def batch_axes(self) -> list[int]:
        """Axes of `windows` that are not in a window: one a dimension of `indices` but the last."""
        return [i for i in range(len(self.windows.shape)) if i not in self.offset_dims]

    @property
    def depth(self) -> int:
        """How many leading axes of `windows` the nest runs over."""
        return max(self.batch_axes, default=-1) + 1

    def is_one_window(self) -> bool:
        """A single position, and elements side by side: no loop is written for it."""
        steps = simplified(self.shape, self.operand_steps, self.window_steps)[1]
        return prod(self.counts) == 1 and all(row in ([], [1]) for row in steps)

    @property
    def counts(self) -> Dims:
        return self.windows.shape[: self.depth]

    @property
    def shape(self) -> Dims:
        """What is left of the window inside the nest."""
        return self.windows.shape[self.depth :]

    @property
    def window_steps(self) -> Dims:
        return self.windows.strides[self.depth :]

    @property
    def operand_steps(self) -> Dims:
        return self._operand_steps()[self.depth :]

    def _operand_steps(self) -> Dims:
        """How far the operand's pointer moves along each axis of `windows`, starts aside."""
        gone = {*self.dropped, *self.operand_batching}
        kept = [s for d, s in enumerate(self.operand.strides) if d not in gone]
        steps = dict(zip(self.offset_dims, kept, strict=True))
        for d, i in zip(self.operand_batching, self.indices_batching, strict=True):
            steps[self.batch_axes[i]] = self.operand.strides[d]
        return tuple(steps.get(axis, 0) for axis in range(len(self.windows.shape)))

    def _index_steps(self) -> Dims:
        steps = dict(zip(self.batch_axes, self.indices.strides, strict=False))
        return tuple(steps.get(axis, 0) for axis in range(len(self.windows.shape)))

    @contextmanager
    def nest(
        self, function: Function, operand: str, indices: str, windows: str
    ) -> Iterator[list[str]]:
        """Loops over all positions; inside, the three pointers there (starts not yet added)."""
        steps = [self._operand_steps(), self._index_steps(), self.windows.strides]
        with walk(
            function,
            self.counts,
            [operand, indices, windows],
            [self.operand.dtype, self.indices.dtype, self.windows.dtype],
            [row[: self.depth] for row in steps],
        ) as pointers:
            yield pointers

    def starts(self, function: Function, indices: str) -> list[str]:
        """The start in each dimension of `index_map`, as i64, as it is."""
        dtype, step = self.indices.dtype, self.indices.strides[-1]
        return [
            load_index(function, dtype, offset(function, indices, dtype, j * step))
            for j in range(len(self.index_map))
        ]

    def clamped(self, function: Function, starts: list[str]) -> list[str]:
        """The starts moved so that the window lies inside the operand."""
        rows = zip(starts, self.index_map, strict=True)
        return [clamp(function, start, self._last(d)) for start, d in rows]

    def inside(self, function: Function, starts: list[str]) -> str:
        """Whether the whole window lies inside; as unsigned numbers, negative starts are large."""
        result = "true"
        for start, d in zip(starts, self.index_map, strict=True):
            last = self._last(d)
            here = function.let(f"icmp ule i64 {start}, {last}") if last >= 0 else "false"
            result = here if result == "true" else function.let(f"and i1 {result}, {here}")
        return result

    def moved(self, function: Function, pointer: str, starts: list[str]) -> str:
        """The operand's pointer at the starts."""
        for start, d in zip(starts, self.index_map, strict=True):
            step = self.operand.strides[d]
            skip = function.let(f"mul i64 {start}, {step}") if step != 1 else start
            pointer = offset(function, pointer, self.operand.dtype, skip)
        return pointer

    def _last(self, dimension: int) -> int:
        return self.operand.shape[dimension] - self.sizes[dimension]
