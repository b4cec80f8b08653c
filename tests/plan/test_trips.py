"""Trips of a loop that does several a turn touch what they touched one by one."""

import pytest

from tests.simulate.programs import plus
from tilewright.plan.ir import Buffer, Loop, Spread, View, new_var
from tilewright.plan.trips import calls_of, in_trip, simple_steps

BUFFER = Buffer("float32", 1000, "shared")
LOOP, OTHER, TURN = new_var(), new_var(), new_var()


def place(view: View, **values: int) -> int:
    known = {LOOP: values.get("loop", 0), OTHER: values["other"], TURN: values.get("turn", 0)}
    return view.offset + sum(known[var] * step for var, step in view.moves)


VIEWS = [
    View(BUFFER, (5,), (1,), 7, ((LOOP, 10), (OTHER, 3))),
    View(BUFFER, (5,), (2,), 1, ((OTHER, 4), (LOOP, -6), (LOOP, 1))),
    View(BUFFER, (5,), (1,), 9, ((OTHER, 2),)),
]


def same_places(before, after, trip: int, trips: int) -> None:
    assert LOOP not in [var for var, _ in after.moves]
    assert (after.shape, after.strides) == (before.shape, before.strides)
    for turn in range(3):
        was = place(before, loop=trips * turn + trip, other=2)
        assert place(after, turn=turn, other=2) == was


@pytest.mark.parametrize("trips", [2, 3])
def test_every_trip_is_where_it_was(trips):
    call = plus(VIEWS, View(BUFFER, (5,), (1,), 0, ((LOOP, 5),)))
    for trip in range(trips):
        (moved,) = in_trip([call], LOOP, TURN, trip, trips)
        (dealt,) = in_trip([Spread(OTHER, 4, (call,))], LOOP, TURN, trip, trips)
        assert dealt == Spread(OTHER, 4, (moved,))
        for before, after in zip(call.views, moved.views, strict=True):
            same_places(before, after, trip, trips)


def test_a_loop_of_one_turn_needs_no_variable():
    call = plus(VIEWS[:1], VIEWS[2])
    (moved,) = in_trip([call], LOOP, TURN, 4, 0)
    assert moved.views[0].moves == ((OTHER, 3),)
    assert moved.views[0].offset == 7 + 4 * 10
    assert moved.views[1] == VIEWS[2]


def test_simple_steps_are_vertices_and_such_as_are_dealt_out():
    call, inner = plus(VIEWS[:1], VIEWS[2]), new_var()
    dealt, nested = Spread(inner, 4, (call, call)), Spread(inner, 4, (Loop(OTHER, 2, (call,)),))
    assert [calls_of(step) for step in (call, dealt)] == [[call], [call, call]]
    assert simple_steps(Loop(LOOP, 3, (call, dealt))) == [call, dealt]
    assert simple_steps(Loop(LOOP, 3, (call, nested))) == []
    assert simple_steps(Loop(LOOP, 3, (call, Loop(OTHER, 2, (call,))))) == []
