"""The gang: one set of native threads a process, which help one program at a time.

Worker 0 of a program is the thread that called it. Worker k is a thread of ours, pinned to the k-th
allowed CPU, or to another where the caller is on that: the system may leave two that wait for each
other on one CPU for seconds. It waits in native code (`native.py`) without Python's lock. Threads
are started when first needed, ended at exit, and forgotten after a fork.

`Turn` keeps programs apart. A streaming run may hold the gang for as long as its reader likes, so
nobody waits for one: who comes meanwhile runs alone, with one worker. The result is the same bits,
and no order of calls can deadlock.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

from tilewright.codegen.context import LINE
from tilewright.env import ENVIRONMENT
from tilewright.machine.cpu import allowed_cpus, cpu_limit
from tilewright.runtime import signals
from tilewright.runtime.memory import arena
from tilewright.runtime.native import GANG_LINES, SPIN, Native, architecture, native

if TYPE_CHECKING:
    from tilewright.runtime.frame import Frame

MOST_WORKERS = 1024
"""Room for mailboxes; far more than the CPUs of any host this runs on."""


def default_workers() -> int:
    """Threads to use: the CPUs that this process may use, or TILEWRIGHT_TILES."""
    return min(ENVIRONMENT.tiles or cpu_limit(), MOST_WORKERS)


def spin_for(workers: int) -> int:
    """Clock ticks to spin while there is no work: none when workers have to share CPUs."""
    return SPIN[architecture()] if workers <= len(allowed_cpus()) else 0


class Turn:
    """Whose turn it is. `take` gives False when the one whose turn it is may never end.

    So it does when the caller has `given_up` meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endless = False
        self._owner = 0

    def take(self, endless: bool = False, given_up: Callable[[], bool] = lambda: False) -> bool:
        if not self._lock.acquire(blocking=False):
            while not self._lock.acquire(timeout=0.01):
                if self._endless or self._owner == threading.get_ident() or given_up():
                    return False
        self._endless = endless
        self._owner = threading.get_ident()
        return True

    def give_back(self) -> None:
        self._endless, self._owner = False, 0
        self._lock.release()


class Gang:
    """The threads and their mailboxes. Only the holder of `turn` may post or run."""

    def __init__(self) -> None:
        self.turn = Turn()
        self._native: Native = native()
        self._memory, self._address = arena((GANG_LINES + MOST_WORKERS) * LINE)
        self._memory[:] = 0
        self._words = np.frombuffer(self._memory[:LINE], np.int64)
        self._words[2] = spin_for(default_workers())
        self._threads = [threading.current_thread()]
        """By worker; the first stands for whoever calls."""
        self._places: dict[int, int] = {}
        """Who is pinned to a CPU, by the system's number for a thread."""
        self._spare = min(allowed_cpus())
        """A CPU that nobody is pinned to."""

    def help(self, frame: Frame) -> None:
        """Be there for the workers of a frame but the first."""
        self._grow(frame.workers)
        self._make_way()
        frame.job.gang = self._address

    def close(self) -> None:
        """End the threads, once the program that runs (if any) has."""
        if len(self._threads) == 1 or not self.turn._lock.acquire(timeout=1.0):
            return
        self._native.tw_post(self._address, None, None, 1, len(self._threads) - 1)
        for thread in self._threads[1:]:
            thread.join(1.0)
        del self._threads[1:]
        self.turn.give_back()

    def _grow(self, workers: int) -> None:
        while len(self._threads) < workers:
            number = len(self._threads)
            thread = threading.Thread(
                target=self._native.tw_worker,
                args=(self._address, number),
                name=f"tilewright-{number}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)
            place = _place(number)
            if place is not None and thread.native_id is not None:
                self._places[place] = thread.native_id
                _pin(thread.native_id, place)

    def _make_way(self) -> None:
        """Who is pinned to the caller's CPU goes to the one that nobody is pinned to."""
        here = _here()
        if thread := self._places.pop(here, None):
            self._places[self._spare] = thread
            _pin(thread, self._spare)
            self._spare = here


def pin(number: int) -> None:
    """Keep this thread on the CPU of a worker."""
    if (place := _place(number)) is not None:
        _pin(0, place)


def _place(number: int) -> int | None:
    """The CPU of a worker; None under a quota or for too many, where the scheduler knows better."""
    cpus = sorted(allowed_cpus())
    return cpus[number] if number < len(cpus) <= cpu_limit() else None


def _pin(thread: int, cpu: int) -> None:
    with suppress(OSError, AttributeError):  # the allowed CPUs may have changed
        os.sched_setaffinity(thread, {cpu})


try:
    _here = ctypes.CDLL(None).sched_getcpu
except AttributeError:  # another system than Linux

    def _here() -> int:
        return -1


def drive(
    frame: Frame, endless: bool = False, given_up: Callable[[], bool] = lambda: False
) -> None:
    """Run what the frame is filled for, on this thread and on the gang's if it has several workers.

    An exception of a signal's handler stops the program, and comes out when it has ended.
    """
    with helped(frame, endless, given_up):
        native().tw_drive(frame.address)


@contextmanager
def helped(
    frame: Frame, endless: bool = False, given_up: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """The gang's help for a run, or none where it is taken: then the frame has one worker."""
    if not signals.watcher.awake:
        signals.watcher.wake()
    if frame.workers == 1:
        yield
        return
    crew = gang()
    if crew.turn.take(endless, given_up):
        try:
            crew.help(frame)
            yield
        finally:
            crew.turn.give_back()
    else:
        frame.context.workers = 1
        try:
            yield
        finally:
            frame.context.workers = frame.workers


class _Process:
    """What this process has."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.gang: Gang | None = None


_process = _Process()


def gang() -> Gang:
    """The process's gang, made when first asked for."""
    found = _process.gang
    if found is None:
        with _process.lock:
            found = _process.gang = _process.gang or Gang()
    return found


def _after_fork() -> None:
    """Threads do not survive a fork: begin anew, without waiting for locks nobody will release."""
    global _process
    _process = _Process()


def _at_exit() -> None:
    signals.stop_all()
    if _process.gang is not None:
        _process.gang.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
