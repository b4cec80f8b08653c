"""One chain on all cores against a chain a core: the time that a set of chains takes either way.

At the talk's own number of rows a gradient is large enough to be split over the cores. Both have
their data packed beforehand, as a user would do who calls a program more than once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from tilewright.bench.hmc import CASES, FULL, LOW
from tilewright.bench.ours import Ours
from tilewright.bench.record import Row
from tilewright.bench.rounds import compare
from tilewright.bench.workloads import Hmc
from tilewright.machine.cpu import allowed_cpus

BAR = 0.98


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    spec = CASES[-1].spec
    for precision in (FULL, LOW):
        used = replace(spec, precision=precision)
        used = replace(used, draws=1, leapfrogs=10) if quick else used
        yield f"58,368 rows, {precision}", partial(run, used, 2 if quick else 7)


def run(spec: Hmc, rounds: int) -> list[Row]:
    """As many chains as cores: mapped, and one after the other over all cores."""
    import tilewright

    chains = len(allowed_cpus())
    mapped = Ours(replace(spec, chains=chains), packed=True)
    (keys,) = mapped.workload.arguments
    one = tilewright.compile(mapped.workload.chain, keys[0]).bind()
    one(keys[0])

    def spread() -> float:
        start = time.perf_counter()
        for key in keys:
            one(key)
        return time.perf_counter() - start

    measured = compare({"mapped": mapped, "spread": spread}, rounds, keep=("mapped", "spread"))
    ratio, low, high = measured.ratio("mapped", "spread")
    steps = mapped.totals["leapfrogs"]
    return [
        Row(
            "spread",
            f"{spec.rows:,} rows, {spec.precision}: one chain on all cores",
            steps / measured.median("spread"),
            "leapfrogs/s",
            steps / measured.median("mapped"),
            "a chain a core",
            ratio,
            low,
            high,
            BAR,
            gflops=measured.gflops,
            more={"seconds": measured.seconds},
        )
    ]
