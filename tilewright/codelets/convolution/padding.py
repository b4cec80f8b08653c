"""What a convolution's taps read of padding, which need not be multiplied.

In: an image with zeros around it. Out: which neighbours of a tile read the image at a column of
taps, LLVM text that tells which rows of taps do, and whether sums without the others are the law's.

The law has padding take part, as zeros. A product with zero changes no sum but one of -0.0 (that a
tiny product left), unless the kernel's factor is infinite or no number. So such terms are left out,
the kernel's vectors among them looked at, and a tile that either holds for is summed once more with
all terms. Of 5 x 5 taps 8 % of the multiply-adds are with padding at 28 x 28, 31 % at 7 x 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tilewright.codelets.convolution.pairs import WORD
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.tiling import Run
from tilewright.codelets.emit.vectors import itemsize, number_of
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution

FEWEST, FEWEST_ALONE = 1 / 50, 1 / 12
"""Of a row's products, with padding: fewer are multiplied, as tiles at its ends are more code; and
of single channels, of which a kernel's vector is looked at for each few neighbours."""
_EXPONENTS = {"float32": ("i32", 1, 0xFEFFFFFF), WORD: ("i16", 2, 0xFEFF)}
"""Of what is multiplied: numbers that hold one exponent each, how many of them there are in 32
bits, and the largest of a finite one without its sign."""


@frozen
class Columns:
    """Taps `dilation` apart over outputs `stride` apart; the image lies from `low` to `end`."""

    taps: int
    outputs: int
    stride: int
    dilation: int
    low: int
    end: int

    @staticmethod
    def of(codelet: Convolution) -> Columns | None:
        """None where few products are with padding, or none may be left out."""
        low, high = codelet.padding[1]
        taps, wide, outputs = codelet.kernel.shape[2], codelet.image.shape[2], codelet.out.shape[2]
        apart = codelet.stride[1], codelet.dilation[1]
        columns = Columns(taps, outputs, *apart, low, wide - high)
        read = sum(columns.reads(tap, at) for tap in range(taps) for at in range(outputs))
        fewest = FEWEST_ALONE if codelet.channels == 1 else FEWEST
        few = taps * outputs - read < fewest * taps * outputs
        return None if few or taps == 1 or not may_skip(codelet) else columns

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


def may_skip(codelet: Convolution) -> bool:
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
        image, taps = codelet.image, codelet.kernel.shape[1]
        n, high, *_ = image.shape
        apart, row, *inner = image.strides
        along = sum((size - 1) * step for size, step in zip(image.shape[2:], inner, strict=True))
        orderly = min(inner) >= 0 and along < row and (n == 1 or apart >= high * row)
        asks = taps > 1 and codelet.channels > 1 and orderly
        return any(codelet.padding[0]) and asks and may_skip(codelet)

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
    """Whether factors of a kernel are infinite or no numbers, or sums -0.0; of one tile.

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

    def are_any(self, totals: Sequence[Register]) -> str:
        """A flag: whether there is such a factor or total."""
        found = ""
        for width in self.places:
            least, *others = (total.bitcast("i32") for total in totals if total.width == width)
            for other in others:
                least = least.intrinsic("smin", other)
            for flags in least.equal(-(1 << 31)), self._most(width).compare("ugt", self.limit):
                one = _any(flags)
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
