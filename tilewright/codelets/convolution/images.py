"""Convolutions: sums over a kernel's taps and input channels, in the law's `sequence`.

In: an image with whatever border its kernel reads, a kernel. Out: an image. Lanes are output
channels (see `channels.py`); a tile of neighbours in a row, times some vectors of channels, stays
in registers for a whole leaf of terms. Always: the order is that of `graph/law.py`, so that bits do
not hang on tiles, strides or the instruction set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.convolution.terms import Dimension, Places, Sums, Term, Terms
from tilewright.codelets.cut import Cut, over_images
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.epilogue import Epilogue
from tilewright.codelets.emit.epilogue import Sums as Ended
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count

FEW_REGISTERS = 16
ROWS_TOGETHER = 8
"""Neighbours of a row in a tile where each reads vectors of its own. Of 16 registers too: a
kernel's vector, and the image's that neighbours share, are then read less often."""
MANY_LEAVES = 8
"""Leaves from which on, if they are no loop, tiles are small so that the code is, too."""


@dataclass(frozen=True)
class Convolution(Codelet):
    """image (n, h, w, groups, in), kernel (groups, kh, kw, in, out), out (n, oh, ow, groups, out).

    Output (y, x) reads (y, x) * stride + tap * dilation, all of which lie inside the image.

    With an `epilogue` the sums go through an expression before they are stored: its inputs are the
    sum (of `sum_dtype`) and the arrays `beside`, its outputs are `out` and `more`; all have the
    shape of `out`, and along the lanes they are as dense as `out` is, or repeat.
    """

    image: Operand
    kernel: Operand
    out: Operand
    stride: tuple[int, int]
    dilation: tuple[int, int]
    epilogue: Expression | None = None
    beside: tuple[Operand, ...] = ()
    more: tuple[Operand, ...] = ()

    @property
    def name(self) -> str:
        groups, kh, kw, channels, _ = self.kernel.shape
        after = f"_{self.epilogue.label}" if self.epilogue else ""
        return f"conv_{kh}x{kw}x{channels}_{groups}_groups_{self.out.label}{after}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.kernel, *self.beside)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out, *self.more)

    @property
    def sides(self) -> tuple[Operand, ...]:
        """What has the shape of the results: what is read beside sums, and the results."""
        return (*self.beside, *self.outputs)

    def on(self, operands: Sequence[Operand]) -> Convolution:
        image, kernel, *sides = operands
        beside, (out, *more) = sides[: len(self.beside)], sides[len(self.beside) :]
        return replace(
            self, image=image, kernel=kernel, beside=tuple(beside), out=out, more=tuple(more)
        )

    @property
    def cut(self) -> Cut:
        """Between images, else rows."""
        (n, height), taps = self.out.shape[:2], self.kernel.shape[1]
        return over_images(
            n, height, taps, self.stride[0], self.dilation[0], beside=1, made=len(self.sides)
        )

    @property
    def sum_dtype(self) -> str:
        if self.epilogue:
            return self.epilogue.inputs[0]
        return law.dot_working_dtype(self.image.dtype, self.kernel.dtype, self.out.dtype)

    @property
    def work(self) -> Count:
        macs = {self.sum_dtype: self.out.size * prod(self.kernel.shape[1:4])}
        moved = nbytes(*self.inputs), nbytes(*self.outputs)
        count = Count(macs, {}, *moved, prod(self.out.shape[:3]))
        return count + self.epilogue.work(self.out.size) if self.epilogue else count

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, kernel, *beside = arrays
        size, made, groups = image.shape[1:3], self.out.shape[1:3], self.out.shape[3]
        x = image.reshape(*image.shape[:3], -1)
        pad = conv.exact_pads(size, made, kernel.shape[1:3], self.stride, self.dilation)
        result = conv.conv(
            x, kernel, stride=self.stride, pad=pad, dilation=self.dilation,
            groups=groups, dtype=self.sum_dtype if self.epilogue else self.out.dtype,
        )  # fmt: skip
        result = result.reshape(self.out.shape)
        if self.epilogue is None:
            return (result,)
        return tuple(evaluate_expression(self.epilogue, (result, *beside), self.out.shape))

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * (len(self.sides) + 2))
        if self.out.size:
            _Writer(self, function).write()
        function.close()


class _Writer:
    """Writes one convolution."""

    def __init__(self, codelet: Convolution, function: Function):
        self.codelet, self.function = codelet, function
        kernel, out = codelet.kernel, codelet.out
        sides = [(side.strides[-5 + at], side.strides[-1]) for side, at in ((kernel, 0), (out, 3))]
        bits = function.module.features.vector_bits
        self.channels = Channels.of(codelet.image, sides, kernel.shape[4], codelet.sum_dtype, bits)
        self.row_step = codelet.stride[1] * codelet.image.strides[2]
        self.dtypes = [operand.dtype for operand in (codelet.image, kernel, *codelet.sides)]
        self.end = Epilogue(
            function,
            self.channels.arithmetic.dtype,
            tuple((side.dtype, self._step(side)) for side in codelet.sides),
            codelet.epilogue,
        )

    def _step(self, side: Operand) -> int:
        """From lane to lane."""
        return min(side.strides[3], 1) if self.channels.together else side.strides[4]

    def write(self) -> None:
        codelet, function = self.codelet, self.function
        image, kernel, sides = codelet.image, codelet.kernel, codelet.sides
        counts = [codelet.out.shape[0]]
        steps = [[image.strides[0]], [0], *([side.strides[0]] for side in sides)]
        if not self.channels.together:
            counts.append(codelet.out.shape[3])
            groups = image.strides[3], kernel.strides[0], *(side.strides[3] for side in sides)
            for row, step in zip(steps, groups, strict=True):
                row.append(step)
        arguments = [function.argument(i) for i in range(len(self.dtypes))]
        plan, width = self._plan(), self.channels.width
        with walk(function, counts, arguments, self.dtypes, steps) as here:
            for start, count, lanes in panels(plan.columns, self.channels.columns, width):
                moved = self._moved(here, self._columns(start))
                along = [[step] for step in self._columns(lanes[-1].start + width)]
                with walk(function, [count], moved, self.dtypes, along) as panel:
                    self._panel(plan.rows, lanes, panel)

    def _plan(self) -> tiling.Tiling:
        """Tiles of neighbours in a row, and of vectors of channels."""
        codelet, channels = self.codelet, self.channels
        registers = self.function.module.features.registers
        rows, columns = codelet.out.shape[2], -(-channels.columns // channels.width)
        if channels.together:
            return tiling.Tiling(split(rows, ROWS_TOGETHER), split(columns, 1))
        terms = self._terms(1)
        if terms.count >= MANY_LEAVES * law.LEAF and not terms.has_equal_leaves:
            registers = min(registers, FEW_REGISTERS)
        return tiling.choose(rows, columns, max(terms.count, 1), registers)

    def _columns(self, count: int) -> list[int]:
        """How far image, kernel and sides move along so many columns of results."""
        channels, kernel = self.channels, self.codelet.kernel
        sides = [count * step for _, step in self.end.sides]
        if channels.together:
            return [count // channels.outputs * channels.group_step, count, *sides]
        return [0, count * kernel.strides[4], *sides]

    def _moved(self, places: Sequence[str], steps: Sequence[int]) -> list[str]:
        rows = zip(places, self.dtypes, steps, strict=True)
        return [offset(self.function, place, dtype, step) for place, dtype, step in rows]

    def _panel(self, runs: Sequence[Run], lanes: tuple[Lanes, ...], places: list[str]) -> None:
        """All rows of an image, in some vectors of channels."""
        codelet, function, sides = self.codelet, self.function, self.codelet.sides
        down = [codelet.stride[0] * codelet.image.strides[1], 0, *(x.strides[1] for x in sides)]
        right = [self.row_step, 0, *(x.strides[2] for x in sides)]
        with walk(
            function, [codelet.out.shape[1]], places, self.dtypes, [[step] for step in down]
        ) as row:
            for run in runs:
                first = self._moved(row, [run.start * step for step in right])
                along = [[run.size * step] for step in right]
                with walk(function, [run.count], first, self.dtypes, along) as tile:
                    self._tile(run.size, lanes, tile)

    def _tile(self, rows: int, lanes: tuple[Lanes, ...], places: list[str]) -> None:
        image, kernel, *sides = places
        function, arithmetic = self.function, self.channels.arithmetic
        terms = self._terms(rows * len(lanes))
        widths = [lane.width for lane in lanes] * rows
        starts = [arithmetic.start(terms.count, width) for width in widths]
        add = partial(self._add, rows, lanes)
        sums = Sums(function, arithmetic.kind, widths, starts, arithmetic.add, add)
        totals = sums.over(terms, Places(function, (self.dtypes[0], self.dtypes[1]), image, kernel))
        self.end.finish(
            [
                Ended((totals[row * len(lanes) + i],), lane, self._at(sides, row, lane))
                for row, (i, lane) in product(range(rows), enumerate(lanes))
            ]
        )

    def _at(self, sides: Sequence[str], row: int, lane: Lanes) -> tuple[str, ...]:
        """Where the outputs of a vector of sums are in each side."""
        rows = zip(self.codelet.sides, self.end.sides, sides, strict=True)
        return tuple(
            offset(self.function, place, dtype, row * side.strides[2] + lane.start * step)
            for side, (dtype, step), place in rows
        )

    def _terms(self, weight: int) -> Terms:
        codelet, channels = self.codelet, self.channels
        _, kh, kw, inputs, _ = codelet.kernel.shape
        image, kernel = codelet.image.strides, codelet.kernel.strides
        dimensions = [
            Dimension(kh, codelet.dilation[0] * image[1], kernel[1]),
            Dimension(kw, codelet.dilation[1] * image[2], kernel[2]),
        ]
        if channels.together:
            return Terms.of(dimensions, inputs, kernel[3], weight)
        return Terms.of([*dimensions, Dimension(inputs, image[4], kernel[3])], 1, 0, weight)

    def _add(
        self,
        rows: int,
        lanes: tuple[Lanes, ...],
        places: Places,
        terms: Sequence[Term],
        sums: list[str],
    ) -> list[str]:
        """Terms one after the other; of each, the kernel's vectors are read first and kept."""
        arithmetic, sums = self.channels.arithmetic, list(sums)
        read = Reading(self.function, self.channels, places.image)
        for term in terms:
            factors = [self._factor(places, term, lane) for lane in lanes]
            for row in range(rows):
                for i, lane in enumerate(lanes):
                    x = read(row * self.row_step + term.image, term.channel, lane)
                    at = row * len(lanes) + i
                    sums[at] = arithmetic.multiply_add(
                        self.function, lane.width, x, factors[i], sums[at]
                    )
        return sums

    def _factor(self, places: Places, term: Term, lane: Lanes) -> str:
        """A vector of the kernel."""
        kernel, function = self.codelet.kernel, self.function
        step = 1 if self.channels.together else kernel.strides[4]
        where = offset(function, places.kernel, kernel.dtype, term.kernel + lane.start * step)
        value = vectors.load(function, kernel.dtype, where, step, lane.width, lane.valid)
        working = self.channels.arithmetic.dtype
        return vectors.widen(function, value, kernel.dtype, working, lane.width)
