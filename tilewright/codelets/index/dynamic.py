"""Dynamic slices: one window, whose position is data.

In: a strided array and one scalar start a dimension, integers of any width. Out: the window, or the
array with the window written over (in place). Always: a window is moved inside the array before it
is touched, as `graph/ops/indexed.py` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import Codelet, Operand, inner_loops
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.index.addressing import Dims
from tilewright.codelets.index.window import clamp, copy_window, load_index
from tilewright.frozen import frozen
from tilewright.graph.ops import indexed
from tilewright.machine.cost import Count


def window_work(window: Operand) -> Count:
    """Of copying one window."""
    moved = {("move", window.dtype): window.size}
    return Count({}, moved, window.nbytes, window.nbytes, inner_loops(window))


def _scalars(dtypes: Sequence[str]) -> tuple[Operand, ...]:
    return tuple(Operand(dtype, (), ()) for dtype in dtypes)


def move_to_start(
    function: Function, array: Operand, sizes: Dims, pointer: str, starts: Sequence[str]
) -> str:
    """The pointer moved to where a window of `sizes` begins; starts are i64."""
    for start, n, size, step in zip(starts, array.shape, sizes, array.strides, strict=True):
        first = clamp(function, start, n - size)
        skip = function.let(f"mul i64 {first}, {step}")
        pointer = offset(function, pointer, array.dtype, skip)
    return pointer


def _load_starts(function: Function, dtypes: Sequence[str]) -> list[str]:
    """The scalars behind the function's first argument."""
    rows = enumerate(dtypes, 1)
    return [load_index(function, dtype, function.argument(i)) for i, dtype in rows]


@frozen
class DynamicSlice(Codelet):
    """out = the window of `source` at starts, moved inside; one scalar start a dimension."""

    source: Operand
    starts: tuple[str, ...]
    out: Operand

    @property
    def name(self) -> str:
        return f"dynamic_slice_{self.out.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.source, *_scalars(self.starts))

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        source, *starts = arrays
        return (indexed.dynamic_slice(source, *starts, sizes=self.out.shape),)

    @property
    def work(self) -> Count:
        return window_work(self.out)

    def emit(self, module: Module, symbol: str) -> None:
        count = len(self.starts)
        function = module.function(symbol, "void", ["ptr"] * (count + 2))
        if self.out.size:
            starts = _load_starts(function, self.starts)
            base = function.argument(0)
            source = move_to_start(function, self.source, self.out.shape, base, starts)
            pointers = (source, function.argument(count + 1))
            strides = (self.source.strides, self.out.strides)
            copy_window(function, self.out.dtype, self.out.shape, pointers, strides)
        function.close()


@frozen
class DynamicUpdateSlice(Codelet):
    """The window of `out` at starts, moved inside, becomes `update`; the rest stays."""

    update: Operand
    starts: tuple[str, ...]
    out: Operand

    @property
    def name(self) -> str:
        return f"dynamic_update_slice_{self.update.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.update, *_scalars(self.starts))

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        update, *starts, old = arrays
        return (indexed.dynamic_update_slice(old, update, *starts),)

    @property
    def work(self) -> Count:
        return window_work(self.update)

    def emit(self, module: Module, symbol: str) -> None:
        count = len(self.starts)
        function = module.function(symbol, "void", ["ptr"] * (count + 2))
        if self.update.size:
            starts = _load_starts(function, self.starts)
            base = function.argument(count + 1)
            target = move_to_start(function, self.out, self.update.shape, base, starts)
            pointers = (function.argument(0), target)
            strides = (self.update.strides, self.out.strides)
            copy_window(function, self.out.dtype, self.update.shape, pointers, strides)
        function.close()
