"""What a vertex is: its meaning in NumPy, its work, and its LLVM text, together under one name.

A codelet is a frozen dataclass, so that equal codelets are emitted once. Its arguments are
described by `Operand`s: dtype, shape and strides are static; only base addresses come at run time.
In memory a bool is one byte, 0 or 1. Arguments are aligned to their element; never assume more.

A family is a folder: elementwise, reduce, contract, index, along an axis, linalg. No family imports
another; all write with `emit/` (LLVM text from its smallest pieces) and `scalar_math/` (functions
of one number). `small/` writes a few elements of any family in the middle of a function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from math import prod
from typing import Any, Self

import numpy as np

from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import LANES
from tilewright.machine.cost import Count

__all__ = ["LANES", "Codelet", "Operand", "nbytes"]


@frozen
class Operand:
    """How one argument lies in memory; strides count elements and may be 0 or negative."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def label(self) -> str:
        """For names: dtype and shape."""
        return f"{self.dtype}_{'x'.join(map(str, self.shape)) or 'scalar'}"

    @property
    def nbytes(self) -> int:
        """Bytes of its elements; one that is read many times by a stride of 0 counts once."""
        shape = (n for n, step in zip(self.shape, self.strides, strict=True) if step or n == 0)
        return prod(shape) * numpy_dtype(self.dtype).itemsize


def nbytes(*operands: Operand) -> int:
    return sum(operand.nbytes for operand in operands)


def inner_loops(*operands: Operand) -> int:
    """How many loops a walk over operands of one shape begins, dimensions joined where it can."""
    steps = [operand.strides for operand in operands]
    shape, begun = operands[0].shape, 1
    for i in range(len(shape) - 1):
        if shape[i] != 1 and any(s[i] != s[i + 1] * shape[i + 1] for s in steps):
            begun = prod(shape[: i + 1])
    return begun


class Codelet(ABC):
    """What every family in this folder is.

    `inputs` are read; `outputs` are written, and hold old contents only where `in_place` names
    them: the output of that position is also the last of meaning's arguments (in order of
    position).
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name that says what and how large: `reduce_sum_f32_40x256`."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[Operand, ...]: ...

    @property
    @abstractmethod
    def outputs(self) -> tuple[Operand, ...]: ...

    @property
    def in_place(self) -> tuple[int, ...]:
        """Positions of outputs that are updated rather than written whole."""
        return ()

    @property
    def scratch(self) -> int:
        """Bytes that the caller lends as one more argument, the last; aligned to 64 bytes."""
        return 0

    @property
    def cut(self) -> Cut | None:
        """How it may be dealt out in pieces; None: not at all."""
        return None

    def on(self, operands: Sequence[Operand]) -> Self:
        """The same on other operands, of inputs and outputs: here its fields, in this order."""
        it: Any = self
        names = [field.name for field in fields(it) if isinstance(getattr(it, field.name), Operand)]
        return replace(it, **dict(zip(names, operands, strict=True)))

    @abstractmethod
    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """The outputs, exactly (to the last bit, outside transcendental functions)."""

    @property
    @abstractmethod
    def work(self) -> Count:
        """What one vertex does, whatever it runs on."""

    @abstractmethod
    def emit(self, module: Module, symbol: str) -> None:
        """Add `define internal void @symbol(ptr, ...)` (inputs, then outputs) to the module."""
