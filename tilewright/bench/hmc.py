"""HMC leapfrog steps a second: a chain a core, against a pinned JAX process a core, A B A B.

The peer runs the same chain with the data in both orders; the better one counts.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from tilewright.bench.peer import Peer
from tilewright.bench.workloads import DEEP, TALK, Hmc


@dataclass(frozen=True)
class Case:
    """`bar`: the ratio to reach."""

    name: str
    spec: Hmc
    bar: float


CASES = (
    Case("talk's net, 250 rows", Hmc(TALK, 250, 20, 1000), 1.6),
    Case("talk's net, 1,000 rows", Hmc(TALK, 1000, 5, 1000), 1.4),
    Case("22-40-40-1, 500 rows", Hmc(DEEP, 500, 5, 1000), 1.35),
    Case("talk's net, 58,368 rows", Hmc(TALK, 58_368, 2, 50), 2.5),
    Case("talk's net, 250 rows, bf16 force", Hmc(TALK, 250, 20, 1000, "bfloat16"), 2.2),
    Case("talk's net, 1,000 rows, bf16 force", Hmc(TALK, 1000, 5, 1000, "bfloat16"), 2.0),
    Case("22-40-40-1, 500 rows, bf16 force", Hmc(DEEP, 500, 5, 1000, "bfloat16"), 1.8),
    Case("talk's net, 58,368 rows, bf16 force", Hmc(TALK, 58_368, 2, 50, "bfloat16"), 3.5),
)


@dataclass(frozen=True)
class Result:
    """Leapfrog steps a second on both cores, and the median of the paired ratios."""

    name: str
    bar: float
    ours: float
    peer: float
    ratio: float
    peer_order: str
    acceptance: float
    jump_per_second: float


def run_case(case: Case, cpus: list[int], repeats: int = 7) -> Result:
    """Time one case; the peers of both orders run in the same rounds as we do."""
    import jax

    import tilewright

    workload = case.spec.workload()
    keys = jax.random.split(jax.random.key(0), len(cpus))
    ours = tilewright.compile(tilewright.tile_map(workload.chain), keys)
    orders = ("rows", "columns")
    peers = {
        order: [Peer(replace(case.spec, order=order), cpu) for cpu in cpus] for order in orders
    }
    for group in peers.values():
        for peer in group:
            peer.wait_ready()
    outputs = ours(keys)
    times: dict[str, list[float]] = {name: [] for name in ("ours", *orders)}
    for _ in range(repeats):
        start = time.perf_counter()
        outputs = ours(keys)
        times["ours"].append(time.perf_counter() - start)
        for order, group in peers.items():
            for peer in group:
                peer.begin()
            times[order].append(max(peer.end() for peer in group))
    for group in peers.values():
        for peer in group:
            peer.close()
    best = min(orders, key=lambda order: statistics.median(times[order]))
    steps = workload.steps * len(cpus)
    ratios = [b / a for a, b in zip(times["ours"], times[best], strict=True)]
    seconds = statistics.median(times["ours"])
    acceptance, jump = (np.asarray(x) for x in outputs)
    return Result(
        case.name,
        case.bar,
        steps / seconds,
        steps / statistics.median(times[best]),
        statistics.median(ratios),
        best,
        float(acceptance.mean()),
        float(jump.sum() / seconds),
    )
