"""Steps of a loop's trip as steps of a loop that does several trips a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from tilewright.plan.ir import Call, Spread, Var, View

Simple = TypeVar("Simple", Call, Spread, Call | Spread)


def in_trip(
    steps: Sequence[Simple], var: Var, turn: Var, trip: int, trips: int = 2
) -> list[Simple]:
    """Calls, and spreads of them, in trip `trips` * turn + `trip` of the loop over `var`."""
    return [_at(step, var, turn, trip, trips) for step in steps]


def _at(step: Simple, var: Var, turn: Var, trip: int, trips: int) -> Simple:
    if isinstance(step, Call):
        views = tuple(_moved(view, var, turn, trip, trips) for view in step.views)
        return replace(step, views=views)
    calls = [inner for inner in step.steps if isinstance(inner, Call)]
    return replace(step, steps=tuple(in_trip(calls, var, turn, trip, trips)))


def _moved(view: View, var: Var, turn: Var, trip: int, trips: int) -> View:
    step = sum(step for moved, step in view.moves if moved == var)
    if not step:
        return view
    others = tuple(move for move in view.moves if move[0] != var)
    moves = (*others, (turn, trips * step)) if trips else others
    return replace(view, offset=view.offset + trip * step, moves=moves)
