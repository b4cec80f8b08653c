"""A program under way: `execute` waits for it, `Run` lets the caller do something else meanwhile.

In: an Executable and the leaves of a call. Out: progress, finished instances of the top-level map
as they come, and the result. A run ends by finishing, by `cancel()`, or with the process.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tilewright.runtime.gang import Gang, gang, register, unregister
from tilewright.runtime.native import native
from tilewright.runtime.stream import Stream

if TYPE_CHECKING:
    from tilewright.runtime.executable import Executable
    from tilewright.runtime.frame import Frame

_numbers = itertools.count()


class CancelledError(Exception):
    """The run was cancelled before it had a result."""


@dataclass(frozen=True)
class Progress:
    """Instances of the top-level map that are done, of how many; and turns of each loop so far.

    `trips` adds up what `by_worker` has for each worker (thread).
    """

    completed: int
    total: int
    trips: dict[str, int]
    by_worker: dict[str, tuple[int, ...]]


def execute(executable: Executable, frame: Frame) -> None:
    """Run and wait. Ctrl-C cancels the program, waits for its end, and goes on as usual."""
    crew = gang()
    if not crew.turn.take():
        _apart(executable, frame)
        return
    try:
        if executable.compiled.short:
            crew.run(executable.function, frame.address, frame.workers)
        else:
            post = partial(crew.post, executable.function, frame.address, frame.workers)
            _run_and_wait(post, crew.wait, frame)
    finally:
        crew.turn.give_back()


def _run_and_wait(start: Callable[[], None], ended: Callable[[], bool], frame: Frame) -> None:
    """Start, and wait until `ended()`; an exception (a signal's) cancels, and is raised then.

    The program owns its memory until it has ended, so nothing may leave before. A second signal
    can come while the first one's exception is handled: that is what the outer loop is for. The
    handlers call nothing, as Python looks for signals in calls.
    """
    interruption: BaseException | None = None
    over = False
    number = next(_numbers)
    register(number, frame.stop)
    while not over:
        try:
            while not over:
                try:
                    if interruption is None:
                        start()
                    while not ended():
                        pass
                    over = True
                except BaseException as error:
                    frame.cancel.value = 1
                    interruption = error
        except BaseException as error:
            frame.cancel.value = 1
            interruption = error
    unregister(number)
    if interruption is not None:
        raise interruption


def _apart(executable: Executable, frame: Frame) -> None:
    """The gang is taken for long: one worker, on a thread of its own."""
    frame.context.workers = 1
    thread = threading.Thread(
        target=native().tw_call, args=(executable.function, frame.address, 0), daemon=True
    )
    try:
        _run_and_wait(thread.start, lambda: _has_ended(thread), frame)
    finally:
        frame.context.workers = frame.workers


def _has_ended(thread: threading.Thread) -> bool:
    if thread.ident is not None:  # it may never have been started
        thread.join(0.05)
    return not thread.is_alive()


class _Job:
    """What the driving thread holds: not the `Run`, so that a forgotten run is cancelled."""

    def __init__(self, executable: Executable, stream: Stream):
        self.executable, self.frame, self.ring = executable, stream.frame, stream.ring
        self.stream = stream  # its arrays must live as long as the program runs
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.last: Progress | None = None
        self.number = next(_numbers)
        _jobs.add(self)

    def drive(self) -> None:
        """Hold the gang from start to end, or do without it when another stream has it."""
        try:
            self._run(gang())
        except BaseException as error:
            self.failure = error
        finally:
            self.last = self.now()
            unregister(self.number)
            self.ended.set()

    def _run(self, crew: Gang) -> None:
        function, frame = self.executable.function, self.frame
        if not crew.turn.take(endless=self.ring, given_up=lambda: frame.cancel.value != 0):
            frame.context.workers = 1
            native().tw_call(function, frame.address, 0)
            return
        try:
            crew.post(function, frame.address, frame.workers)
            while not crew.wait():
                pass
        finally:
            crew.turn.give_back()

    def forget(self) -> None:
        """In the child of a fork: nobody runs this any more."""
        self.failure = CancelledError("The run stayed in the process that was forked.")
        self.last, self.ended = self.now(), threading.Event()
        self.ended.set()

    def now(self) -> Progress:
        columns = map(tuple, self.frame.trips.T.tolist())
        by_worker = dict(zip(self.executable.compiled.loops, columns, strict=True))
        trips = {name: sum(turns) for name, turns in by_worker.items()}
        return Progress(self.frame.completed.value, self.frame.count, trips, by_worker)

    def stop(self) -> None:
        """Cancel, and wait for the end (at exit: the process must not go while it runs)."""
        self.frame.stop()
        self.ended.wait(2.0)


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
        register(self._job.number, self._job.stop)
        threading.Thread(target=self._job.drive, name="tilewright-run", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether the program has ended, one way or the other."""
        return self._job.ended.is_set()

    @property
    def cancelled(self) -> bool:
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
