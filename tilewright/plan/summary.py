"""What a program does, in numbers: for each part its vertices and their work.

A *part* is a superstep at the top of the program, or a whole loop, branch or map there. Loops of
unknown length count one turn, and say so; a branch counts its longest case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tilewright.machine.cost import NOTHING, Count
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Map, Program, Spread, Step, Sync, While


@dataclass
class Work:
    """Counts over all tiles; `held` are the buffers touched."""

    vertices: int = 0
    count: Count = NOTHING
    open_ended: bool = False
    held: set[Buffer] = field(default_factory=set)

    def add(self, other: Work, times: int = 1) -> None:
        self.vertices += other.vertices * times
        self.count += other.count * times
        self.open_ended |= other.open_ended
        self.held |= other.held


@dataclass
class Part:
    """One superstep, or one loop, branch or map at the program's top."""

    kind: str
    count: int
    steps: tuple[Step, ...]
    work: Work
    syncs: int

    def bytes_per_tile(self) -> int:
        """What a tile has in hand in its own arena."""
        return sum(buffer.nbytes for buffer in self.work.held if buffer.space == "tile")

    def bytes_shared(self) -> int:
        return sum(buffer.nbytes for buffer in self.work.held if buffer.space != "tile")


def parts(program: Program) -> list[Part]:
    """The program's parts in order; calls of tile 0 between two syncs are one part."""
    groups: dict[int, list[Step]] = {}
    for number, step in zip(part_numbers(program.steps), program.steps, strict=True):
        if not isinstance(step, Sync):
            groups.setdefault(number, []).append(step)
    return [_part(steps) for steps in groups.values()]


def part_numbers(steps: Sequence[Step]) -> list[int]:
    """For each step at the top, the number of its part; a `Sync` has that of the part before it."""
    numbers: list[int] = []
    number, open_part = -1, False
    for step in steps:
        is_call = isinstance(step, Call)
        if not isinstance(step, Sync) and not (is_call and open_part):
            number += 1
        open_part = is_call
        numbers.append(max(number, 0))
    return numbers


def _part(steps: Sequence[Step]) -> Part:
    """Of calls of tile 0, or of the one loop, branch or map."""
    match steps[0]:
        case Call():
            return Part("tile 0", 1, tuple(steps), work_of(steps), 0)
        case Loop(_, count, _) | Spread(_, count, _) | Map(_, count, _):
            times = count
        case _:
            times = 1
    kind = type(steps[0]).__name__.lower()
    return Part(kind, times, tuple(steps), work_of(steps), syncs_of(steps))


def work_of(steps: Sequence[Step]) -> Work:
    """All work of some steps, loops multiplied out."""
    total = Work()
    for step in steps:
        match step:
            case Call(codelet, views):
                total.add(Work(1, codelet.work, False, {view.buffer for view in views}))
            case Spread(_, _, (Branch(_, cases, apart=True),)):  # each of them once
                for case in cases:
                    total.add(work_of(case))
            case Loop(_, count, body) | Spread(_, count, body) | Map(_, count, body):
                total.add(work_of(body), count)
            case While(condition, _, body):
                total.add(work_of((*condition, *body)))
                total.open_ended = True
            case Branch(_, cases):
                total.add(max((work_of(case) for case in cases), key=_size))
    return total


def _size(work: Work) -> float:
    return work.count.flops + work.count.bytes


def calls_of(steps: Sequence[Step], times: int = 1) -> Iterator[tuple[Call, int]]:
    """All calls and how often each runs; every case of a branch, one turn of an unknown loop."""
    for step in steps:
        match step:
            case Call():
                yield step, times
            case Loop(_, count, body) | Spread(_, count, body) | Map(_, count, body):
                yield from calls_of(body, times * count)
            case While(condition, _, body):
                yield from calls_of((*condition, *body), times)
            case Branch(_, cases):
                for case in cases:
                    yield from calls_of(case, times)


def syncs_of(steps: Sequence[Step]) -> int:
    """Barriers passed in one run (loops of unknown length: in one turn)."""
    total = 0
    for step in steps:
        match step:
            case Sync():
                total += 1
            case Loop(_, count, body):
                total += count * syncs_of(body)
            case While(condition, _, body):
                total += syncs_of((*condition, *body))
            case Branch(_, cases):
                total += max(map(syncs_of, cases))
    return total
