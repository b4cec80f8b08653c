"""What a convolution's taps read of padding, which need not be multiplied.

In: an image with zeros around it. Out: which neighbours of a tile read the image at a column of
taps, LLVM text that tells which rows of taps do, and whether sums without the others are the law's.

The law has padding take part, as zeros. A product with zero changes no sum but one of -0.0 (that a
tiny product left), unless the kernel's factor is infinite or no number. So such terms are left out,
the kernel's vectors among them looked at, and a tile that either holds for is summed once more with
all terms. Of 5 x 5 taps 8 % of the multiply-adds are with padding at 28 x 28, 31 % at 7 x 7.

Where whole leaves of the law are a tap's, the same code serves all of them. A leaf of padding is +0
whatever its sums were, and the kernel is looked at once, before all tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from tilewright.codelets.convolution.pairs import WORD
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.tiling import Run
from tilewright.codelets.emit.vectors import itemsize, number_of
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution

LOOK = 10
"""Multiply-adds of a vector of the kernel that looking at it has to save: it comes from L3, in the
time of eight."""
FEWEST = 1 / 50
"""Of a row's, or column's, products with padding: fewer are multiplied, as tiles at the ends are
more code."""
MOST = 100
"""Products along a row, or column, of the outputs that read padding: each of them is code. 31 taps
over 1,000 numbers with 30 of padding at either end compiled in 0.37 s for 0.04, and took 1.03 times
as long; 9 x 9 taps over 32 x 32 places, which have 72 along each, take 1.1 times as long whole."""
_EXPONENTS = {"float32": ("i32", 1, 0xFEFFFFFF), WORD: ("i16", 2, 0xFEFF)}
"""Of what is multiplied: numbers that hold one exponent each, how many of them there are in 32
bits, and the largest of a finite one without its sign."""


@frozen
class Line:
    """Along rows or columns: taps `dilation` apart, outputs `stride` apart, and the image without
    its padding from `low` to `end`."""

    taps: int
    outputs: int
    stride: int
    dilation: int
    low: int
    end: int

    @staticmethod
    def along(codelet: Convolution, axis: int) -> Line:
        """0: of rows, from one to the next; 1: of columns."""
        low, high = codelet.padding[axis]
        outputs, taps = codelet.out.shape[1 + axis], codelet.kernel.shape[1 + axis]
        end = codelet.image.shape[1 + axis] - high
        return Line(taps, outputs, codelet.stride[axis], codelet.dilation[axis], low, end)

    @property
    def _left_out(self) -> Sequence[int]:
        """Products with padding at each tap."""
        return [self.outputs - len(self._readers(tap)) for tap in range(self.taps)]

    def _readers(self, tap: int) -> range:
        """Outputs that read the image at a tap."""
        before = tap * self.dilation
        first = max(0, -((before - self.low) // self.stride))
        return range(first, max(first, min(self.outputs, -((before - self.end) // self.stride))))

    @property
    def written_out(self) -> int:
        """Products of the outputs that read padding."""
        readers = [self._readers(tap) for tap in range(self.taps)]
        inner = min(each.stop for each in readers) - max(each.start for each in readers)
        return self.taps * (self.outputs - max(0, inner))

    @property
    def pays(self) -> bool:
        """Whether enough products are with padding, and not too many to be code."""
        enough = sum(self._left_out) >= FEWEST * self.taps * self.outputs
        return enough and self.taps > 1 and self.written_out <= MOST

    @property
    def pays_alone(self) -> bool:
        """The same where each vector of a kernel serves few neighbours, and to look at it takes as
        long as to multiply."""
        left_out = self._left_out
        return self.pays and sum(left_out) > sum(map(bool, left_out))

    @property
    def share(self) -> float:
        """Of products, those with padding."""
        return sum(self._left_out) / max(1, self.taps * self.outputs)

    def reads(self, tap: int, output: int) -> bool:
        """Whether an output's tap reads the image."""
        return self.low <= output * self.stride + tap * self.dilation < self.end

    def told_apart(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Runs of tiles of a row, of which those that read padding are by themselves."""
        for run in runs:
            tiles = [Run(run.start + i * run.size, run.size, 1) for i in range(run.count)]
            inner = [tile for tile in tiles if not self.clips(tile)]
            ends = [tile for tile in tiles if self.clips(tile)]
            if inner:
                ends.append(Run(inner[0].start, run.size, len(inner)))
            yield from sorted(ends, key=lambda each: each.start)

    def clips(self, run: Run) -> bool:
        """Whether some of its outputs read padding."""
        return any(len(self.taken(run, tap)) < run.size for tap in range(self.taps))

    def taken(self, run: Run, tap: int) -> Sequence[int]:
        """Which outputs of its first tile read the image at a tap."""
        return [i for i in range(run.size) if self.reads(tap, run.start + i)]


def columns_apart(codelet: Convolution) -> Line | None:
    """None where few products are with padding left or right, or none may be left out."""
    columns = Line.along(codelet, 1)
    pays = columns.pays_alone if codelet.channels == 1 else columns.pays
    return columns if pays and _may_skip(codelet) else None


def is_worth_a_look(codelet: Convolution) -> bool:
    """Whether so much is left out that all of the kernel may be looked at for it."""
    n, high, wide, *_ = codelet.out.shape
    left_out = sum(Line.along(codelet, axis).share for axis in (0, 1))
    return n * high * wide * left_out >= LOOK


def _may_skip(codelet: Convolution) -> bool:
    """Whether it is known which sums and factors ask for all terms."""
    return codelet.sum_dtype == "float32"


@frozen
class Rows:
    """Rows of taps of a tile: the first reads row `first` (a register), the next `dilation` on; the
    image's own are the first `height`."""

    first: str
    dilation: int
    height: int

    @staticmethod
    def are_told_apart(codelet: Convolution) -> bool:
        """Whether there is padding above or below, and a place tells its row. Rows of single
        channels are too short to ask."""
        image = codelet.image
        n, high, *_ = image.shape
        apart, row, *inner = image.strides
        along = sum((size - 1) * step for size, step in zip(image.shape[2:], inner, strict=True))
        orderly = min(inner) >= 0 and along < row and (n == 1 or apart >= high * row)
        pays = codelet.channels > 1 and Line.along(codelet, 0).pays
        return pays and orderly and _may_skip(codelet)

    @staticmethod
    def of(codelet: Convolution, function: Function, place: str) -> Rows:
        """Of a tile whose first output reads the image from a place on."""
        (above, below), image = codelet.padding[0], codelet.image
        n, high, apart, row = *image.shape[:2], *image.strides[:2]
        start = number_of(function, function.argument(0))
        gone = function.let(f"sub i64 {number_of(function, place)}, {start}")
        size = itemsize(image.dtype)
        if n > 1:
            gone = function.let(f"urem i64 {gone}, {apart * size}")
        number = function.let(f"udiv i64 {gone}, {row * size}")
        first = function.let(f"sub i64 {number}, {above}")
        return Rows(first, codelet.dilation[0], max(0, high - above - below))

    def reads(self, function: Function, tap: str) -> str:
        """Whether a row of taps (a register or digits) reads rows of the image."""
        gone = function.let(f"mul i64 {tap}, {self.dilation}")
        row = function.let(f"add i64 {self.first}, {gone}")
        return function.let(f"icmp ult i64 {row}, {self.height}")


class Doubts:
    """Whether factors of a kernel are infinite or no numbers, or sums -0.0.

    `dtype` is what is multiplied, in vectors of so many lanes. What was looked at is kept as its
    largest exponent, lane by lane.
    """

    def __init__(self, function: Function, dtype: str, widths: Sequence[int]):
        self.function, self.factor = function, MEMORY_TYPE[dtype]
        self.kind, self.parts, self.limit = _EXPONENTS[dtype]
        self.places = {width: function.reserve(vector("i32", width), 1) for width in {*widths}}
        for width, place in self.places.items():
            function.do(f"store {vector('i32', width)} zeroinitializer, ptr {place}")

    def look(self, factor: str, width: int) -> None:
        """At a vector of the kernel."""
        most = self._most(width)
        known = f"bitcast {vector(self.factor, width)} {factor} to {most.type}"
        most = most.intrinsic("umax", most.let(known) << 1)
        self.function.do(f"store {most.type} {most.name}, ptr {self.places[width]}")

    def are_any(self, totals: Sequence[Register] = ()) -> str:
        """A flag: whether there is such a factor or total."""
        found = ""
        for width in self.places:
            flags = [self._most(width).compare("ugt", self.limit)]
            numbers = [total.bitcast("i32") for total in totals if total.width == width]
            if numbers:
                least = reduce(lambda one, other: one.intrinsic("smin", other), numbers)
                flags.insert(0, least.equal(-(1 << 31)))
            for one in map(_any, flags):
                found = self.function.let(f"or i1 {found}, {one}") if found else one
        return found

    def _most(self, width: int) -> Register:
        lanes = width * self.parts
        place = f"load {vector(self.kind, lanes)}, ptr {self.places[width]}"
        return Register(self.function, self.kind, lanes, self.function.let(place))


def _any(flags: Register) -> str:
    """Whether one of a vector's flags holds."""
    whole = flags.function.let(f"bitcast {flags.type} {flags.name} to i{flags.width}")
    return flags.function.let(f"icmp ne i{flags.width} {whole}, 0")
