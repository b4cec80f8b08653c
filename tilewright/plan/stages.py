"""Chained scans: each on a tile of its own, a trip behind the one before it.

In: scans that follow each other, each reading what the one before it stacks, in the same order of
trips. Out: steps. In turn t, scan i does its trip t - i, on the tile of that number: a tile meets
the same constants in every turn, in its own memory, and tiles wait for each other once a turn.
Trips are long ones: chunks (see `graph/ahead.py`), or all that a trip of a loop holds.

Always: no bit changes, as each scan does what it would do alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tilewright.machine.machine import Machine
from tilewright.plan.alternating import alternating
from tilewright.plan.control import Trips, lower_scan
from tilewright.plan.ir import Branch, Loop, Spread, Step, View, new_var
from tilewright.plan.price import price_of
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope
from tilewright.plan.summary import syncs_of
from tilewright.plan.synchronise import synchronise
from tilewright.plan.views import row

WAIT = 8
"""Barriers' time that is lost at each barrier besides: fetching what another tile wrote, waiting
for the slower. (The talk's net, batch 1, on two tiles of Zen 4: 1.2 µs at a barrier of 0.14 µs.)"""

AT_ONCE = 1.1
"""What scans at once take over what is counted, at least: each tile reads all of a layer's weights,
which its own cache does not quite hold. (The same net: in float32 4.0 ms, counted 3.0; in bfloat16
2.65 and 2.1. One after the other, on both tiles: 2.8, counted 3.0; 2.0 and 2.1.)"""


def chain_of(units: Sequence[Unit], tiles: int) -> list[Unit]:
    """The scans from the first unit on that are chained, no more than there are tiles."""
    chain = list(units[:1])
    for unit in units[1:tiles]:
        if not _follows(chain, unit):
            break
        chain.append(unit)
    return chain


def _follows(chain: Sequence[Unit], unit: Unit) -> bool:
    """Whether a scan hangs on the last one of a chain by its elements alone, and no other."""
    if unit.kind != "scan":
        return False
    (node,), (last,) = unit.nodes, chain[-1].nodes
    if any(node.params[name] != last.params[name] for name in ("length", "reverse")):
        return False
    before = {v for other in chain for v in other.nodes[0].outputs}
    held = node.params["consts"] + node.params["carry"]
    stacked = set(last.outputs[last.params["carry"] :])
    return (
        before.isdisjoint(node.inputs[:held])
        and stacked >= before & set(node.inputs[held:])
        and not stacked.isdisjoint(node.inputs[held:])
    )


def lower_scans(scope: Scope, first: int) -> int:
    """Append the steps of the unit of that number, and of those chained to it if that is faster.

    Gives how many units those are.
    """
    units, machine = scope.units, scope.plan.machine
    shared = scope.parallel and machine.chip.exchange.kind == "coherent"
    chain = chain_of(units[first:], machine.chip.tiles if shared else 1)
    if not _is_long(chain):
        _in_turn(scope, first, chain[:1])
        return 1
    staged = AT_ONCE * _price(scope, machine, lambda: _staged(scope, chain, ""))
    in_turn = _price(scope, machine, lambda: _in_turn(scope, first, chain))
    one, other = (f"{cycles / machine.chip.clock * 1e6:,.0f} µs" for cycles in (staged, in_turn))
    ways = f"{len(chain)} scans at once, a tile each: {one}; one after the other: {other}"
    if staged < in_turn:
        _staged(scope, chain, ways)
        return len(chain)
    _in_turn(scope, first, chain[:1])
    loop = scope.steps[-1]
    assert isinstance(loop, Loop)
    scope.steps[-1] = replace(loop, ways=ways)
    return 1


def _is_long(chain: Sequence[Unit]) -> bool:
    """Whether all its stages are ever at work at once."""
    return 1 < len(chain) <= chain[0].nodes[0].params["length"]


def _price(scope: Scope, machine: Machine, lower: Callable[[], None]) -> float:
    """Cycles of what is lowered, which is taken back."""
    before, known = scope.kept(), len(scope.steps)
    lower()
    steps = synchronise(alternating(scope.steps[known:]))
    scope.restore(before)
    waits = WAIT * machine.chip.sync_cycles * syncs_of(steps)
    return price_of(steps, machine, machine.chip.tiles).cycles + waits


def _in_turn(scope: Scope, first: int, chain: Sequence[Unit]) -> None:
    for number, unit in enumerate(chain):
        scope.now = first + number
        lower_scan(scope, unit)


def _staged(scope: Scope, chain: Sequence[Unit], ways: str) -> None:
    """All begin while the first is the unit at hand: none writes to what another still reads."""
    scans = [Trips.of(scope, unit.nodes[0]) for unit in chain]
    last, length = len(scans) - 1, chain[0].nodes[0].params["length"]
    turns = [(turn, 1) for turn in range(last)]
    turns += [(last, length - last), *((turn, 1) for turn in range(length, length + last))]
    numbers = scope.plan.constant(np.arange(len(scans), dtype=np.int32))
    for turn, count in turns:
        loop = _turns(scans, numbers, turn, count, length)
        scope.steps.append(replace(loop, ways=ways) if turn == last else loop)


def _turns(scans: Sequence[Trips], numbers: View, turn: int, count: int, length: int) -> Loop:
    """So many turns from that one on: those scans whose trip there is, each on its tile."""
    var, stage = new_var(), new_var()
    cases: list[tuple[Step, ...]] = []
    for number, scan in enumerate(scans):
        trip = turn - number
        there = 0 <= trip < length
        cases.append(scan.steps(var, parallel=False, ahead=trip) if there else ())
    branch = Branch(row(numbers, stage), tuple(cases), apart=True)
    return Loop(var, count, (Spread(stage, len(scans), (branch,)),))
