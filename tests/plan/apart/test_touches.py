"""What instances touch: whole regions, what must be brought, what is taken back."""

import pytest

from tests.simulate.programs import plus
from tilewright.plan.apart.touches import SharedWriteError, regions
from tilewright.plan.ir import Branch, Buffer, Loop, View, new_var


def vector(buffer, length, offset=0, moves=()):
    return View(buffer, (length,), (1,), offset, moves)


@pytest.fixture
def buffers():
    return [Buffer("float32", 100, "shared") for _ in range(3)]


def test_rows_move_with_the_family(buffers):
    x, y, _ = buffers
    v = new_var()
    steps = (plus([vector(x, 5, 2, ((v, 10),))], vector(y, 5, 0, ((v, 5),))),)
    found = regions(steps, {v: 10})
    (read,), (written,) = found[x], found[y]
    assert (read.low, read.high, read.moves, read.written) == (2, 7, ((v, 10),), [])
    assert (written.low, written.high, written.read) == (0, 5, [])


def test_loops_of_the_instance_are_part_of_the_region(buffers):
    x, y, _ = buffers
    v, u = new_var(), new_var()
    turn = plus([vector(x, 3, 0, ((v, 20), (u, 4)))], vector(y, 3, 0, ((v, 3),)))
    found = regions((Loop(u, 5, (turn,)),), {v: 5})
    (read,) = found[x]
    assert (read.low, read.high) == (0, 19)
    assert read.read[0].shape == (3, 5)
    assert read.read[0].strides == (1, 4)


def test_what_an_instance_wrote_itself_need_not_be_brought(buffers):
    x, y, z = buffers
    steps = (plus([vector(x, 5)], vector(y, 5)), plus([vector(y, 5)], vector(z, 5)))
    (own,) = regions(steps, {})[y]
    assert own.read == []
    assert own.written == [vector(y, 5)]


def test_ranges_that_do_not_meet_are_regions_of_their_own(buffers):
    x, y, _ = buffers
    steps = (plus([vector(x, 5), vector(x, 5, 50)], vector(y, 5)),)
    assert [(r.low, r.high) for r in regions(steps, {})[x]] == [(0, 5), (50, 55)]


def test_what_is_written_only_sometimes_is_brought_as_well(buffers):
    x, y, _ = buffers
    index = View(Buffer("int32", 1, "shared"), (), ())
    steps = (Branch(index, ((plus([vector(x, 5)], vector(y, 5)),), ())),)
    (region,) = regions(steps, {})[y]
    assert region.unsure == region.written


@pytest.mark.parametrize(
    ("step", "length", "fails"), [(5, 5, False), (4, 5, True), (0, 5, True), (-5, 5, False)]
)
def test_instances_must_not_share_what_they_write(buffers, step, length, fails):
    x, y, _ = buffers
    v = new_var()
    target = vector(y, length, 60, ((v, step),) if step else ())
    steps = (plus([vector(x, 5)], target),)
    if fails:
        with pytest.raises(SharedWriteError):
            regions(steps, {v: 5})
    else:
        assert regions(steps, {v: 5})[y][0].written == [target]


def test_columns_interleave(buffers):
    x, y, _ = buffers
    v = new_var()
    column = View(y, (10,), (10,), 0, ((v, 1),))
    assert regions((plus([vector(x, 10)], column),), {v: 10})[y][0].written == [column]


def test_one_instance_may_write_in_any_way(buffers):
    """A row in each turn of a loop around it, and another read: all of the buffer, as one."""
    _, y, _ = buffers
    u = new_var()
    steps = (plus([vector(y, 5)], vector(y, 5, 50, ((u, 5),))),)
    (region,) = regions(steps, {})[y]
    assert region.whole
    assert (region.low, region.high) == (0, 100)
