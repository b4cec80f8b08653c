"""Tiles wait exactly where work changes hands."""

import itertools

import pytest

from tilewright.codelets.peak import PeakChain
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Spread,
    Sync,
    View,
    While,
    new_var,
)
from tilewright.plan.synchronise import is_shared_work, synchronise

CALL, SYNC = Call(PeakChain(1), ()), Sync()
TEST = View(Buffer("bool", 1, "shared"), (), ())


def spread(joins=False):
    return Spread(new_var(), 4, (CALL,), joins)


def shared_map():
    return Map(new_var(), 4, (CALL,))


def loop(*steps):
    return Loop(new_var(), 3, steps)


def kinds(steps):
    """Names of steps, bodies in brackets."""
    found = []
    for step in steps:
        match step:
            case Loop():
                found.append(["loop", *kinds(step.steps)])
            case While():
                found.append(["while", kinds(step.condition), *kinds(step.steps)])
            case Branch():
                found.append(["branch", *map(kinds, step.cases)])
            case _:
                found.append(type(step).__name__.lower())
    return found


def synced(*steps):
    return kinds(synchronise(steps))


def test_tile_0_alone_never_waits():
    assert synced(CALL, loop(CALL), CALL) == ["call", ["loop", "call"], "call"]
    assert synced() == []


def test_between_hands():
    assert synced(CALL, spread(), CALL) == ["call", "sync", "spread", "sync", "call"]
    assert synced(spread(), spread()) == ["spread", "sync", "spread", "sync"]
    assert synced(spread(), spread(joins=True)) == ["spread", "spread", "sync"]
    assert synced(CALL, spread(joins=True)) == ["call", "sync", "spread", "sync"]
    assert synced(shared_map(), CALL) == ["map", "sync", "call"]


def test_loops_of_all_tiles_begin_and_end_in_step():
    assert synced(loop(spread())) == [["loop", "spread", "sync"]]
    assert synced(CALL, loop(spread(), CALL), CALL) == [
        *("call", "sync"),
        ["loop", "spread", "sync", "call", "sync"],
        "call",
    ]


def test_all_have_read_a_test_before_it_is_written_again():
    assert synced(While((CALL,), TEST, (spread(),))) == [
        ["while", ["call", "sync"], "spread", "sync"],
        "sync",
    ]


def test_all_have_read_an_index_before_a_case_writes():
    assert synced(Branch(TEST, ((CALL,), (spread(),), ()))) == [
        ["branch", ["sync", "call", "sync"], ["sync", "spread", "sync"], ["sync"]]
    ]


@pytest.mark.parametrize("order", itertools.product("CSLM", repeat=4))
def test_no_two_hands_touch_in_one_superstep(order):
    """Whatever the order: tile 0's steps and dealt out ones are never in the same superstep."""
    make = {"C": lambda: CALL, "S": spread, "L": lambda: loop(spread(), CALL), "M": shared_map}
    steps = synchronise([make[kind]() for kind in order])
    owner = ""
    for step in [*steps, SYNC]:
        if isinstance(step, Sync):
            owner = ""
        elif isinstance(step, Loop):
            assert owner == "", "a loop of all tiles begins in step"
        else:
            hand = "all" if is_shared_work(step) else "one"
            assert owner in ("", "one") if hand == "one" else owner == ""
            owner = hand
    assert not is_shared_work(steps[-1]) or isinstance(steps[-1], Loop), "the last is waited for"
