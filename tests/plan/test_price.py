"""Prices of steps: loops are multiplied out, tiles share, and bytes come from where they lie."""

import pytest

from tests.machines import STATED
from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise import Transpose
from tilewright.codelets.peak import PeakFma
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Map, Spread, Sync, View, new_var
from tilewright.plan.price import call_price, price_of

SHORT, LONG = Call(PeakFma("float32", 10), ()), Call(PeakFma("float32", 1000), ())
SCALAR = View(Buffer("int32", 1, "shared"), (), ())
SYNC = Sync()


def loop(count, *steps):
    return Loop(new_var(), count, steps)


def spread(count, *steps):
    return Spread(new_var(), count, steps)


def cycles(*steps, tiles=1):
    return price_of(steps, STATED, tiles).cycles


def test_prices_follow_the_work():
    one = call_price(SHORT, STATED).cycles
    assert one == pytest.approx(SHORT.codelet.work.flops / 2 / 16 + STATED.tile.call)
    assert cycles(SHORT, loop(7, SHORT)) == pytest.approx(8 * one)
    assert cycles(Branch(SCALAR, ((SHORT,), (LONG,)))) == cycles(LONG)
    assert cycles() == cycles(Branch(SCALAR, ((), ()))) == 0


def test_tiles_share_what_is_dealt_out():
    for make in (spread, lambda count, *steps: Map(new_var(), count, steps)):
        step, one = make(10, LONG), cycles(LONG)
        assert cycles(step) == pytest.approx(10 * one)
        assert cycles(step, tiles=4) == pytest.approx(3 * one), "the busiest has three"
        assert cycles(step, tiles=99) == pytest.approx(one)
    assert cycles(LONG, tiles=4) == cycles(LONG), "tile 0's own is not shared"


def test_barriers_cost_where_there_are_several_tiles():
    price = price_of((loop(100, SYNC),), STATED, 2)
    assert price.limit == "barrier"
    assert price.cycles == 100 * STATED.chip.sync_cycles
    assert price_of((loop(100, SYNC),), STATED, 1).cycles == 0


def test_bytes_cost_by_where_the_whole_buffer_lies():
    """A window of a large array is as far away as all of it."""
    operands = (Operand("float32", (16, 16), (16, 1)),) * 2
    prices = []
    for memory in STATED.tile.memories:
        buffer = Buffer("float32", memory.size // 4, "shared")
        views = (View(buffer, (16, 16), (16, 1)),) * 2
        prices.append(call_price(Call(Transpose(*operands), views), STATED))
    assert [p.cycles for p in prices] == sorted(p.cycles for p in prices)
    assert prices[-1].limit == "memory"
    busy = call_price(Call(Transpose(*operands), views), STATED, busy=2)
    assert busy.cycles > prices[-1].cycles, "others read from it, too"
