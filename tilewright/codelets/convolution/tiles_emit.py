"""How the sums of one tile of a convolution are written.

In: a `Convolution`, which neighbours and channels. Out: LLVM text. Terms that read padding are left
out, and where that might be seen, a tile is summed once more (see `padding.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from tilewright.codelets.convolution.ahead import Ahead
from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.convolution.padding import (
    Doubts,
    Line,
    Rows,
    columns_apart,
    is_worth_a_look,
)
from tilewright.codelets.convolution.pairs import WORD
from tilewright.codelets.convolution.streams import forget, in_streams
from tilewright.codelets.convolution.terms import Dimension, Places, Sums, Term, Terms
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.llvm import Function, vector
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
WRITTEN_SHARED = 600
"""Multiply-adds that are written out where a pixel serves all taps of a row."""
WRITTEN_APART = 60
"""Multiply-adds that are written out for each column of taps, where columns are told apart."""
LOOKED = 4
"""Vectors that are looked at in one turn."""
MUCH = 1 << 20
"""Multiply-adds of a term that is never written beside others."""

Asked = Sequence[tuple[Ahead, str]]
"""What is asked for, and from which place on."""


@frozen
class _Tile:
    """The first of a run of tiles, or all of them; vectors of channels; what is known of padding,
    where some terms read it, and whether rows of taps are asked if they do."""

    run: Run
    lanes: tuple[Lanes, ...]
    columns: Line | None = None
    doubts: Doubts | None = None
    rows_apart: bool = False

    @property
    def rows(self) -> int:
        return self.run.size

    def taken(self, column: int) -> Sequence[int]:
        """The neighbours that read the image at a column of taps."""
        return self.columns.taken(self.run, column) if self.columns else range(self.rows)

    def columns_apart(self, count: int) -> tuple[list[int], list[int]]:
        """Of so many columns of taps, those that some neighbours read padding at; the others."""
        clipped = [column for column in range(count) if len(self.taken(column)) < self.rows]
        return clipped, [column for column in range(count) if column not in clipped]

    def look(self, column: int, lane: Lanes, factor: str) -> None:
        """At a vector of the kernel that some neighbours do not read."""
        if self.doubts and len(self.taken(column)) < self.rows:
            self.doubts.look(factor, lane.width)


class Tiles:
    """Writes the sums of a convolution's tiles."""

    def __init__(self, codelet: Convolution, function: Function):
        self.codelet, self.function = codelet, function
        kernel, out = codelet.kernel, codelet.out
        sides = [(side.strides[-5 + at], side.strides[-1]) for side, at in ((kernel, 0), (out, 3))]
        features = function.module.features
        factors = WORD if codelet.paired else None
        self.channels = Channels.of(
            codelet.image, sides, kernel.shape[4], codelet.sum_dtype, features.vector_bits, factors
        )
        few = features.registers <= FEW_REGISTERS
        self.shares = self.channels.together and kernel.shape[3] > 1 and not few
        """Whether what is read of a pixel is kept for all taps of a row."""
        self.columns = columns_apart(codelet)
        self.rows_apart = Rows.are_told_apart(codelet)
        self.by_leaf = self.terms(1).has_loop_of_leaves
        """Whether the same code serves many leaves."""
        if self.by_leaf and not self._may_skip_leaves:
            self.columns, self.rows_apart = None, False
        self.doubtful = ""
        """The flag that `look_through` has found."""
        self.dtypes = codelet.image.dtype, kernel.dtype
        self.row_step = codelet.stride[1] * codelet.image.strides[2]

    def totals(
        self, run: Run, lanes: tuple[Lanes, ...], image: str, kernel: str, ahead: Asked
    ) -> list[str]:
        """Of each neighbour of the run's first tile, or of all alike, the sums of these channels;
        the image and the kernel are at places."""
        clipping = self.columns if self.columns and self.columns.clips(run) else None
        skips, doubts = clipping is not None or self.rows_apart, None
        if skips and not self.by_leaf:
            doubts = self._doubts([lane.width for lane in lanes])
        tile = _Tile(run, lanes, clipping, doubts, self.rows_apart)
        totals = self._sums(tile, image, kernel, ahead, run.size * len(lanes))
        if not skips:
            return totals
        flag = doubts.are_any(self._registers(tile, totals)) if doubts else self.doubtful
        return self._without_doubt(tile, flag, image, kernel, totals)

    @property
    def looks_first(self) -> bool:
        """Whether `look_through` is wanted before any tile."""
        return self.by_leaf and (self.columns is not None or self.rows_apart)

    def look_through(self, kernel: str, groups: int) -> None:
        """At all of the kernel of so many groups, which is at a place."""
        operand, width = self.codelet.kernel, self.channels.width
        columns, step = operand.shape[4], operand.strides[4]
        several = list(panels(split(-(-columns // width), LOOKED), columns, width))
        doubts = self._doubts([lane.width for _, _, lanes in several for lane in lanes])
        for start, count, lanes in several:
            steps = [*operand.strides[:4], (lanes[-1].start + width) * step]
            first = offset(self.function, kernel, operand.dtype, start * step)
            counts = groups, *operand.shape[1:4], count
            with walk(self.function, counts, [first], [operand.dtype], [steps]) as (place,):
                places = Places(self.function, self.dtypes, place, place)
                for lane in lanes:
                    doubts.look(self._factor(places, Term(0, 0), lane), lane.width)
        self.doubtful = doubts.are_any()

    def _doubts(self, widths: Sequence[int]) -> Doubts:
        return Doubts(self.function, self.channels.factors, widths)

    @property
    def _may_skip_leaves(self) -> bool:
        """Whether each leaf is of one tap, and enough of them are left out."""
        apart = self.terms(1, self.rows_apart, self.columns is not None)
        whole = apart.has_loop_of_leaves and self.codelet.channels % apart.leaf == 0
        return whole and is_worth_a_look(self.codelet)

    def _registers(self, tile: _Tile, totals: Sequence[str]) -> list[Register]:
        kind, each = self.channels.arithmetic.kind, self._each(tile)
        return [
            Register(self.function, kind, lane.width, name)
            for name, (_, lane) in zip(totals, each, strict=True)
        ]

    def _each(self, tile: _Tile) -> Sequence[tuple[int, Lanes]]:
        """Of all vectors of sums, neighbour and lanes."""
        return list(product(range(tile.rows), tile.lanes))

    def _sums(self, tile: _Tile, image: str, kernel: str, ahead: Asked, weight: int) -> list[str]:
        """Of a tile, where the image and the kernel are at places; `weight` as of `Terms`."""
        function, arithmetic = self.function, self.channels.arithmetic
        terms = self.terms(weight, tile.rows_apart, tile.columns is not None)
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
        rows = Rows.of(self.codelet, function, image) if tile.rows_apart else None
        clipped, others = tile.columns_apart(self.codelet.kernel.shape[2])
        sums = Sums(
            function, arithmetic.kind, widths, starts, arithmetic.add, add, rows,
            partial(self._look, tile), clipped, others,
        )  # fmt: skip
        return sums.over(terms, Places(function, self.dtypes, image, kernel))

    def _without_doubt(
        self, tile: _Tile, doubtful: str, image: str, kernel: str, totals: Sequence[str]
    ) -> list[str]:
        """Totals of all terms, where those with padding may matter: a flag."""
        function, kind = self.function, self.channels.arithmetic.kind
        each = [(vector(kind, lane.width), row, lane) for row, lane in self._each(tile)]
        with branch(function, doubtful) as otherwise:
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
            tiles = Tiles(self.codelet, function)
            (total,) = tiles._sums(_Tile(Run(0, 1, 1), (lane,)), *places, (), MUCH)
            function.close(f"{row} {total}")
        return symbol

    def terms(self, weight: int, rows: bool = False, columns: bool = False) -> Terms:
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
