"""Loops that read more constants than a tile's own memory holds read them back and forth.

In: steps. Out: the same, where such a loop does two trips a turn, and every second trip reads its
panels from the last to the first. What a trip read last is near when the next one begins: read the
same way each time, all of it would have been pushed out by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.contract import ContractPanels
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Call, Loop, Step, Var, View, new_var

FILLS = 1 / 2
"""The share of a tile's memory from which on panels push each other out."""
HOPELESS = 8
"""Times a tile's memory, from which on what stays near is too little to gain by."""


def back_and_forth(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For loops of the whole program, and for those in them."""
    return tuple(part for step in steps for part in _turned(step, machine))


def _turned(step: Step, machine: Machine) -> Sequence[Step]:
    if not isinstance(step, Loop):
        return [step]
    step = replace(step, steps=back_and_forth(step.steps, machine))
    calls = [inner for inner in step.steps if isinstance(inner, Call)]
    if len(calls) < len(step.steps) or step.count < 2:
        return [step]
    read = sum(_constants(call, step.var) for call in calls)
    memory = machine.tile.memory
    if not FILLS * memory < read < HOPELESS * memory:
        return [step]
    var, (turns, rest) = new_var(), divmod(step.count, 2)
    forth = [_at(call, step.var, var, 0) for call in calls]
    back = [_backwards(_at(call, step.var, var, 1)) for call in calls]
    last = [_at(call, step.var, var, 2 * turns, 0) for call in calls] if rest else []
    return [Loop(var, turns, (*forth, *back)), *last]


def _constants(call: Call, var: Var) -> int:
    """Bytes of panels that every trip reads."""
    if not isinstance(call.codelet, ContractPanels):
        return 0
    panels = call.views[1]
    return 0 if any(moved == var for moved, _ in panels.moves) else call.codelet.panels.nbytes


def _backwards(call: Call) -> Call:
    if not isinstance(call.codelet, ContractPanels):
        return call
    return replace(call, codelet=replace(call.codelet, backwards=True))


def _at(call: Call, var: Var, turn: Var, trip: int, trips: int = 2) -> Call:
    """The call in trip `trips` * turn + `trip`."""
    return replace(call, views=tuple(_moved(view, var, turn, trip, trips) for view in call.views))


def _moved(view: View, var: Var, turn: Var, trip: int, trips: int) -> View:
    step = sum(step for moved, step in view.moves if moved == var)
    if not step:
        return view
    others = tuple(move for move in view.moves if move[0] != var)
    moves = (*others, (turn, trips * step)) if trips else others
    return replace(view, offset=view.offset + trip * step, moves=moves)
