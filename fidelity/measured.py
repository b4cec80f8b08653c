"""What a case takes on this host, in cycles of the moment: the best of many calls.

In: an executable and its arguments. Out: cycles. Of one tile, by the processor time of its thread;
of several, by the clock on the wall, with priority over other processes where the system grants
it, since a thread that is kept waiting keeps all others waiting. Calls during which the core was
slower than at its best do not count (`calibrate/rounds.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tilewright.calibrate.priority import priority
from tilewright.calibrate.rounds import AGREEING, Chain, steady

SECONDS, LEAST, REST = 1.0, 8, 0.01
"""Of calls for a case; calls at least; of sleep before a call with priority."""


def cycles(run: Callable[..., Any], arguments: tuple[Any, ...], tiles: int, chain: Chain) -> float:
    """The third best: the best alone may be a clock's whim."""
    run(*arguments)
    found: list[tuple[float, float]] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or len(found) < LEAST:
        found.append(_alone(run, arguments, chain) if tiles == 1 else _all(run, arguments, chain))
    values = sorted(steady(found))
    return values[min(AGREEING, len(values)) - 1]


def _alone(run: Callable[..., Any], arguments: tuple, chain: Chain) -> tuple[float, float]:
    before = chain.seconds()
    run(*arguments)  # caches may be somebody else's by now
    start = time.thread_time_ns()
    run(*arguments)
    seconds = (time.thread_time_ns() - start) * 1e-9
    return seconds, min(before, chain.seconds())


def _all(run: Callable[..., Any], arguments: tuple, chain: Chain) -> tuple[float, float]:
    time.sleep(REST)
    with priority():
        before = chain.seconds()
        run(*arguments)
        start = time.perf_counter_ns()
        run(*arguments)
        seconds = (time.perf_counter_ns() - start) * 1e-9
        return seconds, min(before, chain.seconds())
