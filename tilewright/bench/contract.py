"""How near to the peak contraction codelets come, operands packed, m, n and k from 16 to 512.

The figure is a codelet's best rate over the best of a register-only multiply-add loop that takes
turns with it, over the share of lanes that the shape can use. Lanes run along n. There is no other
codelet for bfloat16: the planner packs such operands as the float32 numbers that they are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from tilewright.bench.record import Row
from tilewright.bench.repeated import Repeated
from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.contract.operand import copied_step
from tilewright.codelets.peak import PeakFma

BAR = 0.85
SHORTEST, FEWEST = 32, 2048
"""The bar holds from this k on, and this m·n."""

CUBES = [(n, n, n) for n in (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)]
SHAPES = [shape for shape in product((16, 64, 160, 512), repeat=3) if len(set(shape)) > 1]
SHAPES += [(40, 256, 22), (40, 250, 40), (22, 100, 256), (100, 300, 37), (250, 40, 64)]
SHAPES += [(32, 64, 128), (64, 32, 300), (512, 512, 32), (48, 48, 512), (17, 511, 255)]


@dataclass(frozen=True)
class Case:
    m: int
    n: int
    k: int

    @property
    def counts(self) -> bool:
        """Whether the bar is meant for this shape."""
        return self.k >= SHORTEST and self.m * self.n >= FEWEST

    @property
    def lanes(self) -> float:
        """The share of lanes that hold something."""
        return self.n / (-(-self.n // LANES) * LANES)


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    shapes = [CUBES[3], SHAPES[-1]] if quick else CUBES + SHAPES
    group = [Case(*shape) for shape in shapes]
    yield "matrices", partial(run, group, 5 if quick else 30)


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
    meant = [row for row, case in zip(rows, group, strict=True) if case.counts] or rows
    worst = min(meant, key=lambda row: row.ours)
    middle = statistics.median(row.ours for row in meant)
    name = f"matrices, {len(meant)} shapes: the worst"
    notes = f"{worst.name}; median {middle:.0%}"
    return [Row("contract", name, worst.ours, "of peak", bar=worst.bar, notes=notes), *rows]


def _row(case: Case, rate: float, peak: float) -> Row:
    share = rate / peak / case.lanes
    return Row(
        "contract",
        f"{case.m} × {case.n} × {case.k}",
        share,
        "of peak",
        bar=BAR if case.counts else None,
        gflops=peak / 1e9,
        notes=f"{rate / 1e9:.0f} GFLOP/s, {case.lanes:.0%} of lanes",
        detail=True,
    )


def codelet(case: Case) -> ContractOuter:
    """Operands packed as the codelet's own copies are."""
    m, n, k = case.m, case.n, case.k
    return ContractOuter(_packed(m, k, broadcast=True), _packed(k, n), _packed(m, n))


def _packed(rows: int, columns: int, *, broadcast: bool = False) -> Operand:
    step = copied_step("float32", columns, broadcast=broadcast)
    return Operand("float32", (rows, columns), (step, 1))
