"""How a convolution's vertex is written.

In: a `Convolution`. Out: LLVM text. A tile of neighbours in a row, times some vectors of channels,
stays in registers for a whole leaf of terms; the next rows of the image are asked for meanwhile.
Terms that read padding are left out (see `padding.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import Operand
from tilewright.codelets.convolution.ahead import Ahead
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.convolution.padding import Doubts, Line, Rows, columns_apart
from tilewright.codelets.convolution.pairs import WORD, in_words
from tilewright.codelets.convolution.streams import forget, in_streams
from tilewright.codelets.convolution.terms import Dimension, Places, Sums, Term, Terms
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.epilogue import Epilogue
from tilewright.codelets.emit.epilogue import Sums as Ended
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.pairs import multiply_add, multiply_add_from, reads_memory
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import itemsize, number_of, offset
from tilewright.frozen import frozen
from tilewright.graph import law

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution

FEW_REGISTERS = 16
ROWS_TOGETHER = 8
"""Neighbours of a row in a tile where each reads vectors of its own. Of 16 registers too: a
kernel's vector, and the image's that neighbours share, are then read less often."""
KEPT = 9
"""A kernel's vectors, up to which they stay in registers."""
ROWS_SHARED, WRITTEN_SHARED = 14, 600
"""The same where a pixel serves all taps of a row, and multiply-adds that are written out there."""
WRITTEN_APART = 60
"""Multiply-adds that are written out for each column of taps, where columns are told apart."""
MUCH = 1 << 20
"""Multiply-adds of a term that is never written beside others."""
MANY_LEAVES = 8
"""Leaves from which on, if they are no loop, tiles are small so that the code is, too."""


def emit(codelet: Convolution, module: Module, symbol: str) -> None:
    """The codelet as a function of its arguments' places."""
    function = module.function(symbol, "void", ["ptr"] * (len(codelet.sides) + 2))
    if codelet.out.size:
        _Writer(in_words(codelet) if codelet.paired else codelet, function).write()
    function.close()


Asked = Sequence[tuple[Ahead, str]]
"""What is asked for, and from which place on."""


@frozen
class _Tile:
    """The first of a run of tiles, or all of them; vectors of channels; what is known of padding,
    where some terms read it."""

    run: Run
    lanes: tuple[Lanes, ...]
    columns: Line | None = None
    doubts: Doubts | None = None

    @property
    def rows(self) -> int:
        return self.run.size

    def taken(self, column: int) -> Sequence[int]:
        """The neighbours that read the image at a column of taps."""
        return self.columns.taken(self.run, column) if self.columns else range(self.rows)

    def look(self, column: int, lane: Lanes, factor: str) -> None:
        """At a vector of the kernel that some neighbours do not read."""
        if self.doubts and len(self.taken(column)) < self.rows:
            self.doubts.look(factor, lane.width)


class _Writer:
    """Writes one convolution."""

    def __init__(self, codelet: Convolution, function: Function):
        self.codelet, self.function = codelet, function
        kernel, out = codelet.kernel, codelet.out
        sides = [(side.strides[-5 + at], side.strides[-1]) for side, at in ((kernel, 0), (out, 3))]
        bits = function.module.features.vector_bits
        factors = WORD if codelet.paired else None
        self.channels = Channels.of(
            codelet.image, sides, kernel.shape[4], codelet.sum_dtype, bits, factors
        )
        registers = function.module.features.registers
        self.shares = self.channels.together and kernel.shape[3] > 1 and registers > FEW_REGISTERS
        """Whether what is read of a pixel is kept for all taps of a row."""
        self.columns = columns_apart(codelet)
        self.rows_apart = Rows.are_told_apart(codelet)
        if self._terms(1).has_loop_of_leaves:
            self.columns, self.rows_apart = None, False
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
        """Images; then all groups of a row, or all rows of a group's panel."""
        codelet, function = self.codelet, self.function
        image, sides = codelet.image, codelet.sides
        n, high, _, groups, _ = codelet.out.shape
        plan, width, by_row = self._plan(), self.channels.width, self._is_by_row
        tiles = sum(run.count for run in plan.rows)
        abreast = list(panels(plan.columns, self.channels.columns, width))
        steps = tiles * sum(count for _, count, _ in abreast)
        apart = 1 if self.channels.together else groups
        ahead = self._ahead(steps * apart)
        self.dtypes += [each.image.dtype for each in ahead]
        images = [
            image.strides[0],
            0,
            *(x.strides[0] for x in (*sides, *(each.image for each in ahead))),
        ]
        down = codelet.stride[0] * image.strides[1]
        rows = [down, 0, *(side.strides[1] for side in sides), *(each.down for each in ahead)]
        outer = [(n, images), (high, rows)] if by_row else [(n, images)]
        if not self.channels.together:
            across = [x.strides[3] for x in sides]
            shares = [steps * each.share for each in ahead]
            outer.append((groups, [image.strides[3], codelet.kernel.strides[0], *across, *shares]))
        arguments = [function.argument(i) for i in range(2 + len(sides))]
        for each, at in zip(ahead, (0, 2), strict=False):
            arguments.append(offset(function, arguments[at], each.image.dtype, each.first))
        done = 0
        with self._walk(outer, arguments) as here:
            for start, count, lanes in abreast:
                before = [done * each.share for each in ahead]
                moved = self._moved(here, [*self._columns(start), *before])
                a_row = [tiles * each.share for each in ahead]
                inner = [(count, [*self._columns(lanes[-1].start + width), *a_row])]
                with self._walk(inner if by_row else [*inner, (high, rows)], moved) as row:
                    self._row(plan.rows, lanes, row, ahead)
                done += count * tiles

    def _ahead(self, steps: int) -> tuple[Ahead, ...]:
        """Of the image; of what is written too, where little is computed for each element.
        Channels by themselves are read vector after vector, and need neither."""
        codelet = self.codelet
        if not self._is_by_row or codelet.kernel.shape[3] == 1:
            return ()
        window = (codelet.kernel.shape[1] - 1) * codelet.dilation[0] + 1
        read = Ahead.of(codelet.image, codelet.stride[0], window, steps, "read")
        if not self.shares:
            return (read,)
        return read, Ahead.of(codelet.out, 1, 1, steps, "write")

    @property
    def _is_by_row(self) -> bool:
        """Whether the kernel is the smaller to be read again for each row: it then stays near, and
        all channels of a pixel are read while its row is. A few vectors stay in registers instead.
        """
        image, kernel = self.codelet.image, self.codelet.kernel
        kept = self.channels.together and prod(kernel.shape[1:4]) <= KEPT
        sizes = zip(image.shape[1:], image.strides[1:], strict=True)
        return kernel.size <= prod(size for size, step in sizes if step) and not kept

    def _walk(
        self, dimensions: Sequence[tuple[int, list[int]]], places: Sequence[str]
    ) -> AbstractContextManager[list[str]]:
        """Loops over (count, steps of all places)."""
        steps = [list(row) for row in zip(*(steps for _, steps in dimensions), strict=True)]
        counts = [count for count, _ in dimensions]
        return walk(self.function, counts, places, self.dtypes, steps)

    def _plan(self) -> tiling.Tiling:
        """Tiles of neighbours in a row, and of vectors of channels."""
        plan = self._whole_plan()
        if self.columns is None:
            return plan
        return replace(plan, rows=tuple(self.columns.told_apart(plan.rows)))

    def _whole_plan(self) -> tiling.Tiling:
        codelet, channels = self.codelet, self.channels
        registers = self.function.module.features.registers
        rows, columns = codelet.out.shape[2], -(-channels.columns // channels.width)
        if channels.together:
            size = ROWS_SHARED if self.shares else ROWS_TOGETHER
            return tiling.Tiling(split(rows, size), split(columns, 1))
        terms = self._terms(1)
        if terms.count >= MANY_LEAVES * terms.leaf and not terms.has_equal_leaves:
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

    def _row(
        self,
        runs: Sequence[Run],
        lanes: tuple[Lanes, ...],
        places: list[str],
        ahead: tuple[Ahead, ...],
    ) -> None:
        """A row of an image, in some vectors of channels."""
        right = [self.row_step, 0, *(side.strides[2] for side in self.codelet.sides)]
        shares, done = [each.share for each in ahead], 0
        for run in runs:
            before = [done * share for share in shares]
            first = self._moved(places, [*(run.start * step for step in right), *before])
            along = [*(run.size * step for step in right), *shares]
            with self._walk([(run.count, along)], first) as tile:
                asked = list(zip(ahead, tile[len(right) :], strict=True))
                self._tile(run, lanes, tile[: len(right)], asked)
            done += run.count

    def _ask(self, ahead: Asked, part: int = 0, parts: int = 1) -> None:
        for each, place in ahead:
            each.ask(self.function, place, part, parts)

    def _ask_along(self, ahead: Asked, kernel: str, at: str, terms: int, total: int) -> None:
        """For the share of terms whose kernel is at a place, of a tile's whose kernel is at one."""
        function, operand = self.function, self.codelet.kernel
        gone = function.let(f"sub i64 {number_of(function, at)}, {number_of(function, kernel)}")
        step = operand.strides[3] * itemsize(operand.dtype)
        number = function.let(f"udiv i64 {gone}, {max(step, 1)}")
        for each, place in ahead:
            each.ask_along(function, place, number, terms, total)

    def _tile(self, run: Run, lanes: tuple[Lanes, ...], places: list[str], ahead: Asked) -> None:
        image, kernel, *sides = places
        clipping = self.columns if self.columns and self.columns.clips(run) else None
        doubts = None
        if clipping or self.rows_apart:
            widths = [lane.width for lane in lanes]
            doubts = Doubts(self.function, self.channels.factors, widths)
        tile = _Tile(run, lanes, clipping, doubts)
        totals = self._sums(tile, image, kernel, ahead, run.size * len(lanes))
        if doubts:
            totals = self._without_doubt(tile, doubts, image, kernel, totals)
        self.end.finish(
            [
                Ended((total,), lane, self._at(sides, row, lane))
                for total, (row, lane) in zip(totals, self._each(tile), strict=True)
            ]
        )

    def _each(self, tile: _Tile) -> Sequence[tuple[int, Lanes]]:
        """Of all vectors of sums, neighbour and lanes."""
        return list(product(range(tile.rows), tile.lanes))

    def _sums(self, tile: _Tile, image: str, kernel: str, ahead: Asked, weight: int) -> list[str]:
        """Of a tile, where the image and the kernel are at places; `weight` as of `Terms`."""
        function, arithmetic = self.function, self.channels.arithmetic
        apart = tile.doubts is not None and self.rows_apart
        terms = self._terms(weight, apart, tile.columns is not None)
        widths = [lane.width for _, lane in self._each(tile)]
        products = 2 * terms.count if self.codelet.paired else terms.count
        starts = [arithmetic.start(products, width) for width in widths]

        def asked_along(at: str, number: int) -> None:
            if ahead:
                self._ask_along(ahead, kernel, at, number, terms.count)

        if self.shares:
            add = partial(self._add_in_streams, tile, ahead)
        else:
            add = partial(self._add, tile, asked_along)
        rows = Rows.of(self.codelet, function, image) if apart else None
        sums = Sums(
            function, arithmetic.kind, widths, starts, arithmetic.add, add, rows,
            partial(self._look, tile),
        )  # fmt: skip
        return sums.over(terms, Places(function, (self.dtypes[0], self.dtypes[1]), image, kernel))

    def _without_doubt(
        self, tile: _Tile, doubts: Doubts, image: str, kernel: str, totals: Sequence[str]
    ) -> list[str]:
        """Totals of all terms, where those with padding may matter."""
        function, kind = self.function, self.channels.arithmetic.kind
        each = [(vector(kind, lane.width), row, lane) for row, lane in self._each(tile)]
        known = zip(totals, each, strict=True)
        found = [Register(function, kind, lane.width, name) for name, (_, _, lane) in known]
        with branch(function, doubts.are_any(found)) as otherwise:
            again = [
                function.call(
                    row_type, self._again(lane),
                    ("ptr", offset(function, image, self.dtypes[0], row * self.row_step)),
                    ("ptr", kernel),
                )
                for row_type, row, lane in each
            ]  # fmt: skip
            inside = function.block
            otherwise()
            outside = function.block
        return [
            function.let(f"phi {row_type} [ {new}, %{inside} ], [ {old}, %{outside} ]")
            for new, old, (row_type, _, _) in zip(again, totals, each, strict=True)
        ]

    def _again(self, lane: Lanes) -> str:
        """The symbol of a function that sums all terms of one neighbour, in little code."""
        module, name = self.function.module, f"{lane.start}_{lane.width}_{lane.valid}"
        symbol = f"{self.function.symbol}_again_{name}"
        if symbol not in module.functions:
            row = vector(self.channels.arithmetic.kind, lane.width)
            function = module.function(symbol, row, ["ptr"] * 2, "cold noinline nounwind")
            places = function.argument(0), function.argument(1)
            writer = _Writer(self.codelet, function)
            (total,) = writer._sums(_Tile(Run(0, 1, 1), (lane,)), *places, (), MUCH)
            function.close(f"{row} {total}")
        return symbol

    def _at(self, sides: Sequence[str], row: int, lane: Lanes) -> tuple[str, ...]:
        """Where the outputs of a vector of sums are in each side."""
        rows = zip(self.codelet.sides, self.end.sides, sides, strict=True)
        return tuple(
            offset(self.function, place, dtype, row * side.strides[2] + lane.start * step)
            for side, (dtype, step), place in rows
        )

    def _terms(self, weight: int, rows: bool = False, columns: bool = False) -> Terms:
        """With rows or columns of taps told apart."""
        codelet, channels = self.codelet, self.channels
        _, kh, kw, inputs, _ = codelet.kernel.shape
        image, kernel = codelet.image.strides, codelet.kernel.strides
        leaf = law.LEAF // 2 if codelet.paired else law.LEAF
        dimensions = [
            Dimension(kh, codelet.dilation[0] * image[1], kernel[1], "rows" if rows else ""),
            Dimension(kw, codelet.dilation[1] * image[2], kernel[2], "columns" if columns else ""),
        ]
        if channels.together:
            most = {"most": WRITTEN_SHARED} if self.shares else {}
            return Terms.of(dimensions, inputs, kernel[3], weight, **most, leaf=leaf)
        dimensions.append(Dimension(inputs, image[4], kernel[3]))
        most = {"most": WRITTEN_APART} if columns else {}
        return Terms.of(dimensions, 1, 0, weight, **most, leaf=leaf)

    def _look(
        self, tile: _Tile, places: Places, terms: Sequence[Term], sums: list[str]
    ) -> list[str]:
        """At what of the kernel meets padding alone."""
        for term, lane in product(terms, tile.lanes):
            assert tile.doubts
            tile.doubts.look(self._factor(places, term, lane), lane.width)
        return sums

    def _add(
        self,
        tile: _Tile,
        ask: Callable[[str, int], None],
        places: Places,
        terms: Sequence[Term],
        sums: list[str],
    ) -> list[str]:
        """Terms one after the other; of each, vectors of the shorter side are read first and kept:
        the kernel's, or the image's."""
        ask(places.kernel, len(terms))
        sums, lanes = list(sums), tile.lanes
        read = Reading(self.function, self.channels, places.image)
        columns = range(len(lanes))
        tall = tile.rows >= len(lanes)
        for term in terms:
            column = places.column + term.column
            taken = tile.taken(column)
            order = list(product(taken, columns))
            if not tall:
                order.sort(key=lambda place: place[1])
            factors: dict[int, str] = {}
            if tall or len(taken) < tile.rows:
                factors = {i: self._factor(places, term, lanes[i]) for i in columns}
                for i in columns:
                    tile.look(column, lanes[i], factors[i])
            for row, i in order:
                element, at = row * self.row_step + term.image, row * len(lanes) + i
                if i not in factors:
                    factors[i] = self._factor(places, term, lanes[i])
                if self._is_once(lanes):
                    where = offset(self.function, places.image, WORD, element)
                    sums[at] = multiply_add_from(
                        self.function, lanes[i].width, where, factors[i], sums[at]
                    )
                    continue
                x = read(element, term.channel, lanes[i])
                sums[at] = self._multiply_add(lanes[i], x, factors[i], sums[at])
        return sums

    def _is_once(self, lanes: tuple[Lanes, ...]) -> bool:
        """Whether a pair of the image, in all lanes, is multiplied by one vector only."""
        one = len(lanes) == 1 and not self.channels.together
        return self.codelet.paired and one and reads_memory(self.function, lanes[0].width)

    def _add_in_streams(
        self,
        tile: _Tile,
        ahead: Asked,
        places: Places,
        terms: Sequence[Term],
        sums: list[str],
    ) -> list[str]:
        """Pixels one after the other; each is spread over the lanes once. The next row is asked
        for between them: at once, it would be waited for."""
        sums, (lane,) = list(sums), tile.lanes
        looked: set[int] = set()
        pixels = list(in_streams(tile.rows, self.row_step, terms))
        for number, turns in enumerate(pixels):
            forget(self.function)
            self._ask(ahead, number, len(pixels))
            read = Reading(self.function, self.channels, places.image)
            factors: dict[int, str] = {}
            for row, i in turns:
                term = terms[i]
                column = places.column + term.column
                if row not in tile.taken(column) and i in looked:
                    continue
                if i not in factors:
                    factors[i] = self._factor(places, term, lane)
                if i not in looked:
                    tile.look(column, lane, factors[i])
                    looked.add(i)
                if row not in tile.taken(column):
                    continue
                x = read(row * self.row_step + term.image, term.channel, lane)
                sums[row] = self._multiply_add(lane, x, factors[i], sums[row])
        return sums

    def _multiply_add(self, lane: Lanes, x: str, y: str, total: str) -> str:
        if self.codelet.paired:
            return multiply_add(self.function, lane.width, x, y, total)
        return self.channels.arithmetic.multiply_add(self.function, lane.width, x, y, total)

    def _factor(self, places: Places, term: Term, lane: Lanes) -> str:
        """A vector of the kernel."""
        kernel, function = self.codelet.kernel, self.function
        step = 1 if self.channels.together else kernel.strides[4]
        where = offset(function, places.kernel, kernel.dtype, term.kernel + lane.start * step)
        value = vectors.load(function, kernel.dtype, where, step, lane.width, lane.valid)
        return vectors.widen(function, value, kernel.dtype, self.channels.factors, lane.width)
