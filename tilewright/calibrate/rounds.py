"""Timings that are repeated in rounds, and believed only if the best of them agree.

A round times each thing once, and beside it a chain of additions that takes a known number of
cycles: a core that is slow for a while is so for both. Times are those of the thread that works,
not of the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tilewright.calibrate.alone import Alone
from tilewright.codelets.peak import PeakChain

AGREEING, TOLERANCE = 3, 0.1
"""So many of the best rounds must lie within that share of the best."""

Timing = Callable[[], float]


class DisturbedError(RuntimeError):
    """The host was busy with something else: its figures would be wrong for a month."""


class Chain:
    """The chain; `seconds()` is what one cycle takes, now."""

    def __init__(self, turns: int = 60_000):
        self.alone = Alone(PeakChain(turns))
        self.cycles = self.alone.codelet.work.flops

    def seconds(self) -> float:
        return self.alone.seconds() / self.cycles


def in_cycles(timings: Mapping[str, Timing], chain: Chain, rounds: int) -> dict[str, float]:
    """The best of each timing (in seconds) over all rounds, in cycles of the same moment."""
    found: dict[str, list[float]] = {name: [] for name in timings}
    for _ in range(rounds):
        for name, timing in timings.items():
            cycle = chain.seconds()
            found[name].append(timing() / min(cycle, chain.seconds()))
    return {name: best(name, values) for name, values in found.items()}


def best(name: str, values: Sequence[float]) -> float:
    """The smallest; raises `DisturbedError` where it stands alone."""
    ordered = sorted(values)
    if ordered[min(AGREEING, len(ordered)) - 1] > ordered[0] * (1 + TOLERANCE):
        raise DisturbedError(
            f"This host is too busy to be measured: the best {AGREEING} of {len(ordered)} timings "
            f"of {name} differ by more than {TOLERANCE:.0%}. Nothing was kept; try again when it "
            "is idle."
        )
    return ordered[0]
