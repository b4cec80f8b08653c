"""Windows over images: their sums and extremes, and where a gradient goes that came to an extreme.

In: images (n, h, w, channels) that have the border their windows read. Out: an image. Lanes are
channels; of sums and extremes, columns and rows, too, where they lie side by side. Always: a
window's elements are taken row by row, one after the other, 16-bit floats in float32; windows too,
where what they add meets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.collapse import Walk, collapse
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut, over_images
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import in_chunks, repeat, walk
from tilewright.codelets.emit.operations import OPERATIONS
from tilewright.codelets.emit.registers import Register, constant
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen
from tilewright.graph.law import identity
from tilewright.graph.ops import conv, window
from tilewright.graph.ops.across import combination
from tilewright.machine.cost import Count

Pair = tuple[int, int]
ABREAST = 4
"""Vectors that are combined at once, as each waits for the one before. Rolling maxima of 20 over
500 rows of 1,000, one by one: 1.69 of the time."""


@frozen
class Window(Codelet):
    """Every channel's windows of `size`, `stride` apart, their elements `dilation` apart."""

    kind: str
    image: Operand
    out: Operand
    size: Pair
    stride: Pair
    dilation: Pair

    @property
    def name(self) -> str:
        return f"window_{self.kind}_{self.size[0]}x{self.size[1]}_{self.out.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Between images, else rows."""
        n, height = self.out.shape[:2]
        return over_images(n, height, self.size[0], self.stride[0], self.dilation[0])

    @property
    def work(self) -> Count:
        operations = {(combination(self.kind), self.out.dtype): self.out.size * prod(self.size)}
        return Count({}, operations, self.image.nbytes, self.out.nbytes, prod(self.out.shape[:3]))

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        size, made = self.image.shape[1:3], self.out.shape[1:3]
        pad = conv.exact_pads(size, made, self.size, self.stride, self.dilation)
        return (
            window.window(
                arrays[0], kind=self.kind, size=self.size, stride=self.stride, pad=pad,
                dilation=self.dilation,
            ),
        )  # fmt: skip

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 2)
        if self.out.size:
            places = [function.argument(0), function.argument(1)]
            dtypes = [self.image.dtype, self.out.dtype]
            loops = self._loops
            (*outer, count), steps = loops.sizes, [row[-1] for row in loops.steps]
            lanes = ABREAST * LANES if count >= ABREAST * LANES else LANES
            with walk(function, outer, places, dtypes, [row[:-1] for row in loops.steps]) as at:
                in_chunks(
                    function, count, at, dtypes, steps,
                    lambda chunk, valid: self._combine(function, chunk, valid, lanes, steps),
                    lanes,
                )  # fmt: skip
        function.close()

    @property
    def _loops(self) -> Walk:
        """Over what is made, with lanes last: neighbours that windows slide over by one lie side by
        side, whatever dimension they are of."""
        moves = (1, *self.stride, 1)
        read = [move * step for move, step in zip(moves, self.image.strides, strict=True)]
        made = collapse(self.out.shape, [read, self.out.strides], 1, float(prod(self.size)))
        return made if made.sizes else Walk((1,), ((0,), (0,)))

    def _combine(
        self,
        function: Function,
        places: Sequence[str],
        valid: int,
        lanes: int,
        steps: Sequence[int],
    ) -> None:
        how, (image, out) = Combination(self.kind, self.image.dtype), places
        start = constant(how.register, identity(self.kind, how.wide).item(), lanes)
        first = (vector(how.register, lanes), start)
        total = first[1]
        if prod(self.size):
            spaced = _spaced(self.image, self.dilation)
            with _taps(function, self.size, spaced, image, [first]) as tap:
                raw = vectors.load(function, self.image.dtype, tap.place, steps[0], lanes, valid)
                new = how.widen(function, lanes, raw)
                tap.next[:] = [how.apply(function, lanes, tap.carry[0], new)]
            (total,) = tap.result
        raw = how.narrow(function, lanes, total)
        vectors.store(function, self.out.dtype, raw, out, steps[1], lanes, valid)


def _spaced(image: Operand, dilation: Pair) -> Operand:
    """An image seen from element to element of a window."""
    a, b, c, d = image.strides
    return replace(image, strides=(a, b * dilation[0], c * dilation[1], d))


@frozen
class WindowScatter(Codelet):
    """Adds each element of `gradient` to `out` where its window of `image` has its first extreme.

    `out` (as large as image, of the dtype that sums are kept in) holds zeros before.
    """

    kind: str
    image: Operand
    gradient: Operand
    out: Operand
    size: Pair
    stride: Pair

    @property
    def name(self) -> str:
        return f"window_scatter_{self.kind}_{self.size[0]}x{self.size[1]}_{self.out.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.gradient)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Between images, else channels: windows overlap along rows."""
        images, _, _, channels = self.image.shape
        if images >= ENOUGH_BATCHES:
            return Cut(images, (0, 0, 0))
        return Cut(channels, (3, 3, 3), along_lanes=True, grain=LANES)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    @property
    def work(self) -> Count:
        taps = self.gradient.size * prod(self.size)
        operations = {(self.kind, self.image.dtype): taps, ("add", self.out.dtype): taps}
        moved = nbytes(self.image, self.gradient, self.out)
        return Count({}, operations, moved, self.out.nbytes, prod(self.gradient.shape[:3]))

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, gradient, before = arrays
        size, windows = image.shape[1:3], gradient.shape[1:3]
        pad = conv.exact_pads(size, windows, self.size, self.stride, (1, 1))
        made = window.window_scatter(
            image, gradient, kind=self.kind, size=self.size, stride=self.stride, pad=pad,
            sums=before,
        )  # fmt: skip
        return (made,)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
        if self.gradient.size and prod(self.size):
            operands = [self.image, self.gradient, self.out]
            places = [function.argument(i) for i in range(3)]
            with _positions(function, self.gradient, operands, places, self.stride) as at:
                in_chunks(
                    function, self.gradient.shape[3], at, [x.dtype for x in operands],
                    [x.strides[3] for x in operands],
                    lambda chunk, valid: self._scatter(function, chunk, valid),
                )  # fmt: skip
        function.close()

    def _scatter(self, function: Function, places: Sequence[str], valid: int) -> None:
        image, gradient, out = places
        chosen = self._chosen(function, image, valid)
        dtype, step, more = self.out.dtype, self.out.strides[3], Combination("sum", self.out.dtype)
        raw = vectors.load(
            function, self.gradient.dtype, gradient, self.gradient.strides[3], LANES, valid
        )
        added = vectors.widen(function, raw, self.gradient.dtype, dtype, LANES)
        with _taps(function, self.size, self.out, out, [_NUMBER]) as tap:
            (number,) = (Register(function, "i32", LANES, name) for name in tap.carry)
            old = vectors.load(function, dtype, tap.place, step, LANES, valid)
            new = more.apply(function, LANES, old, added)
            old, new = (Register(function, more.register, LANES, name) for name in (old, new))
            result = chosen.equal(number).select(new, old)
            vectors.store(function, dtype, result.name, tap.place, step, LANES, valid)
            tap.next[:] = [(number + 1).name]

    def _chosen(self, function: Function, image: str, valid: int) -> Register:
        """The number of each lane's extreme."""
        how = Combination(self.kind, self.image.dtype)

        def element(place: str) -> str:
            step = self.image.strides[3]
            raw = vectors.load(function, self.image.dtype, place, step, LANES, valid)
            return how.widen(function, LANES, raw)

        first = [(vector(how.register, LANES), element(image)), _NUMBER, _NUMBER]
        compare = OPERATIONS["ge" if self.kind == "max" else "le"]
        with _taps(function, self.size, self.image, image, first) as tap:
            best = Register(function, how.register, LANES, tap.carry[0])
            chosen, number = (Register(function, "i32", LANES, name) for name in tap.carry[1:])
            new = Register(function, how.register, LANES, element(tap.place))
            stays = compare(how.wide, best, new)
            kept = stays.select(best, new), stays.select(chosen, number), number + 1
            tap.next[:] = [register.name for register in kept]
        return Register(function, "i32", LANES, tap.result[1])


_NUMBER = (vector("i32", LANES), "zeroinitializer")


@dataclass
class _Tap:
    """The inside of `_taps`: `next` is to be set, `result` holds what came out of the last tap."""

    place: str
    carry: list[str]
    next: list[str]
    result: list[str]


@contextmanager
def _taps(
    function: Function, size: Pair, operand: Operand, place: str, carry: Sequence[tuple[str, str]]
) -> Iterator[_Tap]:
    """Loops over the elements of a window, row by row."""
    kinds = [kind for kind, _ in carry]
    with repeat(function, size[0], [*carry, ("ptr", place)]) as line:
        *values, row = line.carry
        inside = [*zip(kinds, values, strict=True), ("ptr", row)]
        with repeat(function, size[1], inside) as turn:
            *values, here = turn.carry
            tap = _Tap(here, values, list(values), [])
            yield tap
            turn.next[:] = [*tap.next, offset(function, here, operand.dtype, operand.strides[2])]
        after = offset(function, row, operand.dtype, operand.strides[1])
        line.next[:] = [*turn.result[:-1], after]
    tap.result = line.result[:-1]


@contextmanager
def _positions(
    function: Function,
    walked: Operand,
    operands: Sequence[Operand],
    places: Sequence[str],
    stride: Pair,
) -> Iterator[list[str]]:
    """Loops over images, rows and columns of `walked`; what is larger moves by the stride."""
    steps = [
        [x.strides[0], x.strides[1], x.strides[2]] if x.shape == walked.shape
        else [x.strides[0], stride[0] * x.strides[1], stride[1] * x.strides[2]]
        for x in operands
    ]  # fmt: skip
    with walk(function, walked.shape[:3], places, [x.dtype for x in operands], steps) as here:
        yield here
