"""What the steps of a program take on a machine: of each vertex, its work or its bytes.

In: steps, a machine, how many tiles share them. Out: a `Price` in cycles, from the first step to
the last: spreads and maps end when their busiest tile does. Loops of unknown length run once, a
branch its dearest case. Operands come from the nearest memory that holds the whole of their buffer:
what a loop reads window by window is back only after all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.contract import Woven
from tilewright.codelets.contract.woven import apart
from tilewright.machine.cost import FREE, Price, bounded, home, work
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Call, Loop, Map, Spread, Step, Sync, While

HIDDEN = 0.5
"""Of a product's multiply-adds that go among those of a few rows, the share that takes no time: see
`codelets/contract/woven.py`."""


def price_of(steps: Sequence[Step], machine: Machine, tiles: int = 1, busy: int = 1) -> Price:
    """Of steps one after the other, dealt out to `tiles` where they may be, while `busy` work."""
    return sum((_price(step, machine, tiles, busy) for step in steps), start=FREE)


def _price(step: Step, machine: Machine, tiles: int, busy: int) -> Price:
    match step:
        case Call():
            return call_price(step, machine, busy)
        case Loop(_, count, body):
            return price_of(body, machine, tiles, busy) * count
        case Spread(_, count, body) | Map(_, count, body):
            return price_of(body, machine, 1, min(tiles, count)) * -(-count // tiles)
        case While(condition, _, body):
            return price_of((*condition, *body), machine, tiles, busy)
        case Branch(_, cases):
            prices = [price_of(case, machine, tiles, busy) for case in cases]
            return max(prices, key=lambda price: price.cycles, default=FREE)
        case Sync():
            return Price({"barrier": machine.chip.sync_cycles}) if tiles > 1 else FREE
        case _:
            raise AssertionError(f"{type(step).__name__} is timed by simulate/cycles.py")


def call_price(call: Call, machine: Machine, busy: int = 1) -> Price:
    """Of one vertex, while so many tiles read from what they share."""
    if isinstance(call.codelet, Woven):
        few, many = call.codelet.few, call.codelet.many
        own, _ = apart(few, many, call.views)
        beneath = work(many.work, machine.tile) * (1 - HIDDEN)
        return call_price(Call(few, own), machine, busy) + beneath
    moved: dict[str, float] = {}
    operands = (*call.codelet.inputs, *call.codelet.outputs)
    for view, operand in zip(call.views, operands, strict=False):  # scratch memory comes last
        memory = home(machine.tile, view.buffer.nbytes)
        rate = memory.read if busy == 1 else memory.read_all
        if rate:
            moved[memory.name] = moved.get(memory.name, 0.0) + operand.nbytes / rate
    vertex = bounded(work(call.codelet.work, machine.tile), Price(moved))
    return vertex + Price({"calls": machine.tile.call})
