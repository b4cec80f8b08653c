"""Sums over the positions of a leaf, one tile of a kernel's gradient at a time.

In: how image and gradient are read, a tile of taps and channels, where a leaf begins. Out: LLVM
text, which goes through the rows of the leaf and through their positions in the law's order. In
pairs (`graph/law.py`) the odd position of two comes first: one after the other, or, where both are
in words, by one instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from tilewright.codelets.convolution.channels import Channels, Reading
from tilewright.codelets.convolution.pairs import WORD
from tilewright.codelets.emit import pairs, vectors
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.convolution.filters import FilterGradient

Pair = tuple[int, int]
"""Elements, in the image and in the gradient."""


@frozen
class Row:
    """One tap and input channel: where it is read, where its sums go, and where they wait (in
    bytes)."""

    image: int
    out: int
    waiting: int
    channel: int


@frozen
class Leaf:
    """Where it begins in the image and in the gradient; a number of rows, or a register with it.

    `away`: bytes from its image to the next leaf's, of which each position asks for its own there.
    """

    image: str
    gradient: str
    lines: int | str
    away: str | None = None


@frozen
class Positions:
    """Of a row: `turns`, `along` apart, in each of which positions are read at `inside`, in this
    order; then those at `rest` from the row's beginning."""

    turns: int
    along: Pair
    inside: tuple[Pair, ...]
    rest: tuple[Pair, ...] = ()


@frozen
class Read:
    """The codelet with its operands as tiles read them, and how their channels and rows lie."""

    codelet: FilterGradient
    channels: Channels
    positions: Positions

    @staticmethod
    def of(codelet: FilterGradient, channels: Channels) -> Read:
        """Where the operands lie."""
        image, gradient = codelet.image.strides[2], codelet.gradient.strides[2]
        step, count = (codelet.stride[1] * image, gradient), codelet.gradient.shape[2]
        if not codelet.paired:
            return Read(codelet, channels, Positions(count, step, ((0, 0),)))
        turns, along = count // 2, (2 * step[0], 2 * step[1])
        last = ((turns * along[0], turns * along[1]),) * (count % 2)
        return Read(codelet, channels, Positions(turns, along, (step, (0, 0)), last))

    @property
    def dtypes(self) -> tuple[str, str]:
        return self.codelet.image.dtype, self.codelet.gradient.dtype

    @property
    def in_words(self) -> bool:
        return self.codelet.paired and self.channels.factors == WORD

    def moved(self, function: Function, places: Sequence[str], steps: Pair) -> list[str]:
        rows = zip(places, self.dtypes, steps, strict=True)
        return [offset(function, place, dtype, step) for place, dtype, step in rows]


def sums_over(
    function: Function,
    read: Read,
    rows: Sequence[Row],
    lanes: tuple[Lanes, ...],
    leaf: Leaf,
    starts: Sequence[str],
    ask: Callable[[str, str], None] | None,
) -> list[str]:
    """Of every row and vector, from `starts` on; `ask` is told where each row of the leaf is."""
    codelet, kind = read.codelet, read.channels.arithmetic.kind
    kinds = [vector(kind, lane.width) for lane in lanes] * len(rows)
    first = [*zip(kinds, starts, strict=True), ("ptr", leaf.image), ("ptr", leaf.gradient)]
    down = (codelet.stride[0] * codelet.image.strides[1], codelet.gradient.strides[1])
    loop = (
        repeat(function, leaf.lines, first)
        if isinstance(leaf.lines, int)
        else function.loop(0, leaf.lines, carry=first)
    )
    with loop as line:
        *sums, image, gradient = line.carry
        if ask:
            ask(image, gradient)
        sums = _line(function, read, rows, lanes, (image, gradient), leaf.away, kinds, sums)
        line.next[:] = [*sums, *read.moved(function, (image, gradient), down)]
    return line.result[:-2]


def _line(
    function: Function,
    read: Read,
    rows: Sequence[Row],
    lanes: tuple[Lanes, ...],
    places: tuple[str, str],
    away: str | None,
    kinds: Sequence[str],
    sums: Sequence[str],
) -> list[str]:
    """One row of positions."""
    positions, sums = read.positions, list(sums)
    if positions.turns:
        inside = [*zip(kinds, sums, strict=True), *(("ptr", place) for place in places)]
        with repeat(function, positions.turns, inside) as turn:
            *sums, image, gradient = turn.carry
            for steps in positions.inside:
                here = read.moved(function, (image, gradient), steps)
                if away:
                    _ask(function, read, rows, here[0], away)
                sums = _add(function, read, rows, lanes, here, sums)
            turn.next[:] = [*sums, *read.moved(function, (image, gradient), positions.along)]
        sums = turn.result[:-2]
    for steps in positions.rest:
        here = read.moved(function, places, steps)
        sums = _add(function, read, rows, lanes, here, sums)
    return sums


def _ask(function: Function, read: Read, rows: Sequence[Row], image: str, away: str) -> None:
    """For as many channels of the next leaf as a tile has rows, into L2.

    What lies pixels apart no host foresees, and of many channels it comes from L3 once for each tap
    (256 channels, 28 x 28, eight images: 77 GFLOP/s without, 92 with it; 64 channels 97 and 105).
    """
    dtype, count = read.dtypes[0], min(len(rows), read.channels.inputs)
    first = offset(function, image, dtype, rows[0].image)
    soon = function.address(first, "i8", away)
    vectors.prefetch(function, soon, count * itemsize(dtype), into="L2")


def _add(
    function: Function,
    read: Read,
    rows: Sequence[Row],
    lanes: tuple[Lanes, ...],
    places: Sequence[str],
    sums: Sequence[str],
) -> list[str]:
    """One position, or a word of two."""
    channels, (image, gradient), sums = read.channels, places, list(sums)
    dtype, along = read.dtypes[1], read.codelet.gradient.strides[4]
    step = 1 if channels.together else along
    vectors_of, once = Reading(function, channels, image), _is_once(function, read, lanes)

    @cache
    def factor(number: int) -> str:
        lane = lanes[number]
        where = offset(function, gradient, dtype, lane.start * step)
        value = vectors.load(function, dtype, where, step, lane.width, lane.valid)
        return vectors.widen(function, value, dtype, channels.factors, lane.width)

    order = list(product(range(len(rows)), range(len(lanes))))
    if len(rows) < len(lanes):  # those vectors are kept of which there are fewer
        order.sort(key=lambda place: place[1])
    for i, j in order:
        at, width = i * len(lanes) + j, lanes[j].width
        if once:
            where = offset(function, image, WORD, rows[i].image)
            sums[at] = pairs.multiply_add_from(function, width, where, factor(j), sums[at])
            continue
        x = vectors_of(rows[i].image, rows[i].channel, lanes[j])
        y = factor(j)
        if read.in_words:
            sums[at] = pairs.multiply_add(function, width, x, y, sums[at])
        else:
            sums[at] = channels.arithmetic.multiply_add(function, width, x, y, sums[at])
    return sums


def _is_once(function: Function, read: Read, lanes: tuple[Lanes, ...]) -> bool:
    """Whether a word of the image, in all lanes, is multiplied by one vector only."""
    apart = read.in_words and not read.channels.together
    return apart and len(lanes) == 1 and pairs.reads_memory(function, lanes[0].width)
