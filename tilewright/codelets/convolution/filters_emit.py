"""How the gradient of a convolution for its kernel is written.

In: a `FilterGradient`. Out: LLVM text. Lanes are output channels; a tile of taps and input
channels, times some vectors of output channels, stays in registers for a whole leaf of positions,
and sums of leaves wait for others; the next leaf is asked for meanwhile. How the positions of a
leaf are added up is in `filters_rows.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import Operand
from tilewright.codelets.convolution.channels import Channels
from tilewright.codelets.convolution.filters_rows import Leaf, Read, sums_over
from tilewright.codelets.convolution.filters_taps import Part, Row, Taps
from tilewright.codelets.convolution.filters_words import Words
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise, levels, pitch
from tilewright.codelets.emit.tiling import split
from tilewright.codelets.emit.vectors import itemsize, number_of, offset
from tilewright.frozen import frozen
from tilewright.graph import law

if TYPE_CHECKING:
    from tilewright.codelets.convolution.filters import FilterGradient

SPARE = 4
"""Registers that a tile leaves for what it reads."""
MOST_WAITING = 256 << 10
"""Bytes of sums of leaves that wait for others: of all taps together, or else of some."""


def emit(codelet: FilterGradient, module: Module, symbol: str) -> None:
    function = module.function(symbol, "void", ["ptr"] * 3)
    if codelet.out.size:
        Writer(codelet, function).write()
    function.close()


@frozen
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

    def part(self, function: Function, part: Part, waiting: str) -> Callable[[str, str], None]:
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


class Writer:
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
        read = Read.of(self.codelet, self.channels)
        given = Taps(function, read, tile, lanes, size)
        with given.walk(0, outside, [*places, "null"]) as (image, gradient, out, _):
            if not self.positions:
                given.visit(outside, [image, gradient, out, "null"], self._nothing)
                return
            words = Words.of(self.codelet, self.channels, lanes, outside, function)
            taps = Taps(function, words.read, tile, lanes, size) if words else given
            step = prod(counts[outside:]) * size
            waiting = function.reserve("i8", levels(before) * step) if before else "null"
            if before:
                with repeat(function, before) as turn:
                    leaf = self._leaf(turn.index, image, gradient)
                    away = self._away(leaf, turn.index, image, gradient)
                    ahead = self._ahead(away, waiting, lanes)
                    if words:
                        leaf, ahead = words.laid(leaf, away if ahead else None), None
                    elif not ahead:
                        leaf = replace(leaf, away=away[0])
                    push = partial(self._push, taps.read, turn.index, step, leaf, ahead)
                    taps.visit(outside, [leaf.image, leaf.gradient, out, waiting], push)
            leaf = self._leaf(str(before), image, gradient, last=True)
            leaf = words.laid(leaf, None) if words else leaf
            finish = partial(self._finish, taps.read, step, leaf.lines)
            taps.visit(outside, [leaf.image, leaf.gradient, out, waiting], finish)

    def _nothing(
        self, rows: list[Row], lanes: tuple[Lanes, ...], places: list[str], part: Part
    ) -> None:
        """Sums over no position."""
        widths = [lane.width for lane in lanes] * len(rows)
        self._store(rows, lanes, places[2], [self.channels.arithmetic.start(0, w) for w in widths])

    def _push(
        self,
        read: Read,
        number: str,
        step: int,
        leaf: Leaf,
        ahead: _Next | None,
        rows: list[Row],
        lanes: tuple[Lanes, ...],
        places: list[str],
        part: Part,
    ) -> None:
        """Sums over a leaf, kept until others come."""
        image, gradient, _, waiting = places
        ask = ahead.part(self.function, part, waiting) if ahead else None
        here = replace(leaf, image=image, gradient=gradient)
        sums = self._sums(read, rows, lanes, here, ask)
        self._tree(rows, lanes, waiting, step).push(number, sums)

    def _finish(
        self,
        read: Read,
        step: int,
        lines: int | str,
        rows: list[Row],
        lanes: tuple[Lanes, ...],
        places: list[str],
        part: Part,
    ) -> None:
        """Sums over the last leaf, all that waits, and their place in the result."""
        image, gradient, out, waiting = places
        sums = self._sums(read, rows, lanes, Leaf(image, gradient, lines))
        self._store(rows, lanes, out, self._tree(rows, lanes, waiting, step).finish(sums))

    def _tree(self, rows: list[Row], lanes: tuple[Lanes, ...], waiting: str, step: int) -> Pairwise:
        arithmetic = self.channels.arithmetic
        widths = [lane.width for lane in lanes] * len(rows)
        place = offset(self.function, waiting, "int8", rows[0].waiting)
        return Pairwise(
            self.function, arithmetic.kind, widths, arithmetic.add, self.leaves - 1, (place, step)
        )

    def _store(
        self, rows: list[Row], lanes: tuple[Lanes, ...], out: str, totals: Sequence[str]
    ) -> None:
        function, arithmetic, dtype = self.function, self.channels.arithmetic, self.dtypes[2]
        step = self._columns(1)[2] if not self.channels.together else 1
        for i, row in enumerate(rows):
            for j, lane in enumerate(lanes):
                total = totals[i * len(lanes) + j]
                total = vectors.narrow(function, total, arithmetic.dtype, dtype, lane.width)
                where = offset(function, out, dtype, row.out + lane.start * step)
                vectors.store(function, dtype, total, where, step, lane.width, lane.valid)

    def _leaf(self, number: str, image: str, gradient: str, last: bool = False) -> Leaf:
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
        return Leaf(image, self._at(gradient, codelet.gradient, n, band, 1), lines)

    def _away(self, leaf: Leaf, number: str, image: str, gradient: str) -> tuple[str, str]:
        """Bytes from the leaf with this number to the next one, in the image and the gradient."""
        function = self.function
        after = self._leaf(function.let(f"add i64 {number}, 1"), image, gradient)
        one, other = (
            function.let(f"sub i64 {number_of(function, there)}, {number_of(function, here)}")
            for here, there in ((leaf.image, after.image), (leaf.gradient, after.gradient))
        )
        return one, other

    def _ahead(self, away: tuple[str, str], waiting: str, lanes: tuple[Lanes, ...]) -> _Next | None:
        """The next leaf; of a single group, it is asked for position by position."""
        codelet, channels = self.codelet, self.channels
        if codelet.image.shape[3] == 1:
            return None
        columns = lanes[-1].start + lanes[-1].width
        read = channels.inputs * (columns // channels.outputs if channels.together else 1)
        return _Next(codelet, *away, (read, columns), waiting)

    def _at(self, place: str, operand: Operand, n: str, band: str, lines_apart: int) -> str:
        """Where a leaf begins: band of rows number `band` of image `n`."""
        place = offset(self.function, place, operand.dtype, self._let("mul", n, operand.strides[0]))
        down = self.height * lines_apart * operand.strides[1]
        return offset(self.function, place, operand.dtype, self._let("mul", band, down))

    def _let(self, operation: str, number: str, other: int | str) -> str:
        return self.function.let(f"{operation} i64 {number}, {other}")

    def _sums(
        self,
        read: Read,
        rows: list[Row],
        lanes: tuple[Lanes, ...],
        leaf: Leaf,
        ask: Callable[[str, str], None] | None = None,
    ) -> list[str]:
        """Over a leaf."""
        widths = [lane.width for lane in lanes] * len(rows)
        starts = [self.channels.arithmetic.start(self.positions, width) for width in widths]
        return sums_over(self.function, read, rows, lanes, leaf, starts, ask)
