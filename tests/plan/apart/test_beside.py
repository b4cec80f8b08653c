"""Operands where they were brought to, or at home."""

import pytest

from tests.simulate.programs import plus
from tilewright.plan.apart.beside import Moved, beside_view, summed
from tilewright.plan.apart.touches import regions
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Family, Loop, View, new_var


@pytest.fixture
def buffers():
    return [Buffer("float32", 100, "shared") for _ in range(2)]


def test_moves_of_one_variable_are_one():
    u, v = new_var(), new_var()
    view = View(Buffer("float32", 9, "shared"), (), (), 0, ((v, 2), (u, 1), (v, 3), (u, -1)))
    assert summed(view) == [(v, 5)]


def family(buffers):
    """Instance v adds up ten elements from 2 + 10 v on."""
    x, y = buffers
    v = new_var()
    views = [View(x, (5,), (1,), 2, ((v, 10),)), View(y, (5,), (1,), 0, ((v, 5),))]
    homes = Homes(0, (Axis(8),))
    return Family((v,), (8,), homes, (plus([views[0]], views[1]),)), views[0]


def test_each_instance_has_a_block_of_its_own(buffers):
    found, view = family(buffers)
    (region,) = regions(found.steps, {found.vars[0]: 8})[buffers[0]]
    place = Buffer("float32", 8 * 5, "home", homes=found.homes)
    here = beside_view(view, region, place, found)
    assert (here.buffer, here.offset) == (place, 0)
    assert here.moves == ((found.vars[0], 5),)


def test_only_what_was_brought_is_read_beside(buffers):
    found, view = family(buffers)
    x, y = buffers
    (region,) = regions(found.steps, {found.vars[0]: 8})[x]
    place = Buffer("float32", 8 * 5, "home", homes=found.homes)
    home = {x: Buffer("float32", 100, "home"), y: Buffer("float32", 100, "home")}
    moved = Moved(home, [(region, lambda v: beside_view(v, region, place, found))])
    (call,) = moved.steps(found.steps)
    assert [v.buffer for v in call.views] == [place, home[y]]
    elsewhere = View(x, (5,), (1,), 60, view.moves)
    assert moved.view(elsewhere, ()).buffer is home[x]
    unknown = View(Buffer("float32", 3, "shared"), (3,), (1,))
    assert moved.view(unknown, ()) is unknown


def test_loops_inside_are_walked_through(buffers):
    x, y = buffers
    u = new_var()
    views = View(x, (5,), (1,), 0, ((u, 5),)), View(y, (5,), (1,))
    home = {x: Buffer("float32", 100, "home"), y: Buffer("float32", 100, "home")}
    (loop,) = Moved(home, []).steps([Loop(u, 4, (plus([views[0]], views[1]),))])
    assert [v.buffer for v in loop.steps[0].views] == [home[x], home[y]]
