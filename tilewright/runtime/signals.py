"""Signals reach a running program: Python's own thread is in it, and handlers run there.

Python notes a signal and runs its handler when the main thread comes back to it. A program that
runs for long must therefore look up now and then. A thread of ours, awake only while programs are
called, asks each running one to do so every `PERIOD` (a byte in its `cancel` word); its worker 0,
the thread that called, then takes Python's lock and lets Python call handlers: see `call_text.py`.

The same list of frames serves the end of the process: what still runs is stopped.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.runtime.frame import Frame

PERIOD = 0.03
"""Seconds between two looks of a running program."""

IDLE = 30
"""Periods without a running program after which the thread sleeps until it is woken."""

END = 2.0
"""Seconds that a process that ends waits for what it has stopped."""

_frames: weakref.WeakValueDictionary[int, Frame] = weakref.WeakValueDictionary()


class _Watcher:
    """The thread, started when first needed. `awake` is read at every call."""

    def __init__(self) -> None:
        self.awake = False
        self._calls = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Watch: a program is about to run."""
        with self._lock:
            self.awake = True
            self._calls.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="tilewright-signals", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        idle = 0
        while True:
            time.sleep(PERIOD)
            idle = 0 if ask() else idle + 1
            if idle < IDLE:
                continue
            with self._lock:
                self.awake = False
                self._calls.clear()
            if not ask():  # else a call came between, and found us awake
                self._calls.wait()
            self.awake, idle = True, 0


watcher = _Watcher()


def watch(frame: Frame) -> None:
    """From now on the frame is asked while it runs."""
    _frames[id(frame)] = frame


def running() -> list[Frame]:
    """The frames of programs that run at this moment."""
    found = (reference() for reference in _frames.valuerefs())
    return [frame for frame in found if frame is not None and frame.job.running]


def ask() -> bool:
    """Have every running program look for signals; whether there is one."""
    frames = running()
    for frame in frames:
        frame.look.value = 1
    return bool(frames)


def stop_all() -> None:
    """At exit: the process must not take memory away from what still runs."""
    end = time.monotonic() + END
    while (frames := running()) and time.monotonic() < end:
        for frame in frames:
            frame.stop()
        time.sleep(0.001)


def _after_fork() -> None:
    """The threads that ran programs are not in this process."""
    global watcher
    watcher = _Watcher()
    for frame in running():
        frame.job.running = 0


os.register_at_fork(after_in_child=_after_fork)
