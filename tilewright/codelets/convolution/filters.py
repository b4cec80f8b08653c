"""Gradients of convolutions for their kernels: sums over positions, in leaves of rows of one image.

In: an image with its border, the gradient of what the convolution made. Out: the gradient of the
kernel. Lanes are output channels; a tile of taps and input channels, times some vectors of output
channels, stays in registers for a whole leaf. Always: the leaves and the order are those of
`graph/law.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, LoopHandle, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.tiling import split
from tilewright.codelets.emit.vectors import offset
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count

MOST_WRITTEN = 64
"""Taps and channels whose places are written into code; of more, there are loops."""
SPARE = 4
"""Registers that a tile leaves for what it reads."""


@dataclass(frozen=True)
class FilterGradient(Codelet):
    """image (n, h, w, groups, in), gradient (n, oh, ow, groups, out), out (groups, kh, kw, in, out)

    Position (y, x) reads (y, x) * stride + tap * dilation, all of which lie inside the image.
    """

    image: Operand
    gradient: Operand
    out: Operand
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def name(self) -> str:
        n, oh, ow, *_ = self.gradient.shape
        return f"conv_filter_{self.out.label}_of_{n}x{oh}x{ow}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.gradient)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Between groups, else output channels: images and rows are summed over."""
        groups, *_, out = self.out.shape
        if groups >= ENOUGH_BATCHES:
            return Cut(groups, (3, 3, 0), along_lanes=out < LANES)
        return Cut(out, (None, 4, 4), along_lanes=True, grain=LANES)

    @property
    def sum_dtype(self) -> str:
        return law.dot_working_dtype(self.image.dtype, self.gradient.dtype, self.out.dtype)

    @property
    def work(self) -> Count:
        positions = prod(self.gradient.shape[:3])
        macs = {self.sum_dtype: self.out.size * positions}
        return Count(macs, {}, nbytes(self.image, self.gradient), self.out.nbytes, positions)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, gradient = (array.reshape(*array.shape[:3], -1) for array in arrays)
        groups, kh, kw, _, _ = self.out.shape
        size, made = image.shape[1:3], gradient.shape[1:3]
        pad = conv.exact_pads(size, made, (kh, kw), self.stride, self.dilation)
        result = conv.conv_filter(
            image, gradient, stride=self.stride, pad=pad, dilation=self.dilation, groups=groups,
            dtype=self.out.dtype, kernel=(kh, kw),
        )  # fmt: skip
        return (result,)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
        if self.out.size:
            _Writer(self, function).write()
        function.close()


@dataclass(frozen=True)
class _Row:
    """One tap and input channel: where it is read, and where its sums go."""

    image: int
    out: int
    channel: int


class _Writer:
    """Writes one gradient."""

    def __init__(self, codelet: FilterGradient, function: Function):
        self.codelet, self.function = codelet, function
        out, gradient = codelet.out.strides, codelet.gradient.strides
        sides = [(gradient[3], gradient[4]), (out[0], out[4])]
        bits = function.module.features.vector_bits
        count = codelet.out.shape[4]
        self.channels = Channels.of(codelet.image, sides, count, codelet.sum_dtype, bits)
        self.dtypes = [x.dtype for x in (codelet.image, codelet.gradient, codelet.out)]
        n, oh, ow, *_ = codelet.gradient.shape
        self.height = law.leaf_height(ow)
        self.leaves_of_one = -(-oh // self.height)
        self.leaves = n * self.leaves_of_one
        self.positions = n * oh * ow

    def write(self) -> None:
        codelet, function, channels = self.codelet, self.function, self.channels
        image, gradient, out = (x.strides for x in (codelet.image, codelet.gradient, codelet.out))
        places = [function.argument(i) for i in range(3)]
        counts = [1 if channels.together else codelet.out.shape[0]]
        steps = [[image[3]], [gradient[3]], [out[0]]]
        rows, columns = prod(codelet.out.shape[1:4]), -(-channels.columns // channels.width)
        with walk(function, counts, places, self.dtypes, steps) as group:
            plan = self._plan(rows, columns)
            for start, count, lanes in panels(plan.columns, channels.columns, channels.width):
                moved = self._moved(group, self._columns(start))
                along = [[step] for step in self._columns(lanes[-1].start + channels.width)]
                with walk(function, [count], moved, self.dtypes, along) as panel:
                    self._panel(max(run.size for run in plan.rows), lanes, panel)

    def _plan(self, rows: int, columns: int) -> tiling.Tiling:
        registers = self.function.module.features.registers
        if self.channels.together:
            return tiling.Tiling(split(rows, registers - SPARE), split(columns, 1))
        return tiling.choose(rows, columns, max(self.positions, 1), registers)

    def _columns(self, count: int) -> tuple[int, int, int]:
        """How far image, gradient and out move along so many columns of results."""
        channels, codelet = self.channels, self.codelet
        if channels.together:
            return (count // channels.outputs * channels.group_step, count, count)
        return (0, count * codelet.gradient.strides[4], count * codelet.out.strides[4])

    def _moved(self, places: Sequence[str], steps: Sequence[int]) -> list[str]:
        rows = zip(places, self.dtypes, steps, strict=True)
        return [offset(self.function, place, dtype, step) for place, dtype, step in rows]

    def _panel(self, tile: int, lanes: tuple[Lanes, ...], places: list[str]) -> None:
        """All taps and input channels, in some vectors of output channels."""
        codelet = self.codelet
        image, out = codelet.image.strides, codelet.out.strides
        counts = codelet.out.shape[1:4]
        steps = [
            (codelet.dilation[0] * image[1], out[1]),
            (codelet.dilation[1] * image[2], out[2]),
            (0 if self.channels.together else image[4], out[3]),
        ]
        level = 0
        while level < 2 and prod(counts[level:]) > MOST_WRITTEN:
            level += 1
        outer = [[a for a, _ in steps[:level]], [0] * level, [b for _, b in steps[:level]]]
        with walk(self.function, counts[:level], places, self.dtypes, outer) as inner:
            if prod(counts[level:]) > MOST_WRITTEN and not self.channels.together:
                self._channels(tile, lanes, inner, counts[2], steps[2])
                return
            rows = [
                _Row(
                    sum(i * a for i, (a, _) in zip(index, steps[level:], strict=True)),
                    sum(i * b for i, (_, b) in zip(index, steps[level:], strict=True)),
                    index[-1] if self.channels.together else 0,
                )
                for index in np.ndindex(*counts[level:])
            ]
            for run in split(len(rows), tile):
                for first in range(run.start, run.start + run.size * run.count, run.size):
                    self._tile(rows[first : first + run.size], lanes, inner)

    def _channels(
        self,
        tile: int,
        lanes: tuple[Lanes, ...],
        places: list[str],
        count: int,
        steps: tuple[int, int],
    ) -> None:
        """Many input channels of one tap: a loop over tiles of them."""
        image, out = steps
        for run in split(count, tile):
            first = self._moved(places, (run.start * image, 0, run.start * out))
            along = [[run.size * image], [0], [run.size * out]]
            with walk(self.function, [run.count], first, self.dtypes, along) as here:
                self._tile([_Row(i * image, i * out, 0) for i in range(run.size)], lanes, here)

    def _tile(self, rows: list[_Row], lanes: tuple[Lanes, ...], places: list[str]) -> None:
        """Sums over all positions, and their place in the result."""
        function, arithmetic, dtype = self.function, self.channels.arithmetic, self.dtypes[2]
        totals = self._sums(rows, lanes, places[0], places[1])
        step = self._columns(1)[2] if not self.channels.together else 1
        for i, row in enumerate(rows):
            for j, lane in enumerate(lanes):
                total = totals[i * len(lanes) + j]
                total = vectors.narrow(function, total, arithmetic.dtype, dtype, lane.width)
                where = offset(function, places[2], dtype, row.out + lane.start * step)
                vectors.store(function, dtype, total, where, step, lane.width, lane.valid)

    def _sums(
        self, rows: list[_Row], lanes: tuple[Lanes, ...], image: str, gradient: str
    ) -> list[str]:
        function, arithmetic = self.function, self.channels.arithmetic
        widths = [lane.width for lane in lanes] * len(rows)
        if not self.positions:
            return [arithmetic.start(0, width) for width in widths]
        before = self.leaves - 1
        if not before:
            return self._leaf(rows, lanes, "0", image, gradient, last=True)
        tree = Pairwise(function, arithmetic.kind, widths, arithmetic.add, before)
        with repeat(function, before) as turn:
            tree.push(turn.index, self._leaf(rows, lanes, turn.index, image, gradient))
        return tree.finish(self._leaf(rows, lanes, str(before), image, gradient, last=True))

    def _leaf(
        self,
        rows: list[_Row],
        lanes: tuple[Lanes, ...],
        number: str,
        image: str,
        gradient: str,
        last: bool = False,
    ) -> list[str]:
        """The sums of a leaf, by its number: a register or digits."""
        function, codelet, height = self.function, self.codelet, self.height
        oh = codelet.gradient.shape[1]
        one = self.leaves_of_one
        n = self._let("udiv", number, one)
        band = self._let("urem", number, one)
        rest = oh - (one - 1) * height
        if last or rest == height:
            lines: int | str = rest if last else height
        else:
            ends = function.let(f"icmp eq i64 {band}, {one - 1}")
            lines = function.let(f"select i1 {ends}, i64 {rest}, i64 {height}")
        image, gradient = (
            self._at(place, operand, n, band, lines_apart)
            for place, operand, lines_apart in (
                (image, codelet.image, codelet.stride[0]),
                (gradient, codelet.gradient, 1),
            )
        )
        return self._lines(rows, lanes, lines, image, gradient)

    def _at(self, place: str, operand: Operand, n: str, band: str, lines_apart: int) -> str:
        """Where a leaf begins: band of rows number `band` of image `n`."""
        place = offset(self.function, place, operand.dtype, self._let("mul", n, operand.strides[0]))
        down = self.height * lines_apart * operand.strides[1]
        return offset(self.function, place, operand.dtype, self._let("mul", band, down))

    def _let(self, operation: str, number: str, other: int | str) -> str:
        return self.function.let(f"{operation} i64 {number}, {other}")

    def _lines(
        self,
        rows: list[_Row],
        lanes: tuple[Lanes, ...],
        count: int | str,
        image: str,
        gradient: str,
    ) -> list[str]:
        function, codelet, arithmetic = self.function, self.codelet, self.channels.arithmetic
        widths = [lane.width for lane in lanes] * len(rows)
        starts = [arithmetic.start(self.positions, width) for width in widths]
        kinds = [vector(arithmetic.kind, width) for width in widths]
        first = [*zip(kinds, starts, strict=True), ("ptr", image), ("ptr", gradient)]
        down = (codelet.stride[0] * codelet.image.strides[1], codelet.gradient.strides[1])
        along = (codelet.stride[1] * codelet.image.strides[2], codelet.gradient.strides[2])
        loop = (
            repeat(function, count, first)
            if isinstance(count, int)
            else function.loop(0, count, carry=first)
        )
        with loop as line:
            *sums, x, g = line.carry
            inside = [*zip(kinds, sums, strict=True), ("ptr", x), ("ptr", g)]
            with repeat(function, codelet.gradient.shape[2], inside) as position:
                *sums, here, there = position.carry
                sums = self._add(rows, lanes, here, there, sums)
                self._advance(position, sums, here, there, along)
            self._advance(line, position.result[:-2], x, g, down)
        return line.result[:-2]

    def _advance(
        self, loop: LoopHandle, sums: list[str], image: str, gradient: str, steps: tuple[int, int]
    ) -> None:
        loop.next[:] = [
            *sums,
            offset(self.function, image, self.dtypes[0], steps[0]),
            offset(self.function, gradient, self.dtypes[1], steps[1]),
        ]

    def _add(
        self, rows: list[_Row], lanes: tuple[Lanes, ...], image: str, gradient: str, sums: list[str]
    ) -> list[str]:
        """One position."""
        function, arithmetic, dtype = self.function, self.channels.arithmetic, self.dtypes[1]
        step = self._columns(1)[1] if not self.channels.together else 1
        read, sums = Reading(function, self.channels, image), list(sums)
        factors = []
        for lane in lanes:
            where = offset(function, gradient, dtype, lane.start * step)
            value = vectors.load(function, dtype, where, step, lane.width, lane.valid)
            factors.append(vectors.widen(function, value, dtype, arithmetic.dtype, lane.width))
        for i, row in enumerate(rows):
            for j, lane in enumerate(lanes):
                x = read(row.image, row.channel, lane)
                at = i * len(lanes) + j
                sums[at] = arithmetic.multiply_add(function, lane.width, x, factors[j], sums[at])
        return sums
