"""The supersteps of a program: what lies between two `Sync`s, wherever in the program it lies.

In: steps, or a program. Out: for steps, their *stretches*, each with what ends it; for a program,
every superstep in the order of the program's text, under the number of its part in `summary.py`.

Loops and branches in which all tiles take part have supersteps of their own inside; those of tile 0
alone belong to the superstep that they are in. A program without any `Sync` is one superstep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tilewright.frozen import frozen
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Loop, Map, Program, Spread, Step, Sync, While
from tilewright.plan.price import call_price
from tilewright.plan.summary import calls_of, part_numbers
from tilewright.plan.synchronise import is_shared_work


@frozen
class Stretch:
    """`steps` without any `Sync`; then `end`, which is a `Sync`, or a loop or branch of all tiles.

    `end` is None for the last stretch of a program or body that does not end with either.
    """

    steps: tuple[Step, ...]
    end: Step | None

    @property
    def is_superstep(self) -> bool:
        """Not so before a loop at which all tiles already are in step."""
        return bool(self.steps) or isinstance(self.end, Sync)


def stretches(steps: Sequence[Step]) -> Iterator[Stretch]:
    """The steps of one body, cut at each `Sync` and at each loop or branch of all tiles."""
    begun = 0
    for position, step in enumerate(steps):
        spread = isinstance(step, Spread | Map)
        if isinstance(step, Sync) or (is_shared_work(step) and not spread):
            yield Stretch(tuple(steps[begun:position]), step)
            begun = position + 1
    if begun < len(steps):
        yield Stretch(tuple(steps[begun:]), None)


@frozen
class Superstep:
    """`label` is the number of its part, "4"; of several parts, "0-2"; or inside of one, "4.0".

    `kind` is "tile 0", "spread" or "map"; "empty" where tiles only wait for each other.
    """

    label: str
    kind: str
    steps: tuple[Step, ...]

    def mostly(self, machine: Machine) -> str:
        """The codelet that takes longest in it on a machine, loops multiplied out."""
        cycles: Counter[str] = Counter()
        for call, times in calls_of(self.steps):
            cycles[call.codelet.name] += times * call_price(call, machine).cycles  # type: ignore
        return cycles.most_common(1)[0][0] if cycles else ""


def supersteps(program: Program) -> list[Superstep]:
    """All of them. Code for a program is written in the same order: see `codegen/program.py`."""
    found: list[Superstep] = []
    numbers = part_numbers(program.steps)
    inside: Counter[int] = Counter()

    def add(number: int, stretch: Stretch, label: str = "") -> None:
        if not label:
            label = f"{number}.{inside[number]}"
            inside[number] += 1
        found.append(Superstep(label, _kind(stretch.steps), stretch.steps))

    position = 0
    for stretch in stretches(program.steps):
        here = numbers[position : position + len(stretch.steps) + 1]
        position += len(here)
        if stretch.steps:
            first, last = here[0], here[len(stretch.steps) - 1]
            add(first, stretch, str(first) if first == last else f"{first}-{last}")
        elif stretch.is_superstep:
            add(here[-1], stretch)
        for inner in _inside(stretch.end):
            add(here[-1], inner)
    return found


def _inside(step: Step | None) -> Iterator[Stretch]:
    """The supersteps in the bodies of a loop or branch, in order, at any depth."""
    match step:
        case Loop(_, _, steps):
            bodies: tuple[tuple[Step, ...], ...] = (steps,)
        case While(condition, _, steps):
            bodies = (condition, steps)
        case Branch(_, cases):
            bodies = cases
        case _:
            bodies = ()
    for body in bodies:
        for stretch in stretches(body):
            if stretch.is_superstep:
                yield stretch
            yield from _inside(stretch.end)


def _kind(steps: Sequence[Step]) -> str:
    shared = [step for step in steps if isinstance(step, Spread | Map)]
    if shared:
        return type(shared[-1]).__name__.lower()
    return "tile 0" if steps else "empty"
