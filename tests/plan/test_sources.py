"""Every vertex has the line of the innermost part of the user's function that it comes from."""

from dataclasses import replace

from tests.simulate.programs import plus
from tilewright.plan.homes import Homes
from tilewright.plan.ir import Branch, Buffer, Family, Loop, Map, Spread, Sync, View, While, new_var
from tilewright.plan.sources import calls_of, sourced

VIEW = View(Buffer("float32", 1, "shared"), (), ())
CALL = plus([VIEW], VIEW)
OWN = replace(CALL, source="inner.py:3")


def everywhere(call):
    var = new_var()
    return [
        call,
        Loop(var, 2, (Spread(var, 2, (call,)), Sync())),
        Map(var, 2, (Loop(var, 2, (call,)),)),
        While((call,), VIEW, (Family((var,), (2,), Homes(), (call,)),)),
        Branch(VIEW, ((call,), (call, Sync()))),
    ]


def test_all_calls_are_found_in_order():
    numbered = [replace(CALL, source=str(i)) for i in range(3)]
    steps = [numbered[0], Loop(0, 2, (numbered[1],)), Branch(VIEW, ((), (numbered[2],)))]
    assert [call.source for call in calls_of(steps)] == ["0", "1", "2"]
    assert len(list(calls_of(everywhere(CALL)))) == 7


def test_a_line_reaches_every_vertex_and_replaces_none():
    steps = everywhere(CALL)
    given = sourced(steps, "outer.py:9")
    assert given == steps, "but for lines they are the same"
    assert [call.source for call in calls_of(given)] == ["outer.py:9"] * 7
    kept = sourced(everywhere(OWN), "outer.py:9")
    assert [call.source for call in calls_of(kept)] == ["inner.py:3"] * 7


def test_without_a_line_nothing_changes():
    steps = everywhere(CALL)
    assert sourced(steps, "") == steps
