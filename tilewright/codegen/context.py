"""The context: what a compiled program is given when it runs. The contract with `codegen/`.

A program is one function `i32 @tilewright_run(ptr %context, i64 %worker)`. Every taking-part thread
("worker" 0 .. workers - 1) calls it once with the same context; it returns 0, or 1 when cancelled.
The context is a table of 64-bit fields in the order of `Context`; `FIELDS` numbers them.

Support functions that a program may declare and call (`runtime/native.py`):

    i32 @tw_barrier(ptr context, i64 worker)      all workers meet; see below
    i32 @tw_cancelled(ptr context, i64 worker)    1 when the run is to stop; see below
    i64 @tw_next(ptr context, i64 line)           the next number of a queue: 0, 1, 2, ...
    i32 @tw_wait_slot(ptr context, i64 instance)  wait for the ring slot of an instance
    void @tw_finished(ptr context, i64 instance)  an instance of the top-level map is done

Cancelling: `cancel` points to a word of two flags. Byte 0 says that the run is to stop. Byte 1 asks
worker 0, which is the thread that called, to look whether signals are waiting for Python. After a
barrier, after each turn of a loop and after some 10 ms of straight work a program looks at the
whole word. Where it is not 0, it calls `tw_cancelled`, which does the looking that was asked for;
where that gives 1, it returns from every function it is in. What it writes meanwhile is nobody's
result. `tw_barrier` and `tw_wait_slot` return 1 at once when the run is cancelled, even if others
have not arrived, so no worker ever waits for one that has left.

Streaming: instance i of the top-level map reads and writes slot i % ring_slots of the streamed
inputs and outputs; it may begin when i < drained + ring_slots and i < filled, which is what
`tw_wait_slot` waits for. Without streaming ring_slots = filled = the number of instances, so
nothing waits.
"""

from __future__ import annotations

import ctypes

LINE = 64
"""Bytes of a cache line: what one thread writes often lies this far from what another writes."""


_NAMES = (
    "shared",  # pointer to the shared arena
    "tile_arenas",  # pointer to the arenas of tiles 0 .. workers - 1
    "tile_arena_stride",  # bytes from one to the next
    "inputs",  # pointer to an array of pointers: hidden constants, then arguments
    "outputs",  # pointer to an array of pointers
    "workers",  # threads that take part
    "barrier",  # pointer to the meetings of `meeting.py`, all 0 at the start
    "cancel",  # pointer to an i32: byte 0 "stop", byte 1 "look for signals"
    "trips",  # pointer to i64 counters, [worker][loop]
    "trips_stride",  # bytes from one worker's counters to the next worker's
    "queues",  # pointer to i64 counters, a line for each queue and worker, all 0 at the start
    "completed",  # pointer to i64: finished instances of the top-level map
    "done",  # pointer to u8 flags: slot's instance is finished
    "ring_slots",  # S
    "drained",  # pointer to i64: every instance below it has been taken by the host
    "filled",  # pointer to i64: every instance below it has its inputs in the ring
    "spin",  # ticks that a waiting worker spins at most before it sleeps
    "thread",  # Python's state of the calling thread, kept by the runtime
    "crowded",  # waits at barriers that are still to be short ones, as one was too long
)


class Context(ctypes.Structure):
    """All fields are 64 bits wide; "pointer" fields hold addresses."""

    _fields_ = [(name, ctypes.c_int64) for name in _NAMES]


FIELDS = {name: index for index, name in enumerate(_NAMES)}
"""Index of each field; its byte offset is 8 times that."""
