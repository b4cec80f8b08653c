"""Loops that read more constants than the nearest memory holds read them back and forth.

In: steps. Out: the same, where such a loop does two trips a turn, and every second trip reads its
matrices from the last row or panel to the first. What a trip read last is near when the next one
begins: read the same way each time, all of it would have been pushed out by then. On Zen 4, an L1
of 32 kB and an L2 of 1 MB: a window of an LSTM of 256 units takes 5.26 ms for 5.83 in float32 (1 MB
a trip), 3.60 for 3.73 in bfloat16, 1.31 for 1.33 in 8-bit integers; of 128 units 2 to 3 % less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.contract import ContractPanels, ContractVector
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Call, Loop, Map, Spread, Step, Var, While, new_var
from tilewright.plan.trips import in_trip

HOPELESS = 2.5
"""Times the tile's own memory, from which on what stays there is too little to gain by."""


def back_and_forth(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For all loops of a program."""
    return tuple(part for step in steps for part in _turned(step, machine))


def _turned(step: Step, machine: Machine) -> Sequence[Step]:
    step = _inside(step, machine)
    if not isinstance(step, Loop) or step.count < 2:
        return [step]
    calls = [inner for inner in step.steps if isinstance(inner, Call)]
    if len(calls) < len(step.steps):
        return [step]
    read = sum(_constants(call, step.var) for call in calls)
    near, own = machine.tile.memories[0].size, machine.tile.memory
    if not near < read < HOPELESS * own:
        return [step]
    var, (turns, rest) = new_var(), divmod(step.count, 2)
    forth = in_trip(calls, step.var, var, 0)
    back = map(_backwards, in_trip(calls, step.var, var, 1))
    last = in_trip(calls, step.var, var, 2 * turns, trips=0) if rest else []
    return [Loop(var, turns, (*forth, *back)), *last]


def _inside(step: Step, machine: Machine) -> Step:
    """The step with loops in its bodies turned."""
    if isinstance(step, Loop | Map | Spread | While):
        return replace(step, steps=back_and_forth(step.steps, machine))
    if isinstance(step, Branch):
        return replace(step, cases=tuple(back_and_forth(c, machine) for c in step.cases))
    return step


def _constants(call: Call, var: Var) -> int:
    """Bytes of the matrix that every trip reads."""
    codelet = call.codelet
    if isinstance(codelet, ContractPanels):
        matrix, view = codelet.panels, call.views[1]
    elif isinstance(codelet, ContractVector):
        matrix, view = codelet.lhs, call.views[0]
    else:
        return 0
    return 0 if any(moved == var for moved, _ in view.moves) else matrix.nbytes


def _backwards(call: Call) -> Call:
    if not isinstance(call.codelet, ContractPanels | ContractVector):
        return call
    return replace(call, codelet=replace(call.codelet, backwards=True))
