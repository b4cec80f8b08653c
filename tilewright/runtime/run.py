"""A program under way while its caller does something else: `Run`.

In: an Executable and the leaves of a call. Out: progress, finished instances of the top-level map
as they come, and the result. A run ends by finishing, by `cancel()`, or with the process.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from tilewright.frozen import frozen
from tilewright.runtime.gang import drive, pin
from tilewright.runtime.stream import Stream

if TYPE_CHECKING:
    from tilewright.runtime.executable import Executable


class CancelledError(Exception):
    """The run was cancelled before it had a result."""


@frozen
class Progress:
    """Instances of the top-level map that are done, of how many; and turns of each loop so far.

    `trips` adds up what `by_worker` has for each worker (thread).
    """

    completed: int
    total: int
    trips: dict[str, int]
    by_worker: dict[str, tuple[int, ...]]


class _Job:
    """What the driving thread holds: not the `Run`, so that a forgotten run is cancelled."""

    def __init__(self, executable: Executable, stream: Stream):
        self.executable, self.frame, self.ring = executable, stream.frame, stream.ring
        self.stream = stream  # its arrays must live as long as the program runs
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.last: Progress | None = None
        _jobs.add(self)

    def drive(self) -> None:
        """Run from start to end, with the gang, or without it when another stream has it."""
        try:
            if self.frame.workers > 1:
                pin(0)
            drive(self.frame, endless=self.ring, given_up=lambda: self.frame.cancel.value != 0)
        except BaseException as error:
            self.failure = error
        finally:
            self.last = self.now()
            self.ended.set()

    def forget(self) -> None:
        """In the child of a fork: nobody runs this any more."""
        self.failure = CancelledError("The run stayed in the process that was forked.")
        self.last, self.ended = self.now(), threading.Event()
        self.ended.set()

    def now(self) -> Progress:
        columns = map(tuple, self.frame.trips.T.tolist())
        by_worker = dict(zip(self.executable.image.loops, columns, strict=True))
        trips = {name: sum(turns) for name, turns in by_worker.items()}
        return Progress(self.frame.completed.value, self.frame.count, trips, by_worker)


_jobs: weakref.WeakSet[_Job] = weakref.WeakSet()


def _after_fork() -> None:
    for job in list(_jobs):
        if not job.ended.is_set():
            job.forget()


os.register_at_fork(after_in_child=_after_fork)


class Run:
    """A call that is under way on a thread of its own. Leaving its `with` block cancels it."""

    def __init__(
        self, executable: Executable, leaves: Sequence[Any], *, stream: bool, slots: int | None
    ):
        self._executable = executable
        self._stream = Stream(executable, leaves, ring=stream, slots=slots)
        self._job = _Job(executable, self._stream)
        self._frame = self._job.frame
        threading.Thread(target=self._job.drive, name="tilewright-run", daemon=True).start()

    def __repr__(self) -> str:
        """`<Run chain: 12 of 64 instances, running>`"""
        progress = self.progress()
        done = f"{progress.completed:,} of {progress.total:,} instances, " if progress.total else ""
        state = "running" if not self.done else "cancelled" if self.cancelled else "done"
        return f"<Run {self._executable.image.interface.name}: {done}{state}>"

    @property
    def done(self) -> bool:
        """Whether the program has ended, one way or the other."""
        return self._job.ended.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop; it may still be at it."""
        return self._frame.cancel.value != 0

    def progress(self) -> Progress:
        """Where the program is at this moment."""
        return self._job.last or self._job.now()

    def finished(
        self, timeout: float | None = None, *, ordered: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """(index, result) of each instance of the top-level map, as they finish or by index.

        A result has the tree of the function's, with the mapped leaves of that instance only and
        None for all others. Raises `TimeoutError` when nothing comes for `timeout` seconds, and
        `CancelledError` when the run is cancelled. Iterators of one run share its instances.
        """
        self._stream.check_map()
        return self._follow(timeout, ordered)

    def _follow(self, timeout: float | None, ordered: bool) -> Iterator[tuple[int, Any]]:
        patience, since = 0.0001, time.monotonic()
        while not self._stream.exhausted:
            over = self.done
            taken = self._stream.take(ordered)
            if taken is not None:
                yield taken
                patience, since = 0.0001, time.monotonic()
                continue
            if over and not self._stream.exhausted:
                self._raise_if_stopped()
                raise RuntimeError("The program ended before all instances were done.")
            if timeout is not None and time.monotonic() - since > timeout:
                raise TimeoutError(f"No instance has finished for {timeout} s.")
            self._job.ended.wait(patience)
            patience = min(2 * patience, 0.005)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the program has ended; false after `timeout` seconds without."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            left = 0.05 if end is None else min(0.05, end - time.monotonic())
            if left <= 0:
                return False
            self._stream.drain_all()
            self._job.ended.wait(0.002 if self._stream.ring else left)
        self._stream.drain_all()
        return True

    def result(self, timeout: float | None = None) -> Any:
        """The whole result, as a plain call would give it."""
        self._stream.collect()
        try:
            ended = self.wait(timeout)
        except BaseException:
            self.cancel_and_wait()
            raise
        if not ended:
            raise TimeoutError(f"The program has not ended within {timeout} s.")
        self._raise_if_stopped()
        return self._executable.result(self._stream.results())

    def cancel(self) -> None:
        """Ask the program to stop; it does so within 0.2 s."""
        if not self.done:
            self._frame.stop()

    def cancel_and_wait(self) -> None:
        """Ask the program to stop, and come back when it has."""
        self.cancel()
        self._job.ended.wait()

    def _raise_if_stopped(self) -> None:
        if self._job.failure is not None:
            raise self._job.failure
        if self.cancelled:
            raise CancelledError("The run was cancelled.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel_and_wait()

    def __del__(self) -> None:
        job = getattr(self, "_job", None)
        if job is not None and not job.ended.is_set():
            job.frame.stop()
