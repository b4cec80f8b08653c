"""A frame: the memory of one run of a program, the context that describes it, and its job.

In: an `Image` and the number of workers. Out: arenas, counters and pointer tables, reused from run
to run (`FramePool`), so that a call costs a few microseconds. A frame belongs to one run at a time.

A job (`call_text.py`) is what native code needs besides the context to run the program from Python.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.codegen.context import LINE, Context
from tilewright.codegen.meeting import barrier_bytes
from tilewright.image import Image
from tilewright.runtime.call_text import JOB
from tilewright.runtime.gang import spin_for
from tilewright.runtime.layout import Table
from tilewright.runtime.memory import address, arena
from tilewright.runtime.native import applying
from tilewright.runtime.native_text import LONG
from tilewright.runtime.results import Results
from tilewright.runtime.signals import watch

PAGE = 4096
KEPT = 4
"""Frames a pool keeps for later calls; only one if it is large."""
LARGE = 256 << 20


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


class Job(ctypes.Structure):
    """All words are 64 bits wide."""

    _fields_ = [(name, ctypes.c_int64) for name in JOB]


class Frame:
    """Context, arenas and counters. `slots` is the length of the ring of a streamed map.

    `expected` and `results` are for calls whose arguments native code checks: those of the leaves
    `span` (all, if not given). `ready` are leaves that are the same arrays in every run. Results
    begin in their pieces on a multiple of `line` bytes.
    """

    def __init__(
        self,
        image: Image,
        function: int,
        workers: int,
        *,
        slots: int | None = None,
        expected: Table | None = None,
        results: Results | None = None,
        span: range | None = None,
        ready: Mapping[int, np.ndarray] | None = None,
        line: int = LINE,
    ):
        self.workers, interface = workers, image.interface
        self.count = image.streamed.count if image.streamed else 0
        self.slots = max(1, slots or self.count)
        self.loops = len(image.loops)
        self.trips_stride = _up(8 * self.loops, LINE)
        self._layout(image.maps)
        self.inputs = (ctypes.c_void_p * max(1, len(image.constants) + len(interface.inputs)))()
        self.outputs = (ctypes.c_void_p * max(1, len(interface.outputs)))()
        self.shifts = (ctypes.c_int64 * len(interface.outputs))()
        given = range(len(image.constants), len(image.constants) + len(interface.inputs))
        span = given if span is None else given[span.start : span.stop]
        ready = {given[leaf]: array for leaf, array in (ready or {}).items()}
        for position, array in [*enumerate(image.constants), *ready.items()]:
            self.inputs[position] = address(array)
        self._first = span.start
        self.context = self._in_context(image)
        self._kept = expected, results, image.constants, ready
        self.job = self._a_job(function, len(span), expected, results, line)
        self.address = ctypes.addressof(self.job)
        self.apply = applying(self.address) if expected is not None else _refuse
        """Runs the program with leaves and pieces, if native code can read them; else not 0."""
        watch(self)

    def _in_context(self, image: Image) -> Context:
        """What every worker is given, with the arenas that it computes in."""
        tile_stride = _up(image.tile_bytes, PAGE) + LINE
        self._shared, shared = arena(image.shared_bytes)
        self._tiles, tile_arenas = arena(tile_stride * self.workers)
        self.nbytes = image.shared_bytes + tile_stride * self.workers
        return Context(
            shared=shared,
            tile_arenas=tile_arenas,
            tile_arena_stride=tile_stride,
            inputs=ctypes.addressof(self.inputs),
            outputs=ctypes.addressof(self.outputs),
            workers=self.workers,
            trips_stride=self.trips_stride,
            ring_slots=self.slots,
            spin=LONG * spin_for(self.workers),
            **self._at,
        )

    def _a_job(
        self,
        function: int,
        leaves: int,
        expected: Table | None,
        results: Results | None,
        line: int,
    ) -> Job:
        return Job(
            context=ctypes.addressof(self.context),
            function=function,
            control=self._control_address,
            control_bytes=self._control_bytes,
            filled=self._at["filled"],
            count=self.count,
            expected=ctypes.addressof(expected) if expected is not None else 0,
            leaves=leaves,
            inputs=ctypes.addressof(self.inputs) + 8 * self._first,
            results=results.count if results is not None else 0,
            places=ctypes.addressof(results.places) if results is not None else 0,
            outputs=ctypes.addressof(self.outputs),
            shifts=ctypes.addressof(self.shifts),
            line=line,
        )

    def _layout(self, maps: int) -> None:
        """One block of lines for all that is set to zero before a run."""
        sizes = {
            "barrier": barrier_bytes(self.workers),
            "cancel": LINE,
            "completed": LINE,
            "drained": LINE,
            "filled": LINE,
            "trips": self.workers * self.trips_stride,
            "queues": maps * self.workers * LINE,
            "done": _up(self.slots, LINE),
        }
        self._control, start = arena(sum(sizes.values()))
        self._control_address, self._control_bytes = start, sum(sizes.values())
        self._at, offset = {}, 0
        for name, size in sizes.items():
            self._at[name] = start + offset
            offset += size
        self.cancel = ctypes.c_int8.from_address(self._at["cancel"])
        self.look = ctypes.c_int8.from_address(self._at["cancel"] + 1)
        self.completed = ctypes.c_int64.from_address(self._at["completed"])
        self.drained = ctypes.c_int64.from_address(self._at["drained"])
        self.filled = ctypes.c_int64.from_address(self._at["filled"])
        done, trips = self._at["done"] - start, self._at["trips"] - start
        self.done = self._control[done : done + self.slots]
        counters = self._control[trips : trips + self.workers * self.trips_stride]
        table = counters.view(np.int64).reshape(self.workers, self.trips_stride // 8)
        self.trips = table[:, : self.loops]

    def point_at(self, inputs: Sequence[np.ndarray], outputs: Sequence[int]) -> None:
        """The span's arrays, which live until the run has ended, and the results' addresses."""
        for position, array in enumerate(inputs, self._first):
            self.inputs[position] = address(array)
        self.outputs[: len(outputs)] = outputs

    def reset(self, filled: int | None = None) -> None:
        """Ready for a run; all inputs are there unless `filled` says how many."""
        ctypes.memset(self._control_address, 0, self._control_bytes)
        self.filled.value = self.count if filled is None else filled

    def stop(self) -> None:
        """Cancel the run that has this frame."""
        self.cancel.value = 1


def _refuse(*_: Any) -> int:
    """Where native code cannot read Python's objects."""
    return 1


class FramePool:
    """Frames that are free, for calls from any thread."""

    def __init__(self, make: Callable[[], Frame]):
        self._make = make
        self._free: deque[Frame] = deque()

    def take(self) -> Frame:
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def give_back(self, frame: Frame) -> None:
        if len(self._free) < (1 if frame.nbytes > LARGE else KEPT):
            self._free.append(frame)
