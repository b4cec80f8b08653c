"""How near to the multiply-add peak convolutions come, by shape and direction, one row of outputs.

Shapes are those of EfficientNet-B0, of its form with groups of 16, and of ResNeXt-50; operands lie
as the planner lays them, in the L1 and L2. A figure is a codelet's best rate over the best of a
register-only multiply-add loop that takes turns with it. Convolutions that stride read four times
what they compute with, and wait for the L2 before the multiply-adds: of these, there is a share of
its rate, too, of the bytes that are read and written once each. A data gradient at stride 1 is the
codelet of forward, its kernel turned round; at stride 2 it is one for each phase. Convolutions of
one tap are products, of all places of some rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from tilewright.bench import contract
from tilewright.bench.record import Row
from tilewright.bench.repeated import Repeated
from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.peak import PeakFma
from tilewright.frozen import frozen
from tilewright.machine.cost import mac_rate
from tilewright.machine.host import host_machine
from tilewright.plan.ir import dense_strides

ROWS = 4
"""Of outputs, for a filter gradient: some leaves of the law."""


@frozen
class Case:
    """`size` x `size` taps over `groups` of `channels`, to as many, `width` outputs a row."""

    groups: int
    channels: int
    size: int
    width: int
    stride: int = 1

    @property
    def name(self) -> str:
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return (
            f"{self.size}×{self.size}, {self.groups} × {self.channels}, {self.width} wide{stride}"
        )

    def operands(self, rows: int) -> tuple[Operand, Operand, Operand]:
        """Image, kernel with outputs side by side, result."""
        high, wide = ((n - 1) * self.stride + self.size for n in (rows, self.width))
        groups, each = self.groups, self.channels
        kernel = (groups, self.size, self.size, each, each)
        strides = dense_strides(kernel)
        if each < LANES:
            step = groups * each
            strides = (each, self.size * each * step, each * step, step, 1)
        image, made = (1, high, wide, groups, each), (1, rows, self.width, groups, each)
        return (
            Operand("float32", image, dense_strides(image)),
            Operand("float32", kernel, strides),
            Operand("float32", made, dense_strides(made)),
        )

    def forward(self) -> Sequence[Codelet]:
        return [Convolution(*self.operands(1), (self.stride, self.stride), (1, 1))]

    def data(self) -> Sequence[Codelet]:
        """Of as many rows of the image as the stride: each phase has taps of its own."""
        groups, each, step = self.groups, self.channels, self.stride
        _, kernel, _ = self.operands(1)
        shape = (1, step, self.width * step, groups, each)
        n, row, pixel, *inner = dense_strides(shape)
        found = []
        for rows, columns in product(range(step), repeat=2):
            taps = [len(range(first, self.size, step)) for first in (rows, columns)]
            given = (1, taps[0], self.width + taps[1] - 1, groups, each)
            made = Operand(
                "float32", (1, 1, self.width, groups, each), (n, row * step, pixel * step, *inner)
            )
            read = replace(kernel, shape=(groups, *taps, each, each))
            image = Operand("float32", given, dense_strides(given))
            found.append(Convolution(image, read, made, (1, 1), (1, 1)))
        return found

    def filters(self) -> Sequence[Codelet]:
        image, kernel, made = self.operands(ROWS)
        return [FilterGradient(image, made, kernel, (self.stride, self.stride), (1, 1))]


@frozen
class Single:
    """One tap: a product of so many `places`, from `channels` to `outputs`."""

    places: int
    channels: int
    outputs: int

    @property
    def name(self) -> str:
        return f"1×1, {self.channels} to {self.outputs}, {self.places} places"

    def forward(self) -> Sequence[Codelet]:
        return [contract.codelet(contract.Case(self.places, self.outputs, self.channels))]

    def data(self) -> Sequence[Codelet]:
        return [contract.codelet(contract.Case(self.places, self.channels, self.outputs))]

    def filters(self) -> Sequence[Codelet]:
        return [contract.codelet(contract.Case(self.channels, self.outputs, self.places))]


Bars = tuple[float, float] | None
"""Of the median over shapes, and of the worst."""

ONE_TAP = "1×1"
KINDS: dict[str, tuple[Bars, Bars, tuple[Case | Single, ...]]] = {
    ONE_TAP: ((0.85, 0.75), (0.85, 0.75), (
        Single(448, 16, 96), Single(448, 24, 144), Single(196, 40, 240), Single(196, 80, 480),
        Single(196, 112, 672), Single(49, 192, 1152), Single(49, 320, 1280),
    )),
    "3×3, each channel by itself": ((0.45, 0.45), (0.55, 0.5), (
        Case(32, 1, 3, 112), Case(144, 1, 3, 56), Case(480, 1, 3, 14), Case(1152, 1, 3, 7),
    )),
    "5×5, each channel by itself": ((0.55, 0.55), (0.6, 0.6), (
        Case(240, 1, 5, 28), Case(480, 1, 5, 14), Case(672, 1, 5, 14), Case(1152, 1, 5, 7),
    )),
    "each channel by itself, stride 2": (None, None, (
        Case(96, 1, 3, 56, 2), Case(144, 1, 5, 28, 2), Case(240, 1, 3, 14, 2),
        Case(672, 1, 5, 7, 2),
    )),
    "groups of 16": ((0.75, 0.6), (0.65, 0.5), (
        Case(6, 16, 3, 56), Case(10, 16, 5, 28), Case(20, 16, 3, 14), Case(28, 16, 5, 14),
        Case(48, 16, 5, 7),
    )),
    "groups of 4, 8 and 32": (None, None, (
        Case(32, 4, 3, 56), Case(32, 8, 3, 28), Case(32, 32, 3, 7),
    )),
    "regular": (None, None, (Case(1, 64, 3, 56), Case(1, 256, 3, 14))),
}  # fmt: skip
"""Bars forward (and of data gradients) and for filter gradients, and shapes."""
STRIDED = 0.7
"""The bar for the share of L2's rate, of the median over shapes and of the worst."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for kind in list(KINDS)[:1] if quick else KINDS:
        yield kind, partial(run, kind, 2 if quick else 20)


def run(kind: str, rounds: int, most: int | None = None) -> list[Row]:
    """Of each direction the median over shapes, the worst, then a row for each shape."""
    forward, filters, shapes = KINDS[kind]
    strided = any(isinstance(case, Case) and case.stride > 1 for case in shapes)
    rows = []
    for direction, bars, made in (
        ("forward", forward, "forward"),
        *([("data gradient", forward, "data")] if strided or kind == ONE_TAP else []),
        ("filter gradient", filters, "filters"),
    ):
        codelets = [getattr(case, made)() for case in shapes[:most]]
        shares = _shares(codelets, rounds)
        each = [
            Row("convolutions", f"{case.name}, {direction}", share, "of peak",
                bar=bars and bars[1], gflops=peak / 1e9, detail=True)
            for case, (share, peak) in zip(shapes, shares, strict=False)
        ]  # fmt: skip
        rows += [*_summary(f"{kind}, {direction}", each, bars), *each]
        if strided:
            moved = [_of_l2(*pair) for pair in zip(each, codelets, strict=True)]
            rows += [
                *_summary(f"{kind}, {direction}, beside L2", moved, (STRIDED, STRIDED)),
                *moved,
            ]
    return rows


def _of_l2(row: Row, codelets: Sequence[Codelet]) -> Row:
    """Bytes a second over those of L2, which is as much slower at the moment as multiply-adds."""
    tile = host_machine().tile
    flops = sum(codelet.work.flops for codelet in codelets)
    sides = [side for codelet in codelets for side in (*codelet.inputs, *codelet.outputs)]
    cycles = flops / (row.ours * 2 * mac_rate(tile, "float32"))
    share = sum(map(nbytes, sides)) / cycles / tile.memories[1].read
    name = f"{row.name}, beside L2"
    return replace(row, name=name, ours=share, unit="of L2's rate", bar=STRIDED)


def _summary(name: str, each: Sequence[Row], bars: Bars) -> list[Row]:
    middle = statistics.median(row.ours for row in each)
    worst = min(each, key=lambda row: row.ours)
    count = len(each)
    return [
        Row("convolutions", f"{name}: median of {count}", middle, worst.unit, bar=bars and bars[0]),
        Row("convolutions", f"{name}: the worst of {count}", worst.ours, worst.unit, bar=worst.bar,
            notes=worst.name),
    ]  # fmt: skip


def _shares(codelets: Sequence[Sequence[Codelet]], rounds: int) -> list[tuple[float, float]]:
    """Of the peak, and the peak itself in operations a second; codelets of one come in turn."""
    peak = Repeated(PeakFma("float32", 4000))
    timed = [[Repeated(each) for each in some] for some in codelets]
    best = [([0.0] * len(some), 0.0) for some in timed]
    for _ in range(rounds):
        best = [
            ([max(a, each()) for a, each in zip(rates, some, strict=True)], max(limit, peak()))
            for (rates, limit), some in zip(best, timed, strict=True)
        ]
    found = []
    for (rates, limit), some in zip(best, codelets, strict=True):
        flops = [each.work.flops for each in some]
        seconds = sum(n / rate for n, rate in zip(flops, rates, strict=True))
        found.append((sum(flops) / seconds / limit, limit))
    return found
