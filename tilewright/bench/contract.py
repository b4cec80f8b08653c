"""How near to the peak contraction codelets come, m, n and k from 16 to 512.

Operands are packed; and then as users have them, whose packing is inside the clock: each by rows or
by columns, dense or so many bytes apart as are a power of two. The figure is a codelet's best rate
over the best of a register-only multiply-add loop that takes turns with it, over the share of lanes
that the shape can use. Lanes run along n. There is no other codelet for bfloat16: the planner packs
such operands as the float32 numbers that they are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product

from tilewright.bench.record import Row
from tilewright.bench.repeated import Repeated
from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.contract.operand import copied_step
from tilewright.codelets.peak import PeakFma
from tilewright.frozen import frozen

BAR, BAR_INSIDE = 0.8, 0.65
"""Of packed operands, and with the packing inside the clock."""
SHORTEST, FEWEST = 32, 2048
"""The first bar holds from this k on, and this m·n."""
BOTH = 64
"""The other one holds from this m and n on."""
PITCH = 512
"""Elements from line to line that a power of two is at least: 2 KiB, where lines share sets."""
LAYOUTS = {
    f"{left}, {right}": (left, right)
    for left, right in product(("rows", "columns", "far rows", "far columns"), repeat=2)
    if left.startswith("far") == right.startswith("far")
}
"""Of the left and of the right operand; the result lies by rows."""

CUBES = [(n, n, n) for n in (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)]
SHAPES = [shape for shape in product((16, 64, 160, 512), repeat=3) if len(set(shape)) > 1]
SHAPES += [(40, 256, 22), (40, 250, 40), (22, 100, 256), (100, 300, 37), (250, 40, 64)]
SHAPES += [(32, 64, 128), (64, 32, 300), (512, 512, 32), (48, 48, 512), (17, 511, 255)]


@frozen
class Case:
    """`layout` is one of LAYOUTS, or none: packed."""

    m: int
    n: int
    k: int
    layout: str = ""

    @property
    def bar(self) -> float | None:
        """None where none is meant for this shape."""
        if self.k < SHORTEST or self.m * self.n < FEWEST:
            return None
        if not self.layout:
            return BAR
        return BAR_INSIDE if min(self.m, self.n) >= BOTH else None

    @property
    def lanes(self) -> float:
        """The share of lanes that hold something."""
        return self.n / (-(-self.n // LANES) * LANES)


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    shapes = [CUBES[3], SHAPES[-1]] if quick else CUBES + SHAPES
    yield "packed matrices", partial(run, [Case(m, n, k) for m, n, k in shapes], 5 if quick else 30)
    if quick:
        return
    for layout in LAYOUTS:
        group = [Case(m, n, k, layout) for m, n, k in shapes]
        group = [case for case in group if case.k >= SHORTEST and case.m * case.n >= FEWEST]
        yield f"matrices by {layout}", partial(run, group, 10)


def run(group: Sequence[Case], rounds: int) -> list[Row]:
    """A row for each shape, and before them one for the worst of those that the bar is for."""
    peak, timed = Repeated(PeakFma("float32", 4000)), [Repeated(codelet(case)) for case in group]
    rates: list[list[float]] = [[] for _ in group]
    peaks: list[list[float]] = [[] for _ in group]
    for _ in range(rounds):  # shapes inside rounds: a bad moment of the machine hits few of each
        for number, each in enumerate(timed):
            rates[number].append(each())
            peaks[number].append(peak())
    bests = zip(group, map(max, rates), map(max, peaks), strict=True)
    rows = [_row(case, rate, limit) for case, rate, limit in bests]
    meant = [row for row in rows if row.bar is not None] or rows
    worst = min(meant, key=lambda row: row.ours)
    middle = statistics.median(row.ours for row in meant)
    kind = f"matrices by {group[0].layout}" if group[0].layout else "packed matrices"
    name = f"{kind}, {len(meant)} shapes: the worst"
    notes = f"{worst.name}; median {middle:.0%}"
    return [Row("contract", name, worst.ours, "of peak", bar=worst.bar, notes=notes), *rows]


def _row(case: Case, rate: float, peak: float) -> Row:
    share = rate / peak / case.lanes
    return Row(
        "contract",
        f"{case.m} × {case.n} × {case.k}" + (f", {case.layout}" if case.layout else ""),
        share,
        "of peak",
        bar=case.bar,
        gflops=peak / 1e9,
        notes=f"{rate / 1e9:.0f} GFLOP/s, {case.lanes:.0%} of lanes",
        detail=True,
    )


def codelet(case: Case) -> ContractOuter:
    """Operands packed as the codelet's own copies are, or laid out as a user has them."""
    m, n, k = case.m, case.n, case.k
    if not case.layout:
        return ContractOuter(_packed(m, k, broadcast=True), _packed(k, n), _packed(m, n))
    left, right = LAYOUTS[case.layout]
    return ContractOuter(_laid(m, k, left), _laid(k, n, right), _laid(m, n, "rows"))


def _packed(rows: int, columns: int, *, broadcast: bool = False) -> Operand:
    step = copied_step("float32", columns, broadcast=broadcast)
    return Operand("float32", (rows, columns), (step, 1))


def _laid(rows: int, columns: int, layout: str) -> Operand:
    length = rows if layout.endswith("columns") else columns
    if layout.startswith("far"):
        length = max(PITCH, 1 << (length - 1).bit_length())
    strides = (1, length) if layout.endswith("columns") else (length, 1)
    return Operand("float32", (rows, columns), strides)
