"""What a case takes on this host, in cycles of the moment: the best of many calls.

In: an executable and its arguments. Out: cycles, by the clock on the wall, with priority over other
processes for the few milliseconds of a call, where the system grants it. A call follows another at
once, so that caches are its own. Calls during which the core was slower than at its best do not
count (`calibrate/rounds.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tilewright.calibrate.priority import priority
from tilewright.calibrate.rounds import AGREEING, Chain, steady

SECONDS, LEAST, REST = 0.7, 8, 0.01
"""Of calls for a case; calls at least; of sleep before one, for everybody else."""


def cycles(run: Callable[..., Any], arguments: tuple[Any, ...], chain: Chain) -> float:
    """The third best: the best alone may be a clock's whim."""
    run(*arguments)
    found: list[tuple[float, float]] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or len(found) < LEAST:
        found.append(_once(run, arguments, chain))
    values = sorted(steady(found))
    return values[min(AGREEING, len(values)) - 1]


def _once(run: Callable[..., Any], arguments: tuple, chain: Chain) -> tuple[float, float]:
    """Seconds, and those of a cycle."""
    time.sleep(REST)
    with priority():
        before = chain.seconds()
        run(*arguments)
        start = time.perf_counter_ns()
        run(*arguments)
        seconds = (time.perf_counter_ns() - start) * 1e-9
        return seconds, min(before, chain.seconds())
