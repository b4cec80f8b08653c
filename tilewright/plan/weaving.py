"""Products of many rows are cut into pieces that go among the trips of loops.

In: for each of several tiles, steps that end in a product, or none, and steps with a loop in which
few rows are multiplied by panels; no product reads or writes what any loop writes. Out: the steps
of each tile, where the loops' first trips do a piece of a product's columns each, in one vertex
with their own (`Woven`). So cores multiply while the loops' panels are on their way. Products are
dealt out evenly over all loops, whichever tile they came from. Always: the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TypeGuard

from tilewright.codelets.base import LANES
from tilewright.codelets.contract import ContractPanels, Woven
from tilewright.codelets.contract.woven import together, weaves
from tilewright.machine.cost import home, work
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.ir import Call, Loop, Step, Var, View, new_var
from tilewright.plan.trips import in_trip

SLACK = 1.5
"""Times multiplying, that reading of the few rows' panels takes at least. (Zen 4, float32: 2.)"""
REGISTERS = 32
"""Of a machine: fewer have no room for the sums of both."""
Part = tuple[Sequence[Step], Sequence[Step]]
"""What is in front, which may be nothing, and steps with a loop, likewise."""
Share = tuple[Call, int, int]
"""Of a product, so many panels from that number on."""


def woven(parts: Sequence[Part], machine: Machine) -> list[list[Step]]:
    """The steps of each part; one after the other where nothing is to be gained."""
    ahead = [front for front, steps in parts if front and steps]
    if all(_is_private(front) for front in ahead):
        hosts = [number for number, (_, steps) in enumerate(parts) if steps]
        found = _dealt(ahead, [parts[number][1] for number in hosts], machine)
        if found:
            trips = dict(zip(hosts, found, strict=True))
            return [trips.get(n) or list(front) for n, (front, _) in enumerate(parts)]
    return [_by_itself(front, steps, machine) for front, steps in parts]


def gains(front: Sequence[Step], steps: Sequence[Step], machine: Machine) -> bool:
    """Whether what is in front goes among the trips of its own loop."""
    return _dealt([front], [steps], machine) is not None


def _by_itself(front: Sequence[Step], steps: Sequence[Step], machine: Machine) -> list[Step]:
    found = _dealt([front], [steps], machine) if front and steps else None
    return found[0] if found else [*front, *steps]


def _is_private(front: Sequence[Step]) -> bool:
    """Whether every tile may do what a product reads for itself, as nobody else sees it."""
    calls = [step for step in front[:-1] if isinstance(step, Call)]
    made = [view for call in calls for view in call.views[len(call.codelet.inputs) :]]
    return len(calls) == len(front) - 1 and all(view.buffer.space == "tile" for view in made)


def _dealt(
    fronts: Sequence[Sequence[Step]], hosts: Sequence[Sequence[Step]], machine: Machine
) -> list[list[Step]] | None:
    """The hosts' steps; None where there is no product, no loop, or nothing to gain."""
    before = {front[-1]: front[:-1] for front in fronts if _is_whole(front[-1])}
    loops = [[step for step in steps if isinstance(step, Loop)] for steps in hosts]
    if not before or len(before) < len(fronts) or any(len(found) != 1 for found in loops):
        return None
    calls = [step for step in before if isinstance(step, Call)]
    shares = _shares(calls, [loop.count for (loop,) in loops])
    found: list[list[Step]] = []
    for steps, (loop,), share in zip(hosts, loops, shares, strict=True):
        trips, at = _in_trips(share, loop, machine), steps.index(loop)
        if trips is None:
            return None
        first = [step for product, _, _ in share for step in before[product]]
        found.append([*first, *steps[:at], *trips, *steps[at + 1 :]])
    return found


def _shares(products: Sequence[Call], trips: Sequence[int]) -> Iterator[list[Share]]:
    """All panels in order, dealt out by the trips of each loop."""
    counts = [product.codelet.outputs[0].shape[1] // LANES for product in products]
    firsts, total = list(accumulate(counts, initial=0)), sum(counts)
    ends = (total * done // sum(trips) for done in accumulate(trips, initial=0))
    for start, end in pairwise(ends):
        cut = zip(products, *zip(*pairwise(firsts), strict=True), strict=True)
        within = ((p, max(start, low) - low, min(end, high) - low) for p, low, high in cut)
        yield [(product, low, high - low) for product, low, high in within if high > low]


def _is_whole(step: Step) -> TypeGuard[Call]:
    """A product of whole panels."""
    return _is_product(step) and not step.codelet.outputs[0].shape[1] % LANES


def _is_product(step: Step) -> TypeGuard[Call]:
    return isinstance(step, Call) and isinstance(step.codelet, ContractPanels)


def _in_trips(shares: Sequence[Share], loop: Loop, machine: Machine) -> list[Step] | None:
    """The loop's trips: those with whole pieces, one with what is left, those with none."""
    calls = [step for step in loop.steps if isinstance(step, Call)]
    waiting = [call for call in calls if _is_product(call) and _waits(call, machine)]
    if len(calls) < len(loop.steps) or len(waiting) != 1:
        return None
    found: list[Step] = []
    done = 0
    for product, first, count, panels in _in_pieces(shares, loop.count):
        pair = _pair(waiting[0], _piece(product, loop.var, first - done * panels, panels))
        if pair is None or count > loop.count - done:
            return None
        body = [pair if call is waiting[0] else call for call in calls]
        found.append(_some(loop, body, done, count))
        done += count
    return [*found, _some(loop, calls, done, loop.count - done)] if done < loop.count else found


def _some(loop: Loop, body: Sequence[Call], done: int, count: int) -> Loop:
    """So many trips of a loop, after those that are done."""
    var = new_var()
    here = in_trip(body, loop.var, var, done, trips=1)
    return replace(loop, var=var, count=count, steps=tuple(here))


def _in_pieces(shares: Sequence[Share], trips: int) -> Iterator[tuple[Call, int, int, int]]:
    """A product, the first panel, trips, panels of each."""
    panels = sum(count for _, _, count in shares)
    for product, first, count in shares:
        mine = max(1, trips * count // panels)
        trips, panels = trips - mine, panels - count
        for some, each in _pieces(count, mine):
            yield product, first, some, each
            first += some * each


def _pieces(panels: int, trips: int) -> list[tuple[int, int]]:
    """(trips, panels of each): as many in each, but whole pairs of trips, which go back and forth
    (see `back_and_forth.py`)."""
    found = []
    while panels:
        each = -(-panels // trips)
        whole = panels // each
        whole -= whole % 2 if whole > 1 else 0
        found.append((whole, each))
        panels, trips = panels - whole * each, trips - whole
    return found


def _waits(call: Call, machine: Machine) -> bool:
    """Whether a product of few rows waits for its panels."""
    codelet, tile = call.codelet, machine.tile
    assert isinstance(codelet, ContractPanels)
    if tile.features.registers < REGISTERS or any(call.views[1].moves):
        return False
    panels = codelet.panels.nbytes
    multiplying = work(replace(codelet, epilogue=None, beside=(), more=()).work, tile)
    reading = panels / (home(tile, panels).read or 1e9)
    return panels > tile.memories[0].size and reading >= SLACK * multiplying.cycles


def _piece(product: Call, var: Var, first: int, panels: int) -> Call:
    """Of a product, so many panels from number `first` + `panels` * `var` on."""
    codelet = product.codelet
    assert isinstance(codelet, ContractPanels)
    lhs, matrix, *sides = product.views
    rows = sides[0].shape[0]
    cut = [views.window(matrix, (0, 0, 0, 0), (panels, *matrix.shape[1:]))]
    cut += [views.window(side, (0, 0), (rows, LANES * panels)) for side in sides]
    apart = [matrix.strides[0], *(LANES * side.strides[1] for side in sides)]
    moved = [_moving(v, var, first, panels, step) for v, step in zip(cut, apart, strict=True)]
    found = (lhs, *moved)
    return Call(codelet.on(list(map(operand, found))), found)


def _moving(view: View, var: Var, first: int, panels: int, step: int) -> View:
    """The panels' view, of which one is `step` after the other."""
    if not step:
        return view
    moves = (*view.moves, (var, panels * step))
    return replace(view, offset=view.offset + first * step, moves=moves)


def _pair(call: Call, piece: Call) -> Call | None:
    few, many = call.codelet, piece.codelet
    assert isinstance(few, ContractPanels)
    assert isinstance(many, ContractPanels)
    if not weaves(few, many):
        return None
    return Call(Woven(few, many), together(few, many, call.views, piece.views))
