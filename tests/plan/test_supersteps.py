"""Supersteps: where a program is cut, and that they stand under the numbers of its parts."""

from tilewright.codelets.peak import PeakFma
from tilewright.machine.host import described
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
from tilewright.plan.summary import parts
from tilewright.plan.supersteps import supersteps

CALL, LONG = Call(PeakFma("float32", 10), ()), Call(PeakFma("float64", 1000), ())
MACHINE = described(("avx2", "fma"))
SCALAR = View(Buffer("int32", 1, "shared"), (), ())


def found(*steps):
    return supersteps(Program((), (), (), steps, {}, 0, 0))


def labels(*steps):
    return [f"{superstep.label} {superstep.kind}" for superstep in found(*steps)]


def spread(*steps):
    return Spread(new_var(), 4, steps or (CALL,))


def test_a_program_without_sync_is_one():
    assert labels(CALL) == ["0 tile 0"]
    assert labels(CALL, Loop(new_var(), 3, (CALL,)), CALL) == ["0-2 tile 0"]
    assert labels(Map(new_var(), 3, (CALL,)), Sync()) == ["0 map"]


def test_loops_and_branches_of_all_tiles_have_their_own():
    steps = (
        *(CALL, Loop(new_var(), 3, (CALL,)), CALL, Sync()),
        Loop(new_var(), 5, (spread(), Sync(), CALL, Sync())),
        While((CALL, Sync()), SCALAR, (spread(), Sync())),
        Sync(),
        Branch(SCALAR, ((Sync(),), (Sync(), spread(), Sync()))),
        CALL,
    )
    assert labels(*steps) == [
        "0-2 tile 0",
        *("3.0 spread", "3.1 tile 0"),
        *("4.0 tile 0", "4.1 spread", "4.2 empty"),
        *("5.0 empty", "5.1 empty", "5.2 spread"),
        "6 tile 0",
    ]
    kinds = [part.kind for part in parts(Program((), (), (), steps, {}, 0, 0))]
    assert kinds == ["tile 0", "loop", "tile 0", "loop", "while", "branch", "tile 0"]


def test_loops_within_loops():
    inner = Loop(new_var(), 5, (spread(), Sync()))
    outer = Loop(new_var(), 7, (CALL, Sync(), inner, spread(), Sync()))
    assert labels(outer) == ["0.0 tile 0", "0.1 spread", "0.2 spread"]


def test_mostly_is_the_codelet_with_the_most_work_over_all_turns():
    assert LONG.codelet.name != CALL.codelet.name
    often = Loop(new_var(), 1000, (CALL,))
    assert found(LONG, CALL)[0].mostly(MACHINE) == LONG.codelet.name
    assert found(LONG, often)[0].mostly(MACHINE) == CALL.codelet.name
    assert found(Sync())[0].mostly(MACHINE) == ""
