"""Numbers and prices of a program: loops are multiplied out, and tiles share."""

import pytest

from tests.machines import STATED
from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise import Transpose
from tilewright.codelets.peak import PeakFma
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Sync,
    View,
    While,
    new_var,
)
from tilewright.plan.price import call_price, price_of
from tilewright.plan.summary import calls_of, part_numbers, parts, syncs_of, work_of

SHORT, LONG = Call(PeakFma("float32", 10), ()), Call(PeakFma("float32", 1000), ())
SCALAR = View(Buffer("int32", 1, "shared"), (), ())
SYNC = Sync()


def loop(count, *steps):
    return Loop(new_var(), count, steps)


def spread(count, *steps):
    return Spread(new_var(), count, steps)


def program(*steps):
    return Program((), (), (), steps, {}, 0, 0)


def flops(*steps):
    return work_of(steps).count.flops


def cycles(*steps, tiles=1):
    return price_of(steps, STATED, tiles).cycles


def test_work_is_multiplied_out():
    one = SHORT.codelet.work.flops
    assert flops(SHORT, loop(3, SHORT, loop(5, SHORT))) == one * (1 + 3 * (1 + 5))
    assert work_of((loop(3, SHORT, spread(4, SHORT)),)).vertices == 3 * 5
    assert flops(Branch(SCALAR, ((SHORT,), (LONG,), ()))) == LONG.codelet.work.flops
    endless = work_of((While((SHORT,), SCALAR, (LONG,)),))
    assert endless.open_ended
    assert endless.count.flops == one + LONG.codelet.work.flops
    assert [times for _, times in calls_of((loop(3, SHORT, loop(5, LONG)),))] == [3, 15]


def test_buffers_are_counted_once():
    tile, shared = Buffer("float32", 100, "tile"), Buffer("float32", 7, "shared")
    views = tuple(View(b, (2, 2), (2, 1)) for b in (tile, shared))
    operands = (Operand("float32", (2, 2), (2, 1)),) * 2
    call = Call(Transpose(*operands), views)
    (part,) = parts(program(call, call))
    assert (part.bytes_per_tile(), part.bytes_shared()) == (400, 28)
    assert part.work.vertices == 2


def test_parts_are_numbered_as_they_stand():
    steps = (
        SHORT,
        LONG,
        SYNC,
        loop(2, spread(3, SHORT), SYNC),
        SHORT,
        SHORT,
        SYNC,
        spread(4, LONG),
    )
    assert part_numbers(steps) == [0, 0, 0, 1, 2, 2, 2, 3]
    found = parts(program(*steps))
    assert [part.kind for part in found] == ["tile 0", "loop", "tile 0", "spread"]
    assert [part.count for part in found] == [1, 2, 1, 4]
    assert [part.syncs for part in found] == [0, 2, 0, 0]
    assert syncs_of((loop(3, SYNC, loop(5, SYNC)), SYNC)) == 3 * 6 + 1


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
