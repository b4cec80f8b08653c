"""Gather: windows of an array, at many positions.

In: a strided array and positions. Out: the windows. Always: as `graph/ops/indexed.py` says; nothing
outside of the array is read, whatever the positions are. A window that is contiguous on both sides
is copied as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.vectors import itemsize
from tilewright.codelets.index.addressing import Addressing, Dims
from tilewright.codelets.index.window import copy_window, fill_window
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.ops import indexed
from tilewright.machine.cost import Count

_GATHER = (
    "offset_dims", "collapsed_slice_dims", "start_index_map", "operand_batching_dims",
    "start_indices_batching_dims", "slice_sizes",
)  # fmt: skip


@frozen
class Gather(Codelet):
    """Windows of `source` at `indices`, with lax's dimension numbers.

    mode "drop" writes `fill` (its bits) where a window is not wholly inside; others move it inside.
    """

    source: Operand
    indices: Operand
    out: Operand
    offset_dims: Dims
    collapsed_slice_dims: Dims
    start_index_map: Dims
    operand_batching_dims: Dims
    start_indices_batching_dims: Dims
    slice_sizes: Dims
    mode: str
    fill: int = 0

    @staticmethod
    def of(source: Operand, indices: Operand, out: Operand, params: Mapping[str, Any]) -> Gather:
        """From the params of a graph's node."""
        dims = {key: tuple(params[key]) for key in _GATHER}
        fill = indexed.fill_value(numpy_dtype(source.dtype), params.get("fill"))
        bits = int.from_bytes(fill.tobytes(), "little") if params["mode"] == "drop" else 0
        return Gather(source, indices, out, mode=params["mode"], fill=bits, **dims)

    @property
    def name(self) -> str:
        return f"gather_{self.out.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.source, self.indices)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def addressing(self) -> Addressing:
        return Addressing(
            self.source,
            self.indices,
            self.out,
            self.offset_dims,
            self.collapsed_slice_dims,
            self.start_index_map,
            self.operand_batching_dims,
            self.start_indices_batching_dims,
            self.slice_sizes,
        )

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        dtype = numpy_dtype(self.source.dtype)
        fill = np.frombuffer(self.fill.to_bytes(dtype.itemsize, "little"), dtype).reshape(())
        dims = {key: getattr(self, key) for key in _GATHER}
        return (indexed.gather(*arrays, mode=self.mode, fill=fill, **dims),)

    @property
    def work(self) -> Count:
        moved = {("move", self.out.dtype): self.out.size}
        windows = self.out.size // max(prod(self.slice_sizes), 1)
        return Count({}, moved, nbytes(self.out, self.indices), nbytes(self.out), windows)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
        if self.out.size:
            self.write(function, [function.argument(i) for i in range(3)])
        function.close()

    def write(self, function: Function, pointers: Sequence[str]) -> None:
        """In the middle of a function; the result is not empty."""
        with self.addressing.nest(function, *pointers) as (source, indices, target):
            self._window(function, source, indices, target)

    def _window(self, function: Function, source: str, indices: str, target: str) -> None:
        walk = self.addressing
        starts = walk.starts(function, indices)
        if self.source.size == 0 and self.mode != "drop":
            self._fill(function, target, 0)
        elif self.mode != "drop":
            self._copy(function, source, walk.clamped(function, starts), target)
        elif prod(walk.shape) == 1 and self.source.size:
            self._element(function, source, starts, target)
        else:
            inside = walk.inside(function, starts)
            with branch(function, inside) as otherwise:
                if self.source.size:
                    self._copy(function, source, starts, target)
                else:
                    self._fill(function, target, 0)
                otherwise()
                self._fill(function, target, self.fill)

    def _copy(self, function: Function, source: str, starts: list[str], target: str) -> None:
        walk = self.addressing
        pointers = (walk.moved(function, source, starts), target)
        strides = (walk.operand_steps, walk.window_steps)
        copy_window(function, self.out.dtype, walk.shape, pointers, strides)

    def _fill(self, function: Function, target: str, bits: int) -> None:
        walk = self.addressing
        fill_window(function, self.out.dtype, walk.shape, bits, target, walk.window_steps)

    def _element(self, function: Function, source: str, starts: list[str], target: str) -> None:
        """A window of one element: read it from inside, then choose; no branch to mispredict."""
        walk, size = self.addressing, itemsize(self.out.dtype)
        kind = f"i{8 * size}"
        inside = walk.inside(function, starts)
        pointer = walk.moved(function, source, walk.clamped(function, starts))
        value = function.let(f"load {kind}, ptr {pointer}, align {size}")
        chosen = function.let(f"select i1 {inside}, {kind} {value}, {kind} {self.fill}")
        function.do(f"store {kind} {chosen}, ptr {target}, align {size}")
