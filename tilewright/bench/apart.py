"""A case in a fresh process that is pinned to one core, with all whom it compares.

XLA makes a thread for each core that it sees when it starts, and on one core's work they wait for
each other in processor time: who runs a process a core sees one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from tilewright.bench.record import Row
from tilewright.machine.cpu import allowed_cpus


def pinned(case: Callable[..., Sequence[Row]], *arguments: Any) -> Sequence[Row]:
    """The rows of a function that a module has by name."""
    with ProcessPoolExecutor(1, get_context("spawn"), _pin) as process:
        return process.submit(case, *arguments).result()


def _pin() -> None:
    os.sched_setaffinity(0, {max(allowed_cpus())})
