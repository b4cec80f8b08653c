"""Our own programs on another host, as `bench/results` has them, beside what its file says.

The host is two cores of an Intel Xeon of the 6980P's kind, of which nobody told the model: its
file has what was published and what was assumed. Only the clock is taken from the record: what
the peak measured beside each case amounts to, at two multiply-adds of 16 a cycle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tilewright
from fidelity.row import Row
from tilewright.bench.hmc import CASES
from tilewright.machine import machine

RECORD = Path(__file__).parents[1] / "bench/results/intel-r-xeon-r-processor.json"
A_CYCLE = 64
"""Operations: two units, 16 lanes, a multiplication and an addition."""


def rows() -> Iterator[Row]:
    """Hamiltonian Monte Carlo: leapfrog steps a second, a chain a core."""
    found = {row["name"]: row for row in json.loads(RECORD.read_text())["rows"]}
    for case in CASES:
        if case.name in found:
            modelled = _modelled(case.spec, found[case.name]["gflops"] / A_CYCLE)
            name = f"HMC, {case.name}"
            measured = found[case.name]["ours"]
            yield Row("Xeon, two cores", name, measured / 1e3, modelled / 1e3, 0.2, "k/s")


def _modelled(spec: Any, clock: float) -> float:
    work = spec.workload()
    on = machine("cpu:xeon-6980p").with_(cores=2, clock=f"{clock:.4g} GHz")
    chains = tilewright.tile_map(work.chain)
    (row,) = tilewright.compare(chains, *work.arguments, machines=[on]).rows
    return spec.chains * spec.draws * spec.leapfrogs / row.seconds[0]
