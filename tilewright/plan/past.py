"""Rows of arrays that outgrow the last cache together are stored past the caches.

In: steps, before it is known where tiles wait. Out: the same, where a loop's elementwise vertices
write rows that the loop does not read, of arrays that would fill more of the last cache than is
left to a program: when they are read, they are there no more, and to fetch a line in order to
overwrite it is for nothing. Always: rows are whole lines in the arena, and no bit changes.

(A step of an LSTM that learns, 128 units, 64 sequences of 128 steps: five arrays of 4 MB, 0.983 of
the time on Zen 4 with an L3 of 32 MB.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.base import LANES
from tilewright.codelets.elementwise import Elementwise
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Buffer, Loop, Map, Spread, Step, View, While
from tilewright.plan.scope import FAR
from tilewright.plan.trips import Simple, calls_of, simple_steps


def stored_past(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For all loops of a program."""
    return tuple(_turned(step, machine) for step in steps)


def _turned(step: Step, machine: Machine) -> Step:
    if isinstance(step, Branch):
        return replace(step, cases=tuple(stored_past(case, machine) for case in step.cases))
    if not isinstance(step, Loop | Map | Spread | While):
        return step
    step = replace(step, steps=stored_past(step.steps, machine))
    simple = simple_steps(step) if isinstance(step, Loop) else []
    if not isinstance(step, Loop) or not simple:
        return step
    buffers = _far(step, simple)
    *caches, _ = machine.tile.memories
    if not caches or sum(buffer.nbytes for buffer in buffers) <= FAR * caches[-1].size:
        return step
    return replace(step, steps=tuple(_with(inner, buffers) for inner in simple))


def _far(loop: Loop, steps: Sequence[Simple]) -> set[Buffer]:
    """What only elementwise vertices touch in a loop, and only to write whole lines of a row."""
    found, others = set(), set()
    for call in (call for step in steps for call in calls_of(step)):
        for number, view in enumerate(call.views):
            is_row = any(var == loop.var for var, _ in view.moves) and _in_lines(view)
            written = isinstance(call.codelet, Elementwise) and number >= len(call.codelet.inputs)
            (found if is_row and written else others).add(view.buffer)
    return found - others


def _in_lines(view: View) -> bool:
    """Whether every 16 neighbours are a cache line of float32 in the arena."""
    *outer, last = view.strides or (0,)
    steps = [view.offset, view.shape[-1] if view.shape else 1, *outer]
    steps += [step for _, step in view.moves]
    inside = view.buffer.space in ("shared", "tile") and view.dtype == "float32"
    return inside and last == 1 and not any(step % LANES for step in steps)


def _with(step: Simple, buffers: set[Buffer]) -> Simple:
    if isinstance(step, Spread):
        calls = tuple(_with(call, buffers) for call in calls_of(step))
        return replace(step, steps=calls)
    codelet = step.codelet
    if not isinstance(codelet, Elementwise):
        return step
    outputs = step.views[len(codelet.inputs) :]
    past = tuple(i for i, view in enumerate(outputs) if view.buffer in buffers)
    return replace(step, codelet=replace(codelet, past=past)) if past else step
