"""What a reduction reads: its expression's values at places of the domain, and loops to them.

In: a `Reduce`, pointers to its inputs and to what it stores on the way. Out: registers of the dtype
that is accumulated in. Always: reduced elements of an output are numbered in row-major order;
dimensions that all arrays step through evenly are merged into one, unless the expression asks for
its own index (`iota`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tilewright.codelets.emit import memory, vectors
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.conversions import flushed
from tilewright.codelets.emit.expression import abreast, emit_expression
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import offset, shuffle, splat
from tilewright.frozen import frozen
from tilewright.graph.floats import FLOATS
from tilewright.graph.law import LANES, identity

if TYPE_CHECKING:
    from tilewright.codelets.reduce.codelet import Reduce

HEAVY = 6
"""Instructions in an expression from which on it is written as few times as can be; what is read in
16 bits is widened on the way."""
_BOOL_KINDS = {"sum": "or", "max": "or", "prod": "and", "min": "and"}

Indices = dict[int, str]
"""The index (i64) along dimensions of the domain."""


@frozen
class Axes:
    """Some dimensions of the domain: sizes, and one tuple of steps for each array."""

    dims: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    def merged(self) -> Axes:
        """In as few dimensions as make the same row-major walk; at least one."""
        rows: list[tuple[int, tuple[int, ...]]] = []
        for i, size in enumerate(self.sizes):
            steps = tuple(array[i] for array in self.steps)
            if size == 1 and rows:
                continue
            if rows and rows[-1][0] == 1:
                rows.pop()
            if rows and all(a == b * size for a, b in zip(rows[-1][1], steps, strict=True)):
                rows[-1] = (rows[-1][0] * size, steps)
            else:
                rows.append((size, steps))
        rows = rows or [(1, (0,) * len(self.steps))]
        by_array = zip(*[steps for _, steps in rows], strict=True)
        return Axes((), tuple(size for size, _ in rows), tuple(by_array))


class Source:
    """The expression of one reduction, in a function that is being written."""

    def __init__(self, function: Function, codelet: Reduce):
        self.function = function
        self.expression, self.totals = codelet.expression, codelet.totals
        self.dtypes = (*codelet.expression.inputs, *codelet.stored_dtypes)
        self.combination = combination_of(codelet.kind, codelet.dtype)
        self.wide = codelet.dtype if codelet.dtype == "bool" else self.combination.wide
        self.indexed = any(i.op == "iota" for i in self.expression.instructions)
        steps = self.expression.instructions
        self.heavy = sum(step.op != "convert" for step in steps) > HEAVY
        self.abreast = abreast(self.expression, function.module.features)
        self.reduced = self._axes(codelet, codelet.reduced, codelet.walked)

    def _axes(
        self, codelet: Reduce, dims: tuple[int, ...], strides: Sequence[Sequence[int]]
    ) -> Axes:
        sizes = tuple(codelet.shape[i] for i in dims)
        axes = Axes(dims, sizes, tuple(tuple(steps[i] for i in dims) for steps in strides))
        return axes if self.indexed and dims else axes.merged()

    def kept(self, codelet: Reduce, dims: tuple[int, ...]) -> Axes:
        """Kept dimensions, with the output as the last array."""
        output = [0] * len(codelet.shape)
        for dim, step in zip(codelet.kept, codelet.kept_strides, strict=True):
            output[dim] = step
        return self._axes(codelet, dims, (*codelet.walked, tuple(output)))

    def identity(self, kind: str, width: int) -> str:
        """Where accumulation starts, as a constant."""
        value = identity(kind, self.wide)
        return vectors.splat_constant(self.combination.register, constant(value), width)

    @property
    def merged(self) -> bool:
        """Whether each next element is one even step away."""
        return len(self.reduced.sizes) == 1

    def advance(self, pointers: Sequence[str], elements: int) -> list[str]:
        """Pointers moved on by elements, where the walk is even."""
        rows = zip(pointers, self.dtypes, self.reduced.steps, strict=True)
        return [
            offset(self.function, pointer, dtype, elements * steps[0])
            for pointer, dtype, steps in rows
        ]

    def place(self, pointers: Sequence[str], element: str) -> tuple[list[str], Indices]:
        """Pointers to the reduced element with this number (i64), and its indices."""
        indices = self.digits(element)
        places = []
        for pointer, dtype, steps in zip(pointers, self.dtypes, self.reduced.steps, strict=True):
            for index, step in zip(indices, steps, strict=True):
                if step:
                    move = self.function.let(f"mul i64 {index}, {step}")
                    pointer = offset(self.function, pointer, dtype, move)
            places.append(pointer)
        return places, dict(zip(self.reduced.dims, indices, strict=False))

    def digits(self, element: str, width: int = 0) -> list[str]:
        """The index along each reduced dimension of an element (or a vector of them)."""
        function, row, digits = self.function, vector("i64", width), []
        for size in reversed(self.reduced.sizes[1:]):
            count = vectors.splat_constant("i64", size, width)
            digits.append(function.let(f"urem {row} {element}, {count}"))
            element = function.let(f"udiv {row} {element}, {count}")
        return [element, *reversed(digits)]

    def value(
        self,
        pointers: Sequence[str],
        steps: Sequence[int],
        valid: int,
        indices: dict[int, str] | None = None,
        width: int = LANES,
    ) -> str:
        """As `values`, of a reduction with one total."""
        (result,) = self.values(pointers, steps, valid, indices, width)
        return result

    def values(
        self,
        pointers: Sequence[str],
        steps: Sequence[int],
        valid: int,
        indices: dict[int, str] | None = None,
        width: int = LANES,
    ) -> list[str]:
        """Lanes of the expression, neighbours `steps` apart, `valid` of them or all of `width`: of
        what is reduced.

        What the reduction stores is stored. `indices` are vectors of i64.
        """
        function = self.function
        inputs = [
            memory.load(function, dtype, pointer, width, step, valid)
            for dtype, pointer, step in zip(self.expression.inputs, pointers, steps, strict=False)
        ]
        made = self._emit(inputs, width, indices or {})
        results, others, count = made[: self.totals], made[self.totals :], len(inputs)
        rows = zip(self.dtypes[count:], pointers[count:], steps[count:], others, strict=True)
        for dtype, pointer, step, other in rows:
            memory.store(function, dtype, other, pointer, width, step, valid)
        if self.expression.dtype(self.expression.outputs[0]) == "bool":
            wide = f"to <{width} x i8>"
            results = [function.let(f"zext <{width} x i1> {result} {wide}") for result in results]
        return results

    def _emit(self, inputs: list[str], width: int, indices: Indices) -> list[str]:
        dims = range(max(indices, default=-1) + 1)
        listed = [indices.get(i, "") for i in dims]
        return emit_expression(self.function, self.expression, inputs, width, listed)

    def spread(self, indices: Indices) -> Indices:
        """Scalar indices in every lane."""
        if not self.indexed:
            return {}
        return {i: splat(self.function, "i64", LANES, index) for i, index in indices.items()}

    def counted(self, first: str) -> str:
        """first, first + 1, ... in 16 lanes."""
        start = splat(self.function, "i64", LANES, first)
        steps = vectors.constants("i64", range(LANES))
        return self.function.let(f"add <{LANES} x i64> {start}, {steps}")

    @contextmanager
    def nest(self, axes: Axes, pointers: Sequence[str], dtypes: Sequence[str]) -> Iterator:
        """Loops over kept dimensions: the pointers and indices inside."""
        yield from self._nest(axes, 0, pointers, dtypes, {})

    def _nest(
        self,
        axes: Axes,
        level: int,
        pointers: Sequence[str],
        dtypes: Sequence[str],
        indices: Indices,
    ) -> Iterator[tuple[list[str], Indices]]:
        if level == len(axes.sizes):
            yield list(pointers), indices
            return
        carry = [("ptr", pointer) for pointer in pointers]
        with repeat(self.function, axes.sizes[level], carry) as turn:
            here = {axes.dims[level]: turn.index} if axes.dims else {}
            yield from self._nest(axes, level + 1, turn.carry, dtypes, indices | here)
            turn.next[:] = [
                offset(self.function, pointer, dtype, steps[level])
                for pointer, dtype, steps in zip(turn.carry, dtypes, axes.steps, strict=True)
            ]

    def finish(self, totals: str, out: str, step: int, valid: int) -> None:
        """Write the first `valid` of 16 totals."""
        function, combination = self.function, self.combination
        result = combination.narrow(function, LANES, totals)
        vectors.store(function, combination.dtype, result, out, step, LANES, valid)

    def arrange(self, register: str, lanes: Sequence[int]) -> str:
        """Pick lanes of one vector."""
        kind = self.combination.register
        return shuffle(self.function, kind, LANES, register, "poison", lanes)


def combination_of(kind: str, dtype: str) -> Combination:
    """Bits of a bool are combined as those of a byte."""
    if dtype == "bool":
        return Combination(_BOOL_KINDS.get(kind, kind), "uint8")
    return Combination(kind, dtype)


def alone(function: Function, combination: Combination, width: int, value: str) -> str:
    """A single element, combined with the identity.

    That is x for LLVM, which knows nothing of denormals; a product or maximum of x flushes them.
    """
    if combination.wide not in FLOATS or combination.operation == "add":
        return value
    return flushed(Register(function, combination.register, width, value)).name


def constant(value: np.ndarray) -> str:
    """A scalar as LLVM writes it: floats by the bits of the double of the same value."""
    if value.dtype.name in FLOATS:
        return f"0x{struct.pack('>d', float(value)).hex().upper()}"
    return str(int(value))
