"""Steps that belong together: those of one vertex, dealt out; or a step by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Spread, Step, View, While
from tilewright.plan.walks.over_rows import OverRows

FIXED = 0.25
"""Of a tile's memory, that matrices may take which every run reads."""
LATER = 24
"""Steps that may wait until a walk is done."""


@dataclass
class Item:
    """Steps that belong together: of one vertex, dealt out; or a step by itself."""

    found: list[Step]
    member: OverRows | None = None

    @cached_property
    def read(self) -> set[Buffer]:
        return {view.buffer for view, written in _touches(self.found) if not written}

    @cached_property
    def written(self) -> set[Buffer]:
        return {view.buffer for view, written in _touches(self.found) if written}

    @property
    def touched(self) -> set[Buffer]:
        return self.read | self.written

    def conflicts(self, other: Item) -> bool:
        """Whether their order matters."""
        return bool(self.written & other.touched or other.written & self.read)

    def may_pass(self, others: Iterable[Item]) -> bool:
        """Whether it may as well come before them."""
        return not any(self.conflicts(other) for other in others)

    @property
    def may_wait(self) -> bool:
        """Whether it may come after what else follows; loops and the like may not."""
        return all(isinstance(step, Call | Spread) for step in self.found)

    def with_loops(self, walked: Callable[[Sequence[Step]], list[Step]]) -> list[Step]:
        """The steps, those in loops walked through too."""
        return [
            replace(step, steps=tuple(walked(step.steps))) if isinstance(step, Loop) else step
            for step in self.found
        ]


def items_of(steps: Sequence[Step], machine: Machine) -> Iterator[Item]:
    at = 0
    while at < len(steps):
        step, end = steps[at], at + 1
        if not isinstance(step, Spread) or step.whole is None:
            yield Item([step])
            at = end
            continue
        while end < len(steps) and isinstance(after := steps[end], Spread) and after.joins:
            end += 1
        (piece,) = step.steps
        assert isinstance(piece, Call)
        member = OverRows.of(step.whole, piece)
        if member is not None and member.is_sum:
            end += 1  # the sum of its runs' sums
        if member is not None and member.fixed > FIXED * machine.tile.memory:
            member = None
        yield Item(list(steps[at:end]), member)
        at = end


def uses(steps: Sequence[Step], machine: Machine) -> Counter[Buffer]:
    """Each buffer as often as there are items that touch it, in loops too."""
    return Counter(_uses(steps, machine))


def _uses(steps: Sequence[Step], machine: Machine) -> Iterator[Buffer]:
    for item in items_of(steps, machine):
        loops = [step for step in item.found if isinstance(step, Loop)]
        for loop in loops:
            yield from _uses(loop.steps, machine)
        if not loops:
            yield from item.touched


def _touches(steps: Sequence[Step]) -> Iterator[tuple[View, bool]]:
    """Views, and whether they are written."""
    for step in steps:
        match step:
            case Call(codelet, views):
                count, made = len(codelet.inputs), len(codelet.inputs) + len(codelet.outputs)
                for number, view in enumerate(views[:made]):
                    yield view, number >= count
                    if number >= count and codelet.in_place:
                        yield view, False
            case While(condition, test, body):
                yield test, False
                yield from _touches((*condition, *body))
            case Branch(index, cases):
                yield index, False
                for case in cases:
                    yield from _touches(case)
            case _:
                yield from _touches(getattr(step, "steps", ()))
