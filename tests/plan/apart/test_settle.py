"""Where buffers are at home: with those who write them, and neighbours' shares together."""

import pytest

from tests.simulate.programs import plus
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.plan.apart.filled import filled_of
from tilewright.plan.apart.settle import Settled, _line, may_both_write
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Call, Spread, View, new_var

TILES = 16


def dealt(source, target, count, size):
    """Shares of a vector, one after the other."""
    var = new_var()
    views = [View(b, (size,), (1,), 0, ((var, size),)) for b in (source, target)]
    return Spread(var, count, (plus([views[0]], views[1]),))


def settled(steps, inputs=(), even=(), given=()):
    found = Settled(TILES, set(even), set(given))
    found.note(steps)
    found.settle(inputs, ())
    return found


@pytest.fixture
def buffers():
    return [Buffer("float32", 40, "shared") for _ in range(4)]


def test_shares_of_one_buffer_stay_where_they_are(buffers):
    a, b, c, d = buffers
    steps = [dealt(a, b, 5, 8), dealt(b, c, 5, 8), dealt(d, d, 4, 10)]
    found = settled(steps)
    first, second, third = (found.units[id(step)].family.homes for step in steps)
    assert first == second, "what the first wrote the second reads there"
    assert third.first == first.first + 5, "others have the next tiles"
    assert found.canon[b].homes == first
    assert found.canon[b].block == 8


def test_tiles_are_taken_in_turn(buffers):
    steps = [dealt(b, b, 5, 8) for b in buffers]
    homes = [settled(steps).units[id(step)].family.homes.first for step in steps]
    assert homes == [0, 5, 10, 0]


def test_what_lies_evenly_does_so_whoever_writes_it(buffers):
    a, b, *_ = buffers
    found = settled([dealt(a, b, 5, 8)], even=[b])
    home = found.canon[b]
    assert (home.block, home.homes) == (3, Homes(0, (Axis(14),)))


def test_what_one_tile_does_is_at_home_there(buffers):
    a, b, *_ = buffers
    found = settled([plus([View(a, (40,), (1,))], View(b, (40,), (1,)))])
    assert found.canon[b].homes == Homes()
    assert found.canon[b].size == 40


def test_what_is_given_is_not_if_somebody_writes_it(buffers):
    a, b, *_ = buffers
    found = settled([dealt(a, b, 5, 8)], given=[a, b])
    assert found.given == {a}


def test_two_who_write_the_same_element(buffers):
    a, b, c, _ = buffers
    steps = [dealt(a, b, 5, 8), dealt(c, b, 4, 10), dealt(a, c, 5, 8)]
    one, other, third = (settled(steps).units[id(step)] for step in steps)
    assert may_both_write(one, other)
    assert not may_both_write(one, third)


def test_rows_of_pieces_are_one_line_if_they_nest():
    grid = Homes(0, (Axis(3, 1, 4), Axis(4)))
    assert _line(grid, [40, 10]) == (Axis(12), 10)
    assert _line(grid, [10, 30]) is None
    assert _line(Homes(0, (Axis(3, 1, 5), Axis(4))), [40, 10]) is None, "tiles between them"
    assert _line(Homes(0, (Axis(1), Axis(6))), [0, 7]) == (Axis(6), 7)


def test_only_a_constant_fills_a_buffer_where_it_lies(buffers):
    """An index, which has no inputs either, is another one in each block."""
    a, *_ = buffers
    found = {
        op: Expression((), (Instruction(op, (), "float32", ((key, value),)),), (0,))
        for op, key, value in (("constant", "value", (0.0,)), ("iota", "dimension", 0))
    }
    filled = {}
    for op, expression in found.items():
        step = Call(Elementwise(expression, (40,), (), ((1,),)), (View(a, (40,), (1,)),))
        filled[op] = filled_of(settled([step]).units[id(step)].family)
    assert filled == {"constant": a, "iota": None}
