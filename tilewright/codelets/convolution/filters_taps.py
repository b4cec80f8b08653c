"""Taps and input channels of a kernel's gradient: which are written into code, which are loops.

In: how a codelet's operands are read, some vectors of output channels. Out: tiles of taps and
channels, one after the other, each given to what writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import prod

import numpy as np

from tilewright.codelets.convolution.filters_rows import Read, Row
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.tiling import split
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen

MOST_WRITTEN = 64
"""Taps and channels whose places are written into code; of more, there are loops."""


@frozen
class Part:
    """Which of the tiles that are written out, in how many turns of loops; in each turn the sums
    that wait are so many bytes further."""

    tile: int
    tiles: int
    turns: int
    bytes_a_turn: int


Visit = Callable[[list[Row], tuple[Lanes, ...], list[str], Part], None]
"""(taps and channels, output channels, places, which tile) -> writes one tile."""


class Taps:
    """Tiles of taps and input channels, in some vectors of output channels.

    Places are those of the image, the gradient, the result, and of sums that wait, `size` bytes for
    each tap and channel.
    """

    def __init__(
        self, function: Function, read: Read, tile: int, lanes: tuple[Lanes, ...], size: int
    ):
        self.function, self.read, self.tile = function, read, tile
        self.lanes, self.size = lanes, size
        codelet, self.together = read.codelet, read.channels.together
        image, out = codelet.image.strides, codelet.out.strides
        self.dtypes = [*(x.dtype for x in (codelet.image, codelet.gradient, codelet.out)), "int8"]
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
                part = Part(number, len(tiles), turns, len(rows) * self.size)
                body(rows[first : first + size], self.lanes, here, part)

    def _row(self, level: int, number: int, index: tuple[int, ...]) -> Row:
        image, out = (
            sum(i * step[side] for i, step in zip(index, self.steps[level:], strict=True))
            for side in (0, 1)
        )
        return Row(image, out, number * self.size, index[-1] if self.together else 0)

    def _channels(self, outside: int, places: Sequence[str], body: Visit) -> None:
        """Many input channels of one tap: a loop over tiles of them."""
        image, out = self.steps[2]
        for run in split(self.counts[2], self.tile):
            steps = [image, 0, out, self.size]
            rows = zip(places, self.dtypes, steps, strict=True)
            first = [offset(self.function, p, d, run.start * step) for p, d, step in rows]
            along = [[run.size * step] for step in steps]
            with walk(self.function, [run.count], first, self.dtypes, along) as here:
                made = [Row(i * image, i * out, i * self.size, 0) for i in range(run.size)]
                turns = prod(self.counts[outside:2]) * run.count
                body(made, self.lanes, here, Part(0, 1, turns, run.size * self.size))
