"""Positions of a kernel's gradient as words: two neighbours of a row in 32 bits, leaf by leaf.

In: a paired `FilterGradient`, some vectors of output channels. Out: LLVM text that lays out a leaf
of their positions, in memory of the function's own: of the gradient the positions 2 i (below) and
2 i + 1; of the image all that even positions may read, each with what the next position reads at
the same tap. Always: a row's last position, if it has no neighbour, stands beside zeros, in words
of its own behind the others.

That is a word for each element and a store, where a kernel of 3 x 3 taps and 16 channels takes 72
multiplications of pairs instead of 144.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.convolution.channels import Channels
from tilewright.codelets.convolution.filters_rows import Leaf, Positions, Read
from tilewright.codelets.convolution.pairs import WORD
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen
from tilewright.graph import law

if TYPE_CHECKING:
    from tilewright.codelets.convolution.filters import FilterGradient

MOST = 128 << 10
"""Bytes of a leaf in words; larger ones are read where they lie."""
WORTH_WEAVING = 16
"""Taps and input channels from which on a word is made to be multiplied. A leaf's channels by
themselves, of 3 x 3 taps, took as long as where they lie, and a third longer at a stride of 2;
those of 5 x 5 taps two thirds of that, and groups of 4 to 32 a half (Zen 4)."""


@frozen
class Side:
    """Rows of an image, or of a gradient, and their words.

    `pairs` words from the row's beginning have their neighbours `apart` elements away, `alone`
    more, from element `last` on, have none. A word of `channels` is `step` elements from the next.
    """

    dtype: str
    channels: int
    down: int
    step: int
    apart: int
    pairs: int
    last: int
    alone: int

    @property
    def words(self) -> int:
        """Of a row."""
        return (self.pairs + self.alone) * self.channels


@frozen
class Words:
    """Places in the function's memory, and how these are read."""

    function: Function
    sides: tuple[Side, Side]
    places: tuple[str, str]
    rows: tuple[int, int]
    """Of the image, for the rows of a leaf: each takes so many more, and all of them so many."""
    read: Read

    @staticmethod
    def of(
        codelet: FilterGradient,
        channels: Channels,
        lanes: tuple[Lanes, ...],
        outside: int,
        function: Function,
    ) -> Words | None:
        """None where pairs are no instruction, or a leaf does not fit. Of taps, the first `outside`
        dimensions are gone through from without."""
        able = codelet.paired and "avx512bf16" in function.module.features.names
        worth = prod(codelet.out.shape[1:4]) >= WORTH_WEAVING and codelet.gradient.shape[2] > 1
        if not able or not worth or not _lies_dense(codelet, channels):
            return None
        taps = [1 if i < outside else n for i, n in enumerate(codelet.out.shape[1:3])]
        down, along = ((n - 1) * far + 1 for n, far in zip(taps, codelet.dilation, strict=True))
        columns = lanes[-1].start + lanes[-1].valid
        inputs = channels.inputs * (columns // channels.outputs if channels.together else 1)
        sides = _image(codelet, inputs, along), _gradient(codelet, columns)
        rows = (codelet.stride[0], down - codelet.stride[0])
        height = min(law.leaf_height(codelet.gradient.shape[2]), codelet.gradient.shape[1])
        high = (height * rows[0] + rows[1], height)
        size = [n * side.words * itemsize(WORD) for n, side in zip(high, sides, strict=True)]
        if sum(size) > MOST:
            return None
        first, second = (function.reserve("i8", n) for n in size)
        return Words(function, sides, (first, second), rows, _read(codelet, channels, sides, high))

    def laid(self, leaf: Leaf, away: tuple[str, str] | None) -> Leaf:
        """The leaf in words; what is so many bytes `away` from it is asked for."""
        each, more = self.rows
        high = (
            leaf.lines * each + more
            if isinstance(leaf.lines, int)
            else self._let("add", self._let("mul", leaf.lines, each), more)
        )
        given, counts = (leaf.image, leaf.gradient), (high, leaf.lines)
        for i, side in enumerate(self.sides):
            ahead = away[i] if away else None
            self._side(side, given[i], self.places[i], counts[i], ahead)
        return Leaf(*self.places, leaf.lines)

    def _let(self, operation: str, number: str, other: int) -> str:
        return self.function.let(f"{operation} i64 {number}, {other}")

    def _side(self, side: Side, given: str, place: str, rows: int | str, away: str | None) -> None:
        function = self.function
        with repeat(function, rows, [("ptr", given), ("ptr", place)]) as line:
            here, there = line.carry
            if side.pairs:
                self._row(side, here, there, side.pairs, side.apart, away)
            if side.alone:
                last = offset(function, here, side.dtype, side.last)
                beside = offset(function, there, WORD, side.pairs * side.channels)
                self._row(side, last, beside, side.alone, 0, away)
            line.next[0] = offset(function, here, side.dtype, side.down)
            line.next[1] = offset(function, there, WORD, side.words)

    def _row(
        self, side: Side, given: str, place: str, count: int, apart: int, away: str | None
    ) -> None:
        """So many words of all channels, of neighbours `apart`, or of one each (0)."""
        function = self.function
        with repeat(function, count, [("ptr", given), ("ptr", place)]) as turn:
            here, there = turn.carry
            if away:
                soon = function.address(here, "i8", away)
                vectors.prefetch(function, soon, side.channels * itemsize(side.dtype))
            for first in range(0, side.channels, LANES):
                valid = min(LANES, side.channels - first)
                even = offset(function, here, side.dtype, first)
                word = _word(function, even, apart, valid)
                vectors.store(function, WORD, word, offset(function, there, WORD, first), 1,
                              LANES, valid)  # fmt: skip
            turn.next[0] = offset(function, here, side.dtype, side.step)
            turn.next[1] = offset(function, there, WORD, side.channels)


def _word(function: Function, even: str, apart: int, valid: int) -> str:
    """16 words: elements in a line, above them those `apart`, or zeros."""
    below = vectors.load(function, "bfloat16", even, 1, LANES, valid)
    above = "zeroinitializer"
    if apart:
        odd = offset(function, even, "bfloat16", apart)
        above = vectors.load(function, "bfloat16", odd, 1, LANES, valid)
    order = [lane for i in range(LANES) for lane in (i, LANES + i)]
    woven = vectors.shuffle(function, "i16", LANES, below, above, order)
    return function.let(f"bitcast {vector('i16', 2 * LANES)} {woven} to {vector('i32', LANES)}")


def _image(codelet: FilterGradient, channels: int, reach: int) -> Side:
    """`reach` elements along a row are read from a position's first one on."""
    (_, down, step, *_), stride = codelet.image.strides, codelet.stride[1]
    turns, odd = divmod(codelet.gradient.shape[2], 2)
    pairs = 2 * (turns - 1) * stride + reach
    last = 2 * turns * stride * step
    return Side(codelet.image.dtype, channels, down, step, stride * step, pairs, last, reach * odd)


def _gradient(codelet: FilterGradient, channels: int) -> Side:
    _, down, step, *_ = codelet.gradient.strides
    turns, odd = divmod(codelet.gradient.shape[2], 2)
    return Side(
        codelet.gradient.dtype, channels, down, 2 * step, step, turns, 2 * turns * step, odd
    )


def _read(
    codelet: FilterGradient, channels: Channels, sides: tuple[Side, Side], high: tuple[int, int]
) -> Read:
    """Tiles read words, position by position of which there are half as many."""
    image, gradient = sides
    *_, groups, inputs = codelet.image.shape
    pixels, made = (
        Operand(WORD, (1, rows, side.words // side.channels, groups, each),
                (0, side.words, side.channels, each, 1))
        for rows, side, each in zip(high, sides, (inputs, channels.outputs), strict=True)
    )  # fmt: skip
    turns, stride = codelet.gradient.shape[2] // 2, codelet.stride[1]
    along = 2 * stride * image.channels, gradient.channels
    rest = ((image.pairs * image.channels, turns * gradient.channels),) if gradient.alone else ()
    words = replace(channels, dtype=WORD, factors=WORD, group_step=inputs, input_step=1)
    return Read(
        replace(codelet, image=pixels, gradient=made),
        words,
        Positions(turns, along, ((0, 0),), rest),
    )


def _lies_dense(codelet: FilterGradient, channels: Channels) -> bool:
    """Whether the channels of a panel lie side by side in both."""
    *_, groups, inputs = codelet.image.shape
    _, _, _, group, each = codelet.image.strides
    along = inputs == 1 or each == 1
    across = not channels.together or groups == 1 or group == inputs
    return along and across and (channels.together or codelet.gradient.strides[4] == 1
                                 or channels.outputs == 1)  # fmt: skip
