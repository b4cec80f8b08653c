"""Simple steps of a loop's trip; and the same as steps of a loop that does several trips a turn.

A step is simple if it is a vertex, or vertices alone that are dealt out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard, TypeVar

from tilewright.plan.ir import Call, Loop, Spread, Step, Var, View

Simple = Call | Spread
Kind = TypeVar("Kind", Call, Spread, Simple)


def is_simple(step: Step) -> TypeGuard[Simple]:
    if isinstance(step, Spread):
        return len(calls_of(step)) == len(step.steps)
    return isinstance(step, Call)


def simple_steps(loop: Loop | Spread) -> list[Simple]:
    """All steps of a trip; none where one of them is not simple."""
    found: list[Simple] = [step for step in loop.steps if is_simple(step)]
    return found if len(found) == len(loop.steps) else []


def calls_of(step: Simple) -> list[Call]:
    """The vertex, or those that are dealt out."""
    return [step] if isinstance(step, Call) else [c for c in step.steps if isinstance(c, Call)]


def in_trip(steps: Sequence[Kind], var: Var, turn: Var, trip: int, trips: int = 2) -> list[Kind]:
    """Calls, and spreads of them, in trip `trips` * turn + `trip` of the loop over `var`."""
    return [_at(step, var, turn, trip, trips) for step in steps]


def _at(step: Kind, var: Var, turn: Var, trip: int, trips: int) -> Kind:
    if isinstance(step, Call):
        views, asked = (
            tuple(_moved(view, var, turn, trip, trips) for view in each)
            for each in (step.views, step.asked)
        )
        return replace(step, views=views, asked=asked)
    return replace(step, steps=tuple(in_trip(calls_of(step), var, turn, trip, trips)))


def _moved(view: View, var: Var, turn: Var, trip: int, trips: int) -> View:
    step = sum(step for moved, step in view.moves if moved == var)
    if not step:
        return view
    others = tuple(move for move in view.moves if move[0] != var)
    moves = (*others, (turn, trips * step)) if trips else others
    return replace(view, offset=view.offset + trip * step, moves=moves)
