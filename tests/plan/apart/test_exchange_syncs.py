"""Tiles that share no memory wait before an exchange that follows vertices, and nowhere else."""

from tests.simulate.programs import plus
from tilewright.plan.apart.exchange_syncs import with_syncs
from tilewright.plan.homes import Homes
from tilewright.plan.ir import Branch, Buffer, Exchange, Family, Loop, Sync, View, While, new_var

VIEW = View(Buffer("bool", 1, "shared"), (), ())
WORK = Family((new_var(),), (2,), Homes(), (plus([VIEW], VIEW),))
SEND = Exchange(())


def loop(*steps):
    return Loop(new_var(), 3, steps)


def names(steps):
    found = []
    for step in steps:
        match step:
            case Loop():
                found.append(["loop", *names(step.steps)])
            case While():
                found.append(["while", names(step.condition), *names(step.steps)])
            case Branch():
                found.append(["branch", *map(names, step.cases)])
            case _:
                found.append({Family: "work", Exchange: "send", Sync: "sync"}[type(step)])
    return found


def synced(*steps):
    return names(with_syncs(steps))


def test_once_after_vertices():
    assert synced(SEND, SEND) == ["send", "send"]
    assert synced(WORK, WORK, SEND, SEND) == ["work", "work", "sync", "send", "send"]
    assert synced(WORK, SEND, WORK, SEND) == ["work", "sync", "send", "work", "sync", "send"]


def test_a_turn_ago_counts():
    assert synced(loop(SEND, WORK)) == [["loop", "sync", "send", "work"]]
    assert synced(loop(SEND)) == [["loop", "send"]]
    assert synced(loop(WORK), SEND) == [["loop", "work"], "sync", "send"]
    assert synced(loop(loop(SEND), loop(WORK))) == [
        ["loop", ["loop", "sync", "send"], ["loop", "work"]]
    ]


def test_conditions_are_before_bodies_and_after_them():
    assert synced(While((SEND,), VIEW, (WORK,)), SEND) == [
        ["while", ["sync", "send"], "work"],
        "sync",
        "send",
    ]
    assert synced(While((WORK,), VIEW, (SEND,))) == [["while", ["work"], "sync", "send"]]


def test_what_one_case_does_may_have_been_done():
    assert synced(Branch(VIEW, ((WORK,), ())), SEND) == [["branch", ["work"], []], "sync", "send"]
    assert synced(WORK, Branch(VIEW, ((SEND,), (SEND,))), SEND) == [
        "work",
        ["branch", ["sync", "send"], ["sync", "send"]],
        "send",
    ]
