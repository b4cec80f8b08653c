"""Whose order matters, and what belongs together."""

import pytest

from tests.machines import STATED
from tests.simulate.programs import plus
from tilewright.plan.ir import Branch, Buffer, Loop, Spread, View, While, new_var
from tilewright.plan.walks.items import Item, items_of, uses


@pytest.fixture
def buffers():
    return [Buffer("float32", 8, "shared") for _ in range(4)]


def vector(buffer):
    return View(buffer, (8,), (1,))


def adds(source, target):
    return plus([vector(source)], vector(target))


def item(source, target):
    return Item([adds(source, target)])


def test_order_matters_only_through_what_somebody_writes(buffers):
    a, b, c, d = buffers
    assert item(a, b).conflicts(item(b, c)), "read after it is written"
    assert item(b, c).conflicts(item(a, b)), "overwritten after it is read"
    assert item(a, c).conflicts(item(b, c)), "written twice"
    assert not item(a, b).conflicts(item(a, c)), "read twice"
    assert not item(a, b).conflicts(item(c, d))


def test_one_may_pass_those_that_it_has_nothing_to_do_with(buffers):
    a, b, c, d = buffers
    assert item(a, d).may_pass([item(a, b), item(b, c)])
    assert not item(b, d).may_pass([item(a, c), item(a, b)])


def test_loops_wait_for_nobody(buffers):
    a, b, *_ = buffers
    assert item(a, b).may_wait
    assert not Item([Loop(new_var(), 3, (adds(a, b),))]).may_wait


def test_what_is_looked_at_is_read(buffers):
    a, b, c, _ = buffers
    test = View(Buffer("bool", 1, "shared"), (), ())
    index = View(Buffer("int32", 1, "shared"), (), ())
    turn = Item([While((adds(a, b),), test, (adds(b, c),))])
    assert (turn.read, turn.written) == ({a, b, test.buffer}, {b, c})
    choice = Item([Branch(index, ((adds(a, b),), (adds(c, b),)))])
    assert (choice.read, choice.written) == ({index.buffer, a, c}, {b})


def test_pieces_of_a_vertex_belong_together(buffers):
    a, b, c, _ = buffers
    whole = adds(a, b)
    pieces = [Spread(new_var(), 2, (adds(a, b),), joins, whole=whole) for joins in (False, True)]
    steps = [*pieces, adds(b, c), Spread(new_var(), 2, (adds(a, c),), whole=adds(a, c))]
    assert [len(found.found) for found in items_of(steps, STATED)] == [2, 1, 1]
    assert [step for found in items_of(steps, STATED) for step in found.found] == steps


def test_uses_are_counted_in_loops_too(buffers):
    a, b, c, _ = buffers
    steps = [adds(a, b), Loop(new_var(), 3, (adds(b, c), adds(c, b)))]
    assert uses(steps, STATED) == {a: 1, b: 3, c: 2}
