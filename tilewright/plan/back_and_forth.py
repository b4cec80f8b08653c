"""Loops that read more constants than the nearest memory holds read them back and forth.

In: steps. Out: the same, where such a loop does two trips a turn, and every second trip reads its
matrices from the last row or panel to the first. What a trip read last is near when the next one
begins: read the same way each time, all of it would have been pushed out by then. On Zen 4, an L1
of 32 kB and an L2 of 1 MB: a window of an LSTM of 256 units takes 5.26 ms for 5.83 in float32 (1 MB
a trip), 3.60 for 3.73 in bfloat16, 1.31 for 1.33 in 8-bit integers; of 128 units 2 to 3 % less.
What is dealt out to tiles counts by a tile's share (on one thread, with AVX2: 3 to 6 % less), but
for loops whose carry is to lie in two places (`alternating.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.contract import ContractLanes, ContractPanels, ContractVector, Woven
from tilewright.machine.machine import Machine
from tilewright.plan.alternating import alternates
from tilewright.plan.ir import Branch, Loop, Map, Spread, Step, Var, While, new_var
from tilewright.plan.trips import Simple, calls_of, in_trip, simple_steps

HOPELESS = 2.5
"""Times the tile's own memory, from which on what stays there is too little to gain by."""


def back_and_forth(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For all loops of a program."""
    return tuple(part for step in steps for part in _turned(step, machine))


def _turned(step: Step, machine: Machine) -> Sequence[Step]:
    step = _inside(step, machine)
    if not isinstance(step, Loop) or step.count < 2:
        return [step]
    simple = simple_steps(step)
    if not simple or alternates(step):
        return [step]
    read = sum(_constants(inner, step.var, machine) for inner in simple)
    near, own = machine.tile.memories[0].size, machine.tile.memory
    if not near < read < HOPELESS * own:
        return [step]
    var, (turns, rest) = new_var(), divmod(step.count, 2)
    forth = in_trip(simple, step.var, var, 0)
    back = map(_backwards, in_trip(simple, step.var, var, 1))
    last = in_trip(simple, step.var, var, 2 * turns, trips=0) if rest else []
    return [Loop(var, turns, (*forth, *back)), *last]


def _inside(step: Step, machine: Machine) -> Step:
    """The step with loops in its bodies turned."""
    if isinstance(step, Loop | Map | Spread | While):
        return replace(step, steps=back_and_forth(step.steps, machine))
    if isinstance(step, Branch):
        return replace(step, cases=tuple(back_and_forth(c, machine) for c in step.cases))
    return step


def _constants(step: Simple, var: Var, machine: Machine) -> int:
    """Bytes of the matrices that a tile reads in every trip."""
    if isinstance(step, Spread):
        turns = -(-step.count // machine.chip.tiles)
        return turns * sum(_constants(call, var, machine) for call in calls_of(step))
    codelet = step.codelet
    if isinstance(codelet, Woven):
        codelet = codelet.few
    if isinstance(codelet, ContractPanels):
        matrix, view = codelet.panels, step.views[1]
    elif isinstance(codelet, ContractVector | ContractLanes):
        matrix, view = codelet.lhs, step.views[0]
    else:
        return 0
    return 0 if any(moved == var for moved, _ in view.moves) else matrix.nbytes


def _backwards(step: Simple) -> Simple:
    if isinstance(step, Spread):
        return replace(step, steps=tuple(map(_backwards, calls_of(step))), whole=None)
    if isinstance(step.codelet, Woven):
        return replace(step, codelet=step.codelet.turned)
    if not isinstance(step.codelet, ContractPanels | ContractVector):
        return step
    return replace(step, codelet=replace(step.codelet, backwards=True))
