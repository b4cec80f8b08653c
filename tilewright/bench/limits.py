"""How near programs come to what their graphs take at least: see `report/limit.py`.

In: a contender that knows its limit, and rounds in which it was timed. Out: a row with its share of
it. The limit is of the machine's figures; what is shown takes the multiply-adds of each round for
the peak, as that of a host with other tenants falls at times to half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.bench.record import Row
from tilewright.bench.rounds import Rounds
from tilewright.frozen import frozen
from tilewright.machine.cost import mac_rate
from tilewright.machine.host import host_machine
from tilewright.plan.summary import parts
from tilewright.report.limit import Limit, limit


@frozen
class Limited:
    """A timed program, its limit, and how many bytes its plan moves; calling it times it."""

    run: Callable[[], float]
    limit: Limit
    planned: float

    def __call__(self) -> float:
        return self.run()

    @staticmethod
    def of(run: Callable[[], float], program: Any) -> Limited:
        """Of an `Executable` on one tile."""
        found = program.compiled
        planned = sum(part.work.count.bytes for part in parts(found.program))
        return Limited(run, limit(found.graph, host_machine(), 1), planned)


def share_row(part: str, what: str, name: str, ours: Limited, measured: Rounds, bar: float) -> Row:
    """Of the contender of that name."""
    machine = host_machine()
    peak = 2 * mac_rate(machine.tile, "float32") * machine.chip.clock
    rounds = zip(measured.seconds[name], measured.flops, strict=True)
    shares = [ours.limit.seconds * peak / flops / seconds for seconds, flops in rounds]
    low, middle, high = np.nanpercentile(shares, [25, 50, 75])
    return Row(
        part, f"{what}: share of the limit", float(middle), "of its limit", bar=bar,
        gflops=measured.gflops,
        notes=f"quartiles {low:.0%} and {high:.0%}; {ours.limit}, {ours.planned / 1e6:,.3f} "
        "planned",
    )  # fmt: skip
