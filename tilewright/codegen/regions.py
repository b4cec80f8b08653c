"""Which loops become one function with small arrays in registers, and which arrays those are.

In: a program, and a loop, while loop or branch of it that one worker runs. Out: a `Region`, where
there are small vertices in it and not too much of anything. Always: a resident array has at most 16
elements, at a place that does not move with a loop, and only small vertices touch it in the region;
where it is written back, no other array of the region can have its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tilewright.codelets.small import MOST, in_memory, is_small, small_work
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Program, Step, Var, View, While

MOST_CALLS = 200
"""Vertices of one function; what is longer is compiled faster as calls of shared functions."""
MOST_WORK = 2000
"""Instructions of their expressions, likewise."""


@dataclass
class Region:
    """Steps that become one function, and the buffers that are resident in it."""

    step: Loop | While | Branch
    calls: list[Call] = field(default_factory=list)
    inside: set[Var] = field(default_factory=set)
    """Variables of the loops in it."""
    resident: list[Buffer] = field(default_factory=list)
    outliving: set[Buffer] = field(default_factory=set)
    """Those of them that somebody else has, too: the steps around the region, or the caller."""
    written: set[Buffer] = field(default_factory=set)


class Regions:
    """Which steps of a program become such functions."""

    def __init__(self, program: Program, rings: set[Buffer]):
        self.offsets, self.rings = program.offsets, rings
        self.touches = _touches(program.steps)

    def of(self, step: Step) -> Region | None:
        """The region of a step, or None where it is better called as it is."""
        if not isinstance(step, Loop | While | Branch):
            return None
        region = Region(step)
        for inner in _walk((step,)):
            match inner:
                case Call():
                    region.calls.append(inner)
                case Loop(var, _, _):
                    region.inside.add(var)
                case While() | Branch(apart=False):
                    pass
                case _:
                    return None
        small = [call.codelet for call in region.calls if is_small(call.codelet)]
        if not small or len(region.calls) > MOST_CALLS or sum(map(small_work, small)) > MOST_WORK:
            return None
        self._choose_resident(region)
        return region

    def _choose_resident(self, region: Region) -> None:
        touched: dict[Buffer, int] = defaultdict(int)
        barred = set(self.rings)
        for view, anywhere, writes in views_of((region.step,)):
            touched[view.buffer] += 1
            if writes:
                region.written.add(view.buffer)
            if not anywhere or view.moves or not 0 < view.buffer.size <= MOST:
                barred.add(view.buffer)
        sharing = self._sharing(touched)
        for buffer, times in touched.items():
            own = buffer.space in ("shared", "tile")
            outlives = not own or self.touches[buffer] > times
            if buffer not in barred and not (own and outlives and buffer in sharing):
                region.resident.append(buffer)
                if outlives:
                    region.outliving.add(buffer)

    def _sharing(self, touched: Iterable[Buffer]) -> set[Buffer]:
        """Those that have a place of others, earlier or later."""
        found: set[Buffer] = set()
        for space in ("shared", "tile"):
            places = [(self.offsets[b], b.nbytes, b) for b in touched if b.space == space]
            places.sort(key=lambda place: place[:2])
            end, last = 0, None
            for start, size, buffer in places:
                if last is not None and start < end:
                    found |= {last, buffer}
                if last is None or start + size > end:
                    end, last = start + size, buffer
        return found


def _touches(steps: Sequence[Step]) -> dict[Buffer, int]:
    found: dict[Buffer, int] = defaultdict(int)
    for view, _, _ in views_of(steps):
        found[view.buffer] += 1
    return found


def _walk(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, at any depth."""
    for step in steps:
        yield step
        match step:
            case Call():
                pass
            case While(condition, _, body):
                yield from _walk((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from _walk(case)
            case _:
                yield from _walk(getattr(step, "steps", ()))


def views_of(steps: Sequence[Step]) -> Iterator[tuple[View, bool, bool]]:
    """(view, whether it may be in a register, whether it is written) at each touch."""
    for step in _walk(steps):
        match step:
            case Call(codelet, views):
                fixed = in_memory(codelet)
                for i, view in enumerate(views):
                    yield view, i not in fixed, i >= len(codelet.inputs)
            case While(_, test, _):
                yield test, True, False
            case Branch(index, _):
                yield index, True, False
