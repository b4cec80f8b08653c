"""Codelets of one line and programs written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.emit.llvm import Module
from tilewright.machine.cost import Count
from tilewright.plan.ir import Buffer, Call, Program, Step, View, dense_strides


@dataclass(frozen=True)
class Plus(Codelet):
    """out = the sum of the sources over all their elements' rows, plus `add` (plus the old out)."""

    sources: tuple[Operand, ...]
    out: Operand
    add: float = 0.0
    accumulate: bool = False

    @property
    def name(self) -> str:
        return f"plus_{self.add:g}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return self.sources

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,) if self.accumulate else ()

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        total = np.full(self.out.shape, self.add).astype(self.out.dtype)
        for array in arrays:
            total = total + (array if array.shape == self.out.shape else array.sum())
        return (total.astype(self.out.dtype),)

    @property
    def work(self) -> Count:
        return Count()

    def emit(self, module: Module, symbol: str) -> None:
        raise AssertionError("this codelet is only simulated")


def operand(view: View) -> Operand:
    return Operand(view.dtype, view.shape, view.strides)


def plus(sources: Sequence[View], target: View, add: float = 0.0, in_place: bool = False) -> Call:
    """target = sources (elementwise, or summed up if of another shape) + add (+ target)."""
    codelet = Plus(tuple(map(operand, sources)), operand(target), add, in_place)
    return Call(codelet, (*sources, target))


def view(
    buffer: Buffer, *shape: int, offset: int = 0, moves: tuple[tuple[int, int], ...] = ()
) -> View:
    return View(buffer, shape, dense_strides(shape), offset, moves)


def program(
    steps: Sequence[Step],
    inputs: Sequence[Buffer],
    outputs: Sequence[Buffer],
    shared: Sequence[Buffer] = (),
    own: Sequence[Buffer] = (),
) -> Program:
    """Arenas with the buffers one after the other."""
    offsets: dict[Buffer, int] = {}
    ends = []
    for buffers in (shared, own):
        end = 0
        for buffer in buffers:
            offsets[buffer] = end
            end += -(-buffer.nbytes // 64) * 64
        ends.append(end)
    every = (*inputs, *outputs, *shared, *own)
    return Program(every, tuple(inputs), tuple(outputs), tuple(steps), offsets, ends[0], ends[1])
