"""How a convolution's vertex is written.

In: a `Convolution`. Out: LLVM text. A tile of neighbours in a row, times some vectors of channels,
stays in registers for a whole leaf of terms (see `tiles_emit.py`); the next rows of the image are
asked for meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import Operand
from tilewright.codelets.convolution.ahead import Ahead
from tilewright.codelets.convolution.pairs import in_words
from tilewright.codelets.convolution.tiles_emit import FEW_REGISTERS, Asked, Tiles
from tilewright.codelets.emit import tiling
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.epilogue import Epilogue
from tilewright.codelets.emit.epilogue import Sums as Ended
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import offset

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution

ROWS_TOGETHER = 8
"""Neighbours of a row in a tile where each reads vectors of its own. Of 16 registers too: a
kernel's vector, and the image's that neighbours share, are then read less often."""
ROWS_SHARED = 14
"""The same where a pixel serves all taps of a row."""
KEPT = 9
"""A kernel's vectors, up to which they stay in registers."""
MANY_LEAVES = 8
"""Leaves from which on, if they are no loop, tiles are small so that the code is, too."""


def emit(codelet: Convolution, module: Module, symbol: str) -> None:
    """The codelet as a function of its arguments' places."""
    function = module.function(symbol, "void", ["ptr"] * (len(codelet.sides) + 2))
    if codelet.out.size:
        _Writer(in_words(codelet) if codelet.paired else codelet, function).write()
    function.close()


class _Writer:
    """Writes one convolution."""

    def __init__(self, codelet: Convolution, function: Function):
        self.codelet, self.function = codelet, function
        self.tiles = Tiles(codelet, function)
        self.channels = self.tiles.channels
        self.dtypes = [x.dtype for x in (codelet.image, codelet.kernel, *codelet.sides)]
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
        done, looks = 0, self.tiles.looks_first
        if looks and by_row:
            self.tiles.look_through(arguments[1], groups)
        with self._walk(outer, arguments) as here:
            if looks and not by_row:
                self.tiles.look_through(here[1], 1)
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
        if not self.tiles.shares:
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
        if self.tiles.columns is None:
            return plan
        return replace(plan, rows=tuple(self.tiles.columns.told_apart(plan.rows)))

    def _whole_plan(self) -> tiling.Tiling:
        codelet, channels = self.codelet, self.channels
        registers = self.function.module.features.registers
        rows, columns = codelet.out.shape[2], -(-channels.columns // channels.width)
        if channels.together:
            size = ROWS_SHARED if self.tiles.shares else ROWS_TOGETHER
            return tiling.Tiling(split(rows, size), split(columns, 1))
        terms = self.tiles.terms(1)
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
        right = [self.tiles.row_step, 0, *(side.strides[2] for side in self.codelet.sides)]
        shares, done = [each.share for each in ahead], 0
        for run in runs:
            before = [done * share for share in shares]
            first = self._moved(places, [*(run.start * step for step in right), *before])
            along = [*(run.size * step for step in right), *shares]
            with self._walk([(run.count, along)], first) as tile:
                asked = list(zip(ahead, tile[len(right) :], strict=True))
                self._tile(run, lanes, tile[: len(right)], asked)
            done += run.count

    def _tile(self, run: Run, lanes: tuple[Lanes, ...], places: list[str], ahead: Asked) -> None:
        image, kernel, *sides = places
        totals = self.tiles.totals(run, lanes, image, kernel, ahead)
        self.end.finish(
            [
                Ended((total,), lane, self._at(sides, row, lane))
                for total, (row, lane) in zip(totals, product(range(run.size), lanes), strict=True)
            ]
        )

    def _at(self, sides: Sequence[str], row: int, lane: Lanes) -> tuple[str, ...]:
        """Where the outputs of a vector of sums are in each side."""
        rows = zip(self.codelet.sides, self.end.sides, sides, strict=True)
        return tuple(
            offset(self.function, place, dtype, row * side.strides[2] + lane.start * step)
            for side, (dtype, step), place in rows
        )
