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

STEADY = 0.02
"""A round counts if the core is, before or after it, within that share of its best speed."""

PATIENCE = 40
"""While they do not agree, so many times the rounds at most: a busy host has quiet moments."""

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
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in timings}
    for number in range(PATIENCE * rounds):
        wanted = [n for n in found if number < rounds or not agree(steady(found[n]), rounds)]
        for name in wanted:
            before, seconds = chain.seconds(), timings[name]()
            found[name].append((seconds, min(before, chain.seconds())))
        if not wanted:
            break
    return {name: best(name, steady(pairs), rounds) for name, pairs in found.items()}


def patient(name: str, timing: Timing, rounds: int) -> float:
    """The best of a timing in seconds of the clock on the wall, taken until the best few agree."""
    found = [timing() for _ in range(rounds)]
    while not agree(found, rounds) and len(found) < PATIENCE * rounds:
        found.append(timing())
    return best(name, found, rounds)


def steady(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Of (seconds, seconds of a cycle), the cycles of the rounds in which the core was fast.

    One whose chain was held up itself would count too few. A few must have been as fast.
    """
    fastest = sorted(cycle for _, cycle in pairs)[min(AGREEING, len(pairs)) - 1]
    return [seconds / cycle for seconds, cycle in pairs if cycle <= fastest * (1 + STEADY)]


def best(name: str, values: Sequence[float], rounds: int = AGREEING) -> float:
    """The smallest; raises `DisturbedError` where it stands alone."""
    if not agree(values, rounds):
        raise DisturbedError(
            f"This host is too busy to be measured: the best {AGREEING} of {len(values)} timings "
            f"of {name} differ by more than {TOLERANCE:.0%}. Nothing was kept; try again when it "
            "is idle."
        )
    return min(values)


def agree(values: Sequence[float], rounds: int = AGREEING) -> bool:
    """Whether the best few are close to one another; one round alone has nothing to agree with."""
    ordered = sorted(values)[: min(AGREEING, rounds)]
    enough = len(ordered) >= min(AGREEING, rounds)
    return enough and ordered[-1] <= ordered[0] * (1 + TOLERANCE)
