"""Chained scans: each on a tile of its own, a trip behind the one before it.

In: scans that follow each other, each reading what the one before it stacks, in the same order of
trips. Out: steps. In turn t, scan i does its trip t - i, on the tile of that number: a tile meets
the same constants in every turn, in its own memory, and tiles wait for each other once a turn.
Trips are long ones: chunks (see `graph/ahead.py`), or all that a trip of a loop holds. Where that
is priced lower, a scan's products of elements are a trip ahead of the rest of it, among whose own
products they go (see `weaving.py`); the scan then begins a turn later.

Always: no bit changes, as each scan does what it would do alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tilewright.frozen import frozen
from tilewright.machine.cost import late
from tilewright.machine.machine import Machine
from tilewright.plan.alternating import alternating
from tilewright.plan.control import Trips, lower_scan
from tilewright.plan.in_front import RING, in_front
from tilewright.plan.ir import Branch, Loop, Spread, Step, Var, View, new_var
from tilewright.plan.price import price_of
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope
from tilewright.plan.summary import syncs_of
from tilewright.plan.synchronise import synchronise
from tilewright.plan.views import row
from tilewright.plan.weaving import Part, gains, woven

LATE = 4000
"""Cycles that are lost at each barrier besides: fetching what another tile wrote, waiting for the
slower. (The talk's net, batch 1: 1.2 µs on two tiles of Zen 4, at a barrier of 0.14; 1.5 on 16 of a
Sapphire Rapids, at one of 4.5.)"""

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
    if not _is_long(chain, len(chain)):
        _in_turn(scope, first, chain[:1])
        return 1
    apart, inside = (
        AT_ONCE * _price(scope, machine, lambda weave=weave: _staged(scope, chain, "", weave))
        for weave in (False, _is_long(chain, 2 * len(chain)))
    )
    weave = inside < apart
    staged = inside if weave else apart
    in_turn = _price(scope, machine, lambda: _in_turn(scope, first, chain))
    one, other = (f"{cycles / machine.chip.clock * 1e6:,.0f} µs" for cycles in (staged, in_turn))
    way = "a tile each, products woven" if weave else "a tile each"
    ways = f"{len(chain)} scans at once, {way}: {one}; one after the other: {other}"
    if staged < in_turn:
        _staged(scope, chain, ways, weave)
        return len(chain)
    _in_turn(scope, first, chain[:1])
    loop = scope.steps[-1]
    assert isinstance(loop, Loop)
    scope.steps[-1] = replace(loop, ways=ways)
    return 1


def _is_long(chain: Sequence[Unit], turns: int) -> bool:
    """Whether all its stages are ever at work at once, if the last begins in that turn."""
    return len(chain) > 1 and turns <= chain[0].nodes[0].params["length"]


def _price(scope: Scope, machine: Machine, lower: Callable[[], None]) -> float:
    """Cycles of what is lowered, which is taken back."""
    before, known = scope.kept(), len(scope.steps)
    lower()
    steps = synchronise(alternating(scope.steps[known:]))
    scope.restore(before)
    waits = late(machine, LATE) * syncs_of(steps)
    return price_of(steps, machine, machine.chip.tiles).cycles + waits


def _in_turn(scope: Scope, first: int, chain: Sequence[Unit]) -> None:
    for number, unit in enumerate(chain):
        scope.now = first + number
        lower_scan(scope, unit)


@frozen
class _Stage:
    """A scan of which trip 0 is done in turn `first`; `front` is a trip ahead of it, if it is."""

    scan: Trips
    first: int
    front: Trips | None = None

    def parts(self, var: Var, every: int, turn: int, length: int) -> Part:
        """What is in front and what is not, in turn `turn` + `every` * `var`."""
        trip = turn - self.first

        def made(trips: Trips | None, number: int) -> tuple[Step, ...]:
            if trips is None or not 0 <= number < length:
                return ()
            return trips.steps(var, parallel=False, ahead=number, every=every)

        return made(self.front, trip + 1), made(self.scan, trip)


def _stages_of(scans: Sequence[Trips], weave: bool) -> list[_Stage]:
    """In the order of the chain: each reads what the one before it stacked in an earlier turn."""
    found: list[_Stage] = []
    for scan in scans:
        turn = found[-1].first + 1 if found else 0
        parts = in_front(scan) if weave else None
        if parts and _weaves(*parts):
            front, rest = parts
            found.append(_Stage(rest, turn + 1, front))
        else:
            found.append(_Stage(scan, turn))
    return found


def _weaves(front: Trips, scan: Trips) -> bool:
    """Whether what is in front goes among the trips of the rest."""
    var, machine = new_var(), scan.scope.plan.machine
    one, other = (trips.steps(var, parallel=False) for trips in (front, scan))
    return gains(one, other, machine)


def _staged(scope: Scope, chain: Sequence[Unit], ways: str, weave: bool) -> None:
    """All begin while the first is the unit at hand: none writes to what another still reads."""
    scans = [Trips.of(scope, unit.nodes[0]) for unit in chain]
    stages, length = _stages_of(scans, weave), chain[0].nodes[0].params["length"]
    last = stages[-1].first
    every = RING if any(stage.front for stage in stages) else 1
    pairs, rest = divmod(length - last, every)
    turns = [(turn, 1, 1) for turn in range(last)]
    turns += [(last, pairs, every)] if pairs else []
    turns += [(length - rest + turn, 1, 1) for turn in range(rest + last)]
    numbers = scope.plan.constant(np.arange(len(scans), dtype=np.int32))
    for turn, count, each in turns:
        var = new_var()
        together = tuple(_turn(stages, numbers, var, each, turn + i, length) for i in range(each))
        told = ways if turn == last else ""
        scope.steps.append(Loop(var, count, together, told))


def _turn(
    stages: Sequence[_Stage], numbers: View, var: Var, every: int, turn: int, length: int
) -> Spread:
    """Turn `turn` + `every` * `var`: those scans whose trip there is, each on its tile."""
    number = new_var()
    parts = [stage.parts(var, every, turn, length) for stage in stages]
    cases = tuple(map(tuple, woven(parts, stages[0].scan.scope.plan.machine)))
    return Spread(number, len(stages), (Branch(row(numbers, number), cases, apart=True),))
