"""How near to the multiply-add peak convolutions come, by shape and direction, one row of outputs.

Shapes are those of EfficientNet-B0, of its form with groups of 16, and of ResNeXt-50; operands lie
as the planner lays them, in the L1 and L2. A figure is a codelet's best rate over the best of a
register-only multiply-add loop that takes turns with it. Convolutions that stride read four times
what they compute with, and wait for the L2 before the multiply-adds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tilewright.bench.record import Row
from tilewright.bench.repeated import Repeated
from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.peak import PeakFma
from tilewright.frozen import frozen
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

    def forward(self) -> Convolution:
        return Convolution(*self.operands(1), (self.stride, self.stride), (1, 1))

    def filters(self) -> FilterGradient:
        image, kernel, made = self.operands(ROWS)
        return FilterGradient(image, made, kernel, (self.stride, self.stride), (1, 1))


Bars = tuple[float, float] | None
"""Of the median over shapes, and of the worst."""

KINDS: dict[str, tuple[Bars, Bars, tuple[Case, ...]]] = {
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
"""Bars forward and for filter gradients, and shapes."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for kind in list(KINDS)[:1] if quick else KINDS:
        yield kind, partial(run, kind, 2 if quick else 20)


def run(kind: str, rounds: int, most: int | None = None) -> list[Row]:
    """Of each direction the median over shapes, the worst, then a row for each shape."""
    forward, filters, shapes = KINDS[kind]
    rows = []
    for direction, bars, made in (
        ("forward", forward, Case.forward),
        ("filter gradient", filters, Case.filters),
    ):
        shares = _shares([made(case) for case in shapes[:most]], rounds)
        each = [
            Row("convolutions", f"{case.name}, {direction}", share, "of peak",
                bar=bars and bars[1], gflops=peak / 1e9, detail=True)
            for case, (share, peak) in zip(shapes, shares, strict=False)
        ]  # fmt: skip
        rows += [*_summary(f"{kind}, {direction}", each, bars), *each]
    return rows


def _summary(name: str, each: Sequence[Row], bars: Bars) -> list[Row]:
    middle = statistics.median(row.ours for row in each)
    worst = min(each, key=lambda row: row.ours)
    count = len(each)
    return [
        Row("convolutions", f"{name}: median of {count}", middle, "of peak", bar=bars and bars[0]),
        Row("convolutions", f"{name}: the worst of {count}", worst.ours, "of peak", bar=worst.bar,
            notes=worst.name),
    ]  # fmt: skip


def _shares(
    codelets: Sequence[Convolution | FilterGradient], rounds: int
) -> list[tuple[float, float]]:
    """Of the peak, and the peak itself in operations a second."""
    peak, timed = Repeated(PeakFma("float32", 4000)), [Repeated(each) for each in codelets]
    best = [(0.0, 0.0)] * len(timed)
    for _ in range(rounds):
        best = [(max(a, each()), max(b, peak())) for (a, b), each in zip(best, timed, strict=True)]
    return [(rate / limit, limit) for rate, limit in best]
