"""Scatter: windows written over an array, or combined into it, at many positions; in place.

In: positions and updates. Out: the updated array. Always: as `graph/ops/indexed.py` says; updates
are applied one after the other in row-major order, so colliding ones give the same bits everywhere;
nothing outside of the array is touched, whatever the positions are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.index.addressing import Addressing, Dims
from tilewright.codelets.index.window import combine_window, copy_window
from tilewright.frozen import frozen
from tilewright.graph.ops import indexed
from tilewright.graph.ops.across import combination
from tilewright.machine.cost import Count

_SCATTER = (
    "update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims",
    "operand_batching_dims", "scatter_indices_batching_dims",
)  # fmt: skip


@frozen
class Scatter(Codelet):
    """`out` with windows of `updates` written over it (`set`) or combined into it, at `indices`.

    mode "clip" moves windows inside; others leave out those that are not wholly inside.
    """

    indices: Operand
    updates: Operand
    out: Operand
    update_window_dims: Dims
    inserted_window_dims: Dims
    scatter_dims_to_operand_dims: Dims
    operand_batching_dims: Dims
    scatter_indices_batching_dims: Dims
    kind: str
    mode: str

    @staticmethod
    def of(indices: Operand, updates: Operand, out: Operand, params: Mapping[str, Any]) -> Scatter:
        """From the params of a graph's node."""
        dims = {key: tuple(params[key]) for key in _SCATTER}
        return Scatter(indices, updates, out, kind=params["kind"], mode=params["mode"], **dims)

    @property
    def name(self) -> str:
        return f"scatter_{self.kind}_{self.updates.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.indices, self.updates)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    @property
    def addressing(self) -> Addressing:
        gone = {*self.inserted_window_dims, *self.operand_batching_dims}
        kept = [d for d in range(len(self.out.shape)) if d not in gone]
        window = {
            d: self.updates.shape[axis]
            for d, axis in zip(kept, self.update_window_dims, strict=True)
        }
        return Addressing(
            self.out,
            self.indices,
            self.updates,
            self.update_window_dims,
            self.inserted_window_dims,
            self.scatter_dims_to_operand_dims,
            self.operand_batching_dims,
            self.scatter_indices_batching_dims,
            tuple(window.get(d, 1) for d in range(len(self.out.shape))),
        )

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        indices, updates, old = arrays
        dims = {key: getattr(self, key) for key in _SCATTER}
        return (indexed.scatter(old, indices, updates, kind=self.kind, mode=self.mode, **dims),)

    @property
    def work(self) -> Count:
        work = {(combination(self.kind), self.out.dtype): self.updates.size}
        window = prod(self.updates.shape[i] for i in self.update_window_dims)
        loads = nbytes(self.updates, self.indices) + (self.kind != "set") * self.updates.nbytes
        return Count({}, work, loads, self.updates.nbytes, self.updates.size // max(window, 1))

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
        if self.updates.size and self.out.size:
            self.write(function, [function.argument(i) for i in range(3)])
        function.close()

    def write(self, function: Function, pointers: Sequence[str]) -> None:
        """In the middle of a function; there are updates, and something to update."""
        (indices, updates, out), walk = pointers, self.addressing
        with walk.nest(function, out, indices, updates) as (target, index, update):
            starts = walk.starts(function, index)
            if self.mode == "clip":
                starts = walk.clamped(function, starts)
                self._window(function, update, walk.moved(function, target, starts))
            else:
                with branch(function, walk.inside(function, starts)):
                    self._window(function, update, walk.moved(function, target, starts))

    def _window(self, function: Function, update: str, target: str) -> None:
        walk, pointers = self.addressing, (update, target)
        strides = (walk.window_steps, walk.operand_steps)
        if self.kind == "set":
            copy_window(function, self.out.dtype, walk.shape, pointers, strides)
        else:
            combination = Combination(self.kind, self.out.dtype)
            combine_window(function, combination, walk.shape, pointers, strides)
