"""One vertex over all tiles: whether, and in which layout, by cost.

In: a call of tile 0 in a program for tiles that share no memory, the loop around it; the machine.
Out: steps that do the same (`gridded.py`), or None where one tile does it best. Always: the same
sums in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tilewright.errors import CapacityError
from tilewright.frozen import frozen
from tilewright.machine.machine import Machine
from tilewright.plan.apart.candidates import TURNS, Candidates, alone, candidates
from tilewright.plan.apart.cutting import Cutting, cutting
from tilewright.plan.apart.gridded import steps
from tilewright.plan.apart.slots import vertex
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Family,
    Loop,
    Map,
    Spread,
    Step,
    View,
    While,
    new_var,
)
from tilewright.plan.masked import unmasked
from tilewright.plan.sources import sourced


def distributed(call: Call, machine: Machine, around: Around | None = None) -> list[Step] | None:
    """Raises `CapacityError` where no way of a product fits the tiles."""
    found = cutting(call)
    if found is None or not all(view.size for view in call.views):
        return None
    if around is not None:
        views = call.views[: len(found.problem.sides)]
        fixed = tuple(around.leaves(view) for view in views)
        found = replace(found, problem=replace(found.problem, fixed=fixed))
    if machine.chip.exchange.mesh is not None:
        afar = tuple(
            unmasked(view).buffer.space == "input" for view in call.views[: len(found.axes) - 1]
        )
        found = replace(found, problem=replace(found.problem, afar=afar))
    by_one = vertex(call.codelet, machine.tile)
    one_tile = alone(found.problem, by_one, machine)
    rounds = 2 * (machine.chip.sync_cycles + machine.chip.exchange.overhead_cycles)
    room = int(machine.tile.memory * ROOM)
    fits = found.problem.total <= room // 2
    if fits and one_tile <= rounds + machine.tile.call:
        return None
    ways = candidates(found.problem, machine, room)
    number = ways.best()
    if number is None:
        return _by_rows(found, machine, room) or _fail(ways, machine)
    if fits and one_tile <= ways.cycles[number]:
        return None
    return steps(found, ways.layout(number))


def _by_rows(cut: Cutting, machine: Machine, room: int) -> list[Step] | None:
    """Where not even turns along n help: in turns along m as well, as few as fit."""
    for turns in TURNS[1:]:
        if cut.problem.m % turns:
            continue
        problem = replace(cut.problem, m=cut.problem.m // turns)
        left = room - cut.problem.item * cut.problem.m * cut.problem.n // machine.tiles
        ways = candidates(problem, machine, left)
        number = ways.best()
        if number is not None:
            turn = new_var()
            share = replace(cut, problem=problem)
            inside = steps(share, ways.layout(number), ((turn, "m", problem.m),))
            return [Loop(turn, turns, tuple(inside))]
    return None


def _fail(ways: Candidates, machine: Machine) -> list[Step]:
    raise CapacityError(_too_large(ways, machine))


@frozen
class Around:
    """The innermost loop around steps: what it writes."""

    written: frozenset[Buffer]

    def leaves(self, view: View) -> bool:
        """Whether a view is the same in every turn."""
        view = unmasked(view)
        return view.buffer not in self.written and not view.moves


def expanded(
    steps: Sequence[Step], machine: Machine, around: Around | None = None
) -> tuple[Step, ...]:
    """Work of one tile that several do better, cut into a grid."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Call():
                found += sourced(distributed(step, machine, around) or [step], step.source)
            case Loop(_, _, body):
                inside = Around(frozenset(_written(body)))
                found.append(replace(step, steps=expanded(body, machine, inside)))
            case While(condition, test, body):
                inside = Around(frozenset(_written((*condition, *body))))
                first, rest = (expanded(some, machine, inside) for some in (condition, body))
                found.append(While(first, test, rest))
            case Branch(index, cases):
                bodies = tuple(expanded(case, machine, around) for case in cases)
                found.append(Branch(index, bodies))
            case _:
                found.append(step)
    return tuple(found)


def _written(steps: Sequence[Step]) -> Iterator[Buffer]:
    for step in steps:
        match step:
            case Call(codelet, views):
                yield from (unmasked(view).buffer for view in views[len(codelet.inputs) :])
            case Loop(_, _, body) | Spread(_, _, body) | Map(_, _, body) | Family(_, _, _, body):
                yield from _written(body)
            case While(condition, _, body):
                yield from _written((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from _written(case)


ROOM = 0.9
"""Of a tile's memory, for operands and results; code and lists of messages take the rest."""


def _too_large(ways: Candidates, machine: Machine) -> str:
    problem, least = ways.problem, int(np.argmin(ways.bytes))
    layout, needed = ways.layout(least), int(ways.bytes[least])
    chips = -(-problem.total // int(machine.chip.memory * ROOM))
    help = (
        f"{2 * chips} such chips" if chips > machine.chips else "shorter blocks of rows at a time"
    )
    return (
        f"{machine.name}: a product of {problem.m} x {problem.k} by {problem.k} x {problem.n} "
        f"{problem.dtype} does not fit: at best, in blocks of {layout.m} x {layout.k} and "
        f"{layout.k} x {layout.n}, a tile needs {needed:,} bytes of {machine.tile.memory:,}; "
        f"{help}, or fewer bits a number, would help"
    )
