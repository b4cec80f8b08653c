"""The protocol of every comparison: contenders take turns, A B A B, in one run.

Machines are noisy, and at times run at half their speed: what counts is the ratio inside a round,
and of those the median. The multiply-add peak of a core is measured in every round, too. Nobody
begins while threads of who was there before still work (XLA's give gigabytes back after it has
answered: 0.2 s of processor time after a step of EfficientNet-B0, a quarter of ours).
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf

import numpy as np

from tilewright.calibrate import FmaPeak
from tilewright.calibrate.priority import priority

DROP = 3.0
"""A contender so many times slower than the best of its kind is timed in the first round only."""
FEWEST = 5
"""Rounds that a comparison has, however long they take."""
LOOK, AT_REST, PATIENCE = 12e-3, 0.05, 2.0
"""Seconds for which other threads are watched (the system counts theirs every 4 ms), the share of
them that these may work, and seconds after which they are let be: who polls never rests."""
REST = 0.15
"""Seconds between timings before other processes, which have their part of each second."""


@dataclass
class Rounds:
    """Seconds of each contender, round by round (NaN where it was left out), and peaks."""

    seconds: dict[str, list[float]]
    flops: list[float] = field(default_factory=list)

    def median(self, name: str) -> float:
        return float(np.nanmedian(self.seconds[name]))

    def best(self, names: list[str]) -> str:
        """The fastest contender among `names`."""
        return min(names, key=self.median)

    def ratio(self, slow: str, fast: str, scale: float = 1.0) -> tuple[float, float, float]:
        """Quartiles of scale * seconds(slow) / seconds(fast): (median, low, high)."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        ratios = np.array([scale * a / b for a, b in pairs])
        low, middle, high = np.nanpercentile(ratios, [25, 50, 75])
        return float(middle), float(low), float(high)

    @property
    def gflops(self) -> float:
        return statistics.median(self.flops) / 1e9


def compare(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    keep: tuple[str, ...] = (),
    seconds: float = inf,
) -> Rounds:
    """Time each contender once a round; each gives its own seconds. All must be warm.

    Contenders not in `keep` that lose by far in the first round are not asked again. After so many
    seconds, and `FEWEST` rounds, there are no more.
    """
    gc.collect()  # what an earlier case left, gigabytes at times, is given back in nobody's time
    result, peak = Rounds({name: [] for name in contenders}), _peak()
    dropped: set[str] = set()
    start = time.perf_counter()
    for number in range(rounds):
        if number >= FEWEST and time.perf_counter() - start > seconds:
            break
        result.flops.append(max(peak.flops() for _ in range(3)))
        for name, run in contenders.items():
            if name in dropped:
                result.seconds[name].append(float("nan"))
                continue
            at_rest()
            result.seconds[name].append(run())
        if number == 0:
            first = {n: s[0] for n, s in result.seconds.items() if n not in keep}
            dropped = {n for n, s in first.items() if s > DROP * min(first.values())}
    return result


def at_rest() -> None:
    """Waits until the other threads of this process rest."""
    until = time.perf_counter() + PATIENCE
    while _of_others() > AT_REST * LOOK and time.perf_counter() < until:
        pass


def _of_others() -> float:
    """Processor seconds of all threads but this one, while this one sleeps."""
    start = time.process_time() - time.thread_time()
    time.sleep(LOOK)
    return time.process_time() - time.thread_time() - start


def undisturbed(timing: Callable[[], float]) -> Callable[[], float]:
    """The same, of something short, before other processes where the system grants that."""

    def seconds() -> float:
        time.sleep(REST)
        with priority():
            return timing()

    return seconds


@cache
def _peak() -> FmaPeak:
    return FmaPeak()
