"""A product of many rows is cut into pieces that go among the trips of a loop.

In: steps that end in a product, and steps with a loop in which few rows are multiplied by panels;
neither reads what the other writes. Out: the steps of both, where each of the loop's first trips
does a piece of the product's columns, in one vertex with its own (`Woven`). So the core multiplies
while the loop's panels are on their way. Always: the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def woven(front: Sequence[Step], steps: Sequence[Step], machine: Machine) -> list[Step] | None:
    """None where there is no such product, no such loop, or nothing to gain."""
    *before, product = front
    loops = [step for step in steps if isinstance(step, Loop)]
    if not _is_product(product) or len(loops) != 1:
        return None
    trips, at = _in_trips(product, loops[0], machine), steps.index(loops[0])
    return trips and [*before, *steps[:at], *trips, *steps[at + 1 :]]


def _is_product(step: Step) -> TypeGuard[Call]:
    return isinstance(step, Call) and isinstance(step.codelet, ContractPanels)


def _in_trips(product: Call, loop: Loop, machine: Machine) -> list[Step] | None:
    """The loop's trips: those with whole pieces, one with what is left, those with none."""
    calls = [step for step in loop.steps if isinstance(step, Call)]
    waiting = [call for call in calls if _is_product(call) and _waits(call, machine)]
    if len(calls) < len(loop.steps) or len(waiting) != 1:
        return None
    many = product.codelet
    assert isinstance(many, ContractPanels)
    found: list[Step] = []
    first = done = 0
    for count, panels in [*_pieces(many.n // LANES, loop.count), (loop.count, 0)]:
        body = calls
        if panels:
            piece = _piece(product, loop.var, first - done * panels, panels)
            pair = _pair(waiting[0], piece)
            if pair is None:
                return None
            body = [pair if call is waiting[0] else call for call in calls]
        count = min(count, loop.count - done)
        if count:
            var = new_var()
            here = in_trip(body, loop.var, var, done, trips=1)
            found.append(replace(loop, var=var, count=count, steps=tuple(here)))
        first, done = first + count * panels, done + count
    return found


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
