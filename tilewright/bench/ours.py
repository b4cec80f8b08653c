"""A workload through tilewright, ready to be timed beside its peers."""

from __future__ import annotations

import time
from typing import Any

from tilewright.bench.workloads import Workload


class Ours:
    """`tile_map` over all instances, compiled and warm; calling it gives its seconds.

    `packed`: what hangs on data alone is computed beforehand.
    """

    def __init__(self, spec: Any, tiles: int | None = None, *, packed: bool = False):
        import tilewright

        self.workload: Workload = spec.workload()
        mapped = tilewright.tile_map(self.workload.chain)
        executable = tilewright.compile(mapped, *self.workload.arguments, tiles=tiles)
        self.executable = executable.bind() if packed else executable
        self.outputs = self.executable(*self.workload.arguments)

    def __call__(self) -> float:
        start = time.perf_counter()
        self.outputs = self.executable(*self.workload.arguments)
        return time.perf_counter() - start

    @property
    def totals(self) -> dict[str, float]:
        return self.workload.totals(self.outputs)


def behaviour(totals: Any) -> str:
    """What a sampler's run was like, in a few words: both sides must agree on it."""
    count = totals["draws"]
    text = f"acceptance {totals['acceptance'] / count:.2f}"
    if totals["divergent"]:
        text += f", {totals['divergent'] / count:.0%} divergent"
    return text
