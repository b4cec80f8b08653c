"""Gradients of convolutions for their kernels: sums over positions, in leaves of rows of one image.

In: an image with its border, the gradient of what the convolution made. Out: the gradient of the
kernel. Lanes are output channels; a tile of taps and input channels, times some vectors of output
channels, stays in registers for a whole leaf. Always: the leaves and the order are those of
`graph/law.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, LoopHandle, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise, levels, pitch
from tilewright.codelets.emit.tiling import split
from tilewright.codelets.emit.vectors import itemsize, number_of, offset
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count

MOST_WRITTEN = 64
"""Taps and channels whose places are written into code; of more, there are loops."""
SPARE = 4
"""Registers that a tile leaves for what it reads."""
MOST_WAITING = 256 << 10
"""Bytes of sums of leaves that wait for others: of all taps together, or else of some."""


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
    """One tap and input channel: where it is read, where its sums go, and where they wait (in
    bytes)."""

    image: int
    out: int
    waiting: int
    channel: int


@dataclass(frozen=True)
class _Leaf:
    """Where it begins in the image and in the gradient; a number of rows, or a register with it."""

    image: str
    gradient: str
    lines: int | str


@dataclass(frozen=True)
class _Part:
    """Which of the tiles that are written out, in how many turns of loops; in each turn the sums
    that wait are so many bytes further."""

    tile: int
    tiles: int
    turns: int
    bytes_a_turn: int


@dataclass(frozen=True)
class _Next:
    """The next leaf: bytes from this one's image and gradient to its own, how many neighbouring
    channels of both are read, and where sums wait in the first turn.

    Each tile asks for its part of every row. What is asked for twice costs time, too.
    """

    codelet: FilterGradient
    image_away: str
    gradient_away: str
    channels: tuple[int, int]
    waiting: str

    def part(self, function: Function, part: _Part, waiting: str) -> Callable[[str, str], None]:
        """(where a row is in the image, in the gradient) -> asks for a tile's part of it."""
        codelet, count = self.codelet, self.codelet.gradient.shape[2]
        chunk = -(-count // (part.tiles * part.turns))
        here, first = (number_of(function, place) for place in (waiting, self.waiting))
        gone = function.let(f"sub i64 {here}, {first}")
        turn = function.let(f"udiv i64 {gone}, {part.bytes_a_turn}")
        sides = []
        for operand, step, away, channels in (
            (codelet.image, codelet.stride[1], self.image_away, self.channels[0]),
            (codelet.gradient, 1, self.gradient_away, self.channels[1]),
        ):
            pitch = step * operand.strides[2] * itemsize(operand.dtype)
            moved = function.let(f"mul i64 {turn}, {part.tiles * chunk * pitch}")
            away = function.let(f"add i64 {away}, {moved}")
            places = [(part.tile * chunk + i) * pitch for i in range(chunk)]
            sides.append((away, places, channels * itemsize(operand.dtype)))

        def ask(*rows: str) -> None:
            for row, (away, places, length) in zip(rows, sides, strict=True):
                there = function.address(row, "i8", away)
                for place in places:
                    vectors.prefetch(function, function.address(there, "i8", place), length)

        return ask


Visit = Callable[[list[_Row], tuple[Lanes, ...], list[str], _Part], None]
"""(taps and channels, output channels, places, which tile) -> writes one tile."""


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
        function, before = self.function, self.leaves - 1
        size = pitch(self.channels.arithmetic.kind, [lane.width for lane in lanes]) * len(lanes)
        counts = self.codelet.out.shape[1:4]
        outside = 0
        while outside < 2 and prod(counts[outside:]) * size * levels(before) > MOST_WAITING:
            outside += 1
        taps = _Taps(self, tile, lanes, size)
        with taps.walk(0, outside, [*places, "null"]) as (image, gradient, out, _):
            if not self.positions:
                taps.visit(outside, [image, gradient, out, "null"], self._nothing)
                return
            step = prod(counts[outside:]) * size
            waiting = function.reserve("i8", levels(before) * step) if before else "null"
            if before:
                with repeat(function, before) as turn:
                    leaf = self._leaf(turn.index, image, gradient)
                    ahead = self._ahead(leaf, turn.index, (image, gradient, waiting), lanes)
                    push = partial(self._push, turn.index, step, leaf.lines, ahead)
                    taps.visit(outside, [leaf.image, leaf.gradient, out, waiting], push)
            leaf = self._leaf(str(before), image, gradient, last=True)
            finish = partial(self._finish, step, leaf.lines)
            taps.visit(outside, [leaf.image, leaf.gradient, out, waiting], finish)

    def _nothing(
        self, rows: list[_Row], lanes: tuple[Lanes, ...], places: list[str], part: _Part
    ) -> None:
        """Sums over no position."""
        widths = [lane.width for lane in lanes] * len(rows)
        self._store(rows, lanes, places[2], [self.channels.arithmetic.start(0, w) for w in widths])

    def _push(
        self,
        number: str,
        step: int,
        lines: int | str,
        ahead: _Next | None,
        rows: list[_Row],
        lanes: tuple[Lanes, ...],
        places: list[str],
        part: _Part,
    ) -> None:
        """Sums over a leaf, kept until others come."""
        image, gradient, _, waiting = places
        ask = ahead.part(self.function, part, waiting) if ahead else None
        sums = self._lines(rows, lanes, lines, image, gradient, ask)
        self._tree(rows, lanes, waiting, step).push(number, sums)

    def _finish(
        self,
        step: int,
        lines: int | str,
        rows: list[_Row],
        lanes: tuple[Lanes, ...],
        places: list[str],
        part: _Part,
    ) -> None:
        """Sums over the last leaf, all that waits, and their place in the result."""
        image, gradient, out, waiting = places
        sums = self._lines(rows, lanes, lines, image, gradient)
        self._store(rows, lanes, out, self._tree(rows, lanes, waiting, step).finish(sums))

    def _tree(
        self, rows: list[_Row], lanes: tuple[Lanes, ...], waiting: str, step: int
    ) -> Pairwise:
        arithmetic = self.channels.arithmetic
        widths = [lane.width for lane in lanes] * len(rows)
        place = offset(self.function, waiting, "int8", rows[0].waiting)
        return Pairwise(
            self.function, arithmetic.kind, widths, arithmetic.add, self.leaves - 1, (place, step)
        )

    def _store(
        self, rows: list[_Row], lanes: tuple[Lanes, ...], out: str, totals: Sequence[str]
    ) -> None:
        function, arithmetic, dtype = self.function, self.channels.arithmetic, self.dtypes[2]
        step = self._columns(1)[2] if not self.channels.together else 1
        for i, row in enumerate(rows):
            for j, lane in enumerate(lanes):
                total = totals[i * len(lanes) + j]
                total = vectors.narrow(function, total, arithmetic.dtype, dtype, lane.width)
                where = offset(function, out, dtype, row.out + lane.start * step)
                vectors.store(function, dtype, total, where, step, lane.width, lane.valid)

    def _leaf(self, number: str, image: str, gradient: str, last: bool = False) -> _Leaf:
        """A leaf by its number: a register or digits."""
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
        image = self._at(image, codelet.image, n, band, codelet.stride[0])
        return _Leaf(image, self._at(gradient, codelet.gradient, n, band, 1), lines)

    def _ahead(
        self, leaf: _Leaf, number: str, places: tuple[str, str, str], lanes: tuple[Lanes, ...]
    ) -> _Next | None:
        """The leaf after the one with this number; of a single group's channels most have been read
        for others."""
        function, codelet, channels = self.function, self.codelet, self.channels
        if codelet.image.shape[3] == 1:
            return None
        image, gradient, waiting = places
        after = self._leaf(function.let(f"add i64 {number}, 1"), image, gradient)
        away = [
            function.let(f"sub i64 {number_of(function, there)}, {number_of(function, here)}")
            for here, there in ((leaf.image, after.image), (leaf.gradient, after.gradient))
        ]
        columns = lanes[-1].start + lanes[-1].width
        read = channels.inputs * (columns // channels.outputs if channels.together else 1)
        return _Next(codelet, away[0], away[1], (read, columns), waiting)

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
        ask: Callable[[str, str], None] | None = None,
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
            if ask:
                ask(x, g)
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

        @cache
        def factor(number: int) -> str:
            lane = lanes[number]
            where = offset(function, gradient, dtype, lane.start * step)
            value = vectors.load(function, dtype, where, step, lane.width, lane.valid)
            return vectors.widen(function, value, dtype, arithmetic.dtype, lane.width)

        order = product(range(len(rows)), range(len(lanes)))
        if len(rows) < len(lanes):  # those vectors are kept of which there are fewer
            order = sorted(order, key=lambda place: place[1])
        for i, j in order:
            x = read(rows[i].image, rows[i].channel, lanes[j])
            at = i * len(lanes) + j
            y = factor(j)
            sums[at] = arithmetic.multiply_add(function, lanes[j].width, x, y, sums[at])
        return sums


class _Taps:
    """Tiles of taps and input channels, in some vectors of output channels.

    Places are those of the image, the gradient, the result, and of sums that wait, `size` bytes for
    each tap and channel.
    """

    def __init__(self, writer: _Writer, tile: int, lanes: tuple[Lanes, ...], size: int):
        self.function, self.tile, self.lanes, self.size = writer.function, tile, lanes, size
        codelet, self.together = writer.codelet, writer.channels.together
        image, out = codelet.image.strides, codelet.out.strides
        self.dtypes = [*writer.dtypes, "int8"]
        self.counts = codelet.out.shape[1:4]
        self.steps = [
            (codelet.dilation[0] * image[1], out[1]),
            (codelet.dilation[1] * image[2], out[2]),
            (0 if self.together else image[4], out[3]),
        ]

    def walk(
        self, first: int, end: int, places: Sequence[str]
    ) -> AbstractContextManager[list[str]]:
        """Loops over the dimensions first ... end - 1 of tap rows, tap columns, channels."""
        steps = [
            [image, 0, out, prod(self.counts[first + i + 1 :]) * self.size]
            for i, (image, out) in enumerate(self.steps[first:end])
        ]
        rows = [list(row) for row in zip(*steps, strict=True)] or [[]] * 4
        return walk(self.function, self.counts[first:end], places, self.dtypes, rows)

    def visit(self, outside: int, places: Sequence[str], body: Visit) -> None:
        """All tiles of the dimensions from `outside` on."""
        counts, level = self.counts, outside
        while level < 2 and prod(counts[level:]) > MOST_WRITTEN:
            level += 1
        with self.walk(outside, level, places) as here:
            if prod(counts[level:]) > MOST_WRITTEN and not self.together:
                self._channels(outside, here, body)
                return
            rows = [
                self._row(level, i, index) for i, index in enumerate(np.ndindex(*counts[level:]))
            ]
            runs = split(len(rows), self.tile)
            tiles = [(run.start + i * run.size, run.size) for run in runs for i in range(run.count)]
            for number, (first, size) in enumerate(tiles):
                turns = prod(counts[outside:level])
                part = _Part(number, len(tiles), turns, len(rows) * self.size)
                body(rows[first : first + size], self.lanes, here, part)

    def _row(self, level: int, number: int, index: tuple[int, ...]) -> _Row:
        image, out = (
            sum(i * step[side] for i, step in zip(index, self.steps[level:], strict=True))
            for side in (0, 1)
        )
        return _Row(image, out, number * self.size, index[-1] if self.together else 0)

    def _channels(self, outside: int, places: Sequence[str], body: Visit) -> None:
        """Many input channels of one tap: a loop over tiles of them."""
        image, out = self.steps[2]
        for run in split(self.counts[2], self.tile):
            steps = [image, 0, out, self.size]
            rows = zip(places, self.dtypes, steps, strict=True)
            first = [offset(self.function, p, d, run.start * step) for p, d, step in rows]
            along = [[run.size * step] for step in steps]
            with walk(self.function, [run.count], first, self.dtypes, along) as here:
                made = [_Row(i * image, i * out, i * self.size, 0) for i in range(run.size)]
                turns = prod(self.counts[outside:2]) * run.count
                body(made, self.lanes, here, _Part(0, 1, turns, run.size * self.size))
