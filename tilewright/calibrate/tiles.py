"""What takes several tiles: the barrier, and reads while all tiles read.

Here time is that of the clock on the wall, of rounds in which no thread was kept waiting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.calibrate.alone import Alone, executable
from tilewright.calibrate.priority import priority
from tilewright.machine.cpu import allowed_cpus, cpu_limit
from tilewright.plan.basic import fill_codelet
from tilewright.plan.ir import Buffer, Call, Loop, Program, Spread, Sync, new_var
from tilewright.plan.views import whole

SUPERSTEPS, REST = 200, 0.002


def barrier() -> Callable[[], float] | None:
    """What times a superstep with nothing in it, in seconds; None where there is one tile."""
    workers = cpu_limit()
    if workers == 1:
        return None
    run = executable(_supersteps(workers), workers)
    run()
    return lambda: _seconds(run) / SUPERSTEPS


def _seconds(run: Callable[[], Any]) -> float:
    time.sleep(REST)
    with priority():
        run()
        start = time.perf_counter()
        run()
        return time.perf_counter() - start


def _supersteps(workers: int) -> Program:
    """An instance a tile, which writes one number to the tile's own memory, then all wait."""
    buffer = Buffer("float32", 1, "tile")
    view = whole(buffer, (1,))
    spread = Spread(
        new_var(), workers, (Call(fill_codelet(np.zeros((), np.float32), view), (view,)),)
    )
    loop = Loop(new_var(), SUPERSTEPS, (spread, Sync()))
    return Program((buffer,), (), (), (loop,), {buffer: 0}, 0, 64)


def together(readers: Sequence[Alone]) -> float:
    """Seconds until pinned threads that began at once have each run a program, a turn."""
    ready, ended = threading.Barrier(len(readers)), []

    def work(reader: Alone, cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})
        ready.wait()
        start = time.perf_counter()
        reader.run(*reader.arrays)
        ended.append(time.perf_counter() - start)

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip(readers, sorted(allowed_cpus()), strict=False)
    ]
    with priority():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return max(ended) / readers[0].turns
