"""Convolutions: sums over a kernel's taps and input channels, in the law's `sequence`.

In: an image with whatever border its kernel reads, a kernel. Out: an image. Lanes are output
channels (see `channels.py`); a tile of neighbours in a row, times some vectors of channels, stays
in registers for a whole leaf of terms. Always: the order is that of `graph/law.py`, so that bits do
not hang on tiles, strides or the instruction set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.convolution.terms import Dimension, Places, Sums, Term, Terms
from tilewright.codelets.cut import Cut, over_images
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import offset
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count

FEW_REGISTERS = 16
ROWS_TOGETHER = 8
"""Neighbours of a row in a tile where each reads vectors of its own, with 32 registers; half as
many with 16."""
MANY_LEAVES = 8
"""Leaves from which on, if they are no loop, tiles are small so that the code is, too."""


@dataclass(frozen=True)
class Convolution(Codelet):
    """image (n, h, w, groups, in), kernel (groups, kh, kw, in, out), out (n, oh, ow, groups, out).

    Output (y, x) reads (y, x) * stride + tap * dilation, all of which lie inside the image.
    """

    image: Operand
    kernel: Operand
    out: Operand
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def name(self) -> str:
        groups, kh, kw, channels, _ = self.kernel.shape
        return f"conv_{kh}x{kw}x{channels}_{groups}_groups_{self.out.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.kernel)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Between images, else rows."""
        (n, height), taps = self.out.shape[:2], self.kernel.shape[1]
        return over_images(n, height, taps, self.stride[0], self.dilation[0], beside=1)

    @property
    def sum_dtype(self) -> str:
        return law.dot_working_dtype(self.image.dtype, self.kernel.dtype, self.out.dtype)

    @property
    def work(self) -> Count:
        macs = {self.sum_dtype: self.out.size * prod(self.kernel.shape[1:4])}
        return Count(
            macs, {}, nbytes(self.image, self.kernel), self.out.nbytes, prod(self.out.shape[:3])
        )

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, kernel = arrays
        size, made, groups = image.shape[1:3], self.out.shape[1:3], self.out.shape[3]
        x = image.reshape(*image.shape[:3], -1)
        pad = conv.exact_pads(size, made, kernel.shape[1:3], self.stride, self.dilation)
        result = conv.conv(
            x, kernel, stride=self.stride, pad=pad, dilation=self.dilation,
            groups=groups, dtype=self.out.dtype,
        )  # fmt: skip
        return (result.reshape(self.out.shape),)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
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

    def write(self) -> None:
        codelet, function = self.codelet, self.function
        image, kernel, out = codelet.image, codelet.kernel, codelet.out
        dtypes = [operand.dtype for operand in (image, kernel, out)]
        counts, steps = [out.shape[0]], [[image.strides[0]], [0], [out.strides[0]]]
        if not self.channels.together:
            counts.append(out.shape[3])
            for row, step in zip(
                steps, (image.strides[3], kernel.strides[0], out.strides[3]), strict=True
            ):
                row.append(step)
        arguments = [function.argument(i) for i in range(3)]
        plan, width = self._plan(), self.channels.width
        with walk(function, counts, arguments, dtypes, steps) as here:
            for start, count, lanes in panels(plan.columns, self.channels.columns, width):
                moved = self._moved(here, self._columns(start))
                along = [[step] for step in self._columns(lanes[-1].start + width)]
                with walk(function, [count], moved, dtypes, along) as panel:
                    self._panel(plan.rows, lanes, panel)

    def _plan(self) -> tiling.Tiling:
        """Tiles of neighbours in a row, and of vectors of channels."""
        codelet, channels = self.codelet, self.channels
        registers = self.function.module.features.registers
        rows, columns = codelet.out.shape[2], -(-channels.columns // channels.width)
        if channels.together:
            most = ROWS_TOGETHER if registers > FEW_REGISTERS else ROWS_TOGETHER // 2
            return tiling.Tiling(split(rows, most), split(columns, 1))
        terms = self._terms(1)
        if terms.count >= MANY_LEAVES * law.LEAF and not terms.has_equal_leaves:
            registers = min(registers, FEW_REGISTERS)
        return tiling.choose(rows, columns, max(terms.count, 1), registers)

    def _columns(self, count: int) -> tuple[int, int, int]:
        """How far image, kernel and out move along so many columns of results."""
        channels, kernel, out = self.channels, self.codelet.kernel, self.codelet.out
        if channels.together:
            return (count // channels.outputs * channels.group_step, count, count)
        return (0, count * kernel.strides[4], count * out.strides[4])

    def _moved(self, places: Sequence[str], steps: Sequence[int]) -> list[str]:
        codelet = self.codelet
        operands = (codelet.image, codelet.kernel, codelet.out)
        return [
            offset(self.function, place, operand.dtype, step)
            for place, operand, step in zip(places, operands, steps, strict=True)
        ]

    def _panel(self, runs: Sequence[Run], lanes: tuple[Lanes, ...], places: list[str]) -> None:
        """All rows of an image, in some vectors of channels."""
        codelet, function = self.codelet, self.function
        image, out = codelet.image, codelet.out
        dtypes = [operand.dtype for operand in (image, codelet.kernel, out)]
        down = [[codelet.stride[0] * image.strides[1]], [0], [out.strides[1]]]
        with walk(function, [out.shape[1]], places, dtypes, down) as row:
            for run in runs:
                first = self._moved(row, (run.start * self.row_step, 0, run.start * out.strides[2]))
                along = [[run.size * self.row_step], [0], [run.size * out.strides[2]]]
                with walk(function, [run.count], first, dtypes, along) as tile:
                    self._tile(run.size, lanes, tile)

    def _tile(self, rows: int, lanes: tuple[Lanes, ...], places: list[str]) -> None:
        image, kernel, out = places
        codelet, function, arithmetic = self.codelet, self.function, self.channels.arithmetic
        terms = self._terms(rows * len(lanes))
        widths = [lane.width for lane in lanes] * rows
        starts = [arithmetic.start(terms.count, width) for width in widths]
        add = partial(self._add, rows, lanes)
        sums = Sums(function, arithmetic.kind, widths, starts, arithmetic.add, add)
        dtypes = (codelet.image.dtype, codelet.kernel.dtype)
        totals = sums.over(terms, Places(function, dtypes, image, kernel))
        step = 1 if self.channels.together else codelet.out.strides[4]
        for row in range(rows):
            for i, lane in enumerate(lanes):
                total = totals[row * len(lanes) + i]
                total = vectors.narrow(
                    function, total, arithmetic.dtype, codelet.out.dtype, lane.width
                )
                where = row * codelet.out.strides[2] + lane.start * step
                where = offset(function, out, codelet.out.dtype, where)
                vectors.store(
                    function, codelet.out.dtype, total, where, step, lane.width, lane.valid
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
