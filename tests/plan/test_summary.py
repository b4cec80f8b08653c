"""Numbers of a program: loops are multiplied out."""

from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise import Transpose
from tilewright.codelets.peak import PeakFma
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Program,
    Spread,
    Sync,
    View,
    While,
    new_var,
)
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
