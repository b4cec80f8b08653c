"""Which results of a program can be streamed: taken row by row while it runs.

In: a program. Out: its streaming map, and the outputs of which every instance writes one row.
"""

from __future__ import annotations

from collections.abc import Iterable

from tilewright.plan.ir import Branch, Buffer, Call, Loop, Map, Program, Spread, Step, View, While


def streaming_map(program: Program) -> Map | None:
    """The map that gives the program's results, if there is just one at its top.

    One that was chosen among other ways is not the caller's: its instances are no rows of results.
    """
    maps = [step for step in program.steps if isinstance(step, Map) and not step.ways]
    return maps[0] if len(maps) == 1 else None


def ring_buffers(program: Program, streaming: Map | None) -> set[Buffer]:
    """Outputs touched only by that map, a row in every instance."""
    if streaming is None:
        return set()
    inside = {v for v in _views(streaming.steps) if v.buffer.space == "output"}
    outside = {v.buffer for v in _views(s for s in program.steps if s is not streaming)}
    rings = set()
    for buffer in {v.buffer for v in inside}:
        steps = {dict(v.moves).get(streaming.var) for v in inside if v.buffer is buffer}
        if buffer not in outside and steps == {buffer.size // streaming.count}:
            rings.add(buffer)
    return rings


def _views(steps: Iterable[Step]) -> list[View]:
    found: list[View] = []
    for step in steps:
        match step:
            case Call(_, views):
                found += views
            case Loop() | Spread() | Map():
                found += _views(step.steps)
            case While(condition, test, body):
                found += [test, *_views((*condition, *body))]
            case Branch(index, cases):
                found += [index, *(v for case in cases for v in _views(case))]
    return found
