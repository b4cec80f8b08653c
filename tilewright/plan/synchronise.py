"""Where the tiles must wait for each other.

Calls outside of `Spread` and `Map` are tile 0's; so whenever work changes hands, from tile 0 to all
or back, there is a `Sync`. Loops and branches without any spread work are tile 0's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.plan.ir import Branch, Family, Loop, Map, Spread, Step, Sync, While


def synchronise(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps with every `Sync` they need; the last one if all tiles worked last."""
    result, dirty = _in_order(steps)
    if dirty == "all":
        result.append(Sync())
    return tuple(result)


def is_shared_work(step: Step) -> bool:
    """Whether tiles other than 0 take part."""
    match step:
        case Spread() | Map() | Family():
            return True
        case Loop(_, _, steps):
            return any(map(is_shared_work, steps))
        case While(condition, _, steps):
            return any(map(is_shared_work, (*condition, *steps)))
        case Branch(_, cases):
            return any(is_shared_work(step) for case in cases for step in case)
    return False


def _in_order(steps: Sequence[Step]) -> tuple[list[Step], str]:
    """Steps with syncs between, and who wrote since the last: "" nobody, "one" tile 0, or "all"."""
    result: list[Step] = []
    dirty = ""
    for step in steps:
        shared = is_shared_work(step)
        joins = isinstance(step, Spread) and step.joins and dirty == "all"
        if (dirty == "all" and not joins) or (dirty == "one" and shared):
            result.append(Sync())
            dirty = ""
        if not shared:
            result.append(step)
            dirty = "one"
        elif isinstance(step, Spread | Map):
            result.append(step)
            dirty = "all"
        else:
            result.append(_control(step))
            dirty = ""
            if isinstance(step, While):
                result.append(Sync())
    return result, dirty


def _control(step: Step) -> Step:
    """Loops and branches in which all tiles take part; each body begins and ends in step.

    All have read a branch's index before a case may write over it, and a loop's last test likewise.
    """
    if isinstance(step, Loop):
        return replace(step, steps=_closed(step.steps))
    if isinstance(step, While):
        condition, body = _closed(step.condition), _closed(step.steps)
        return replace(step, condition=condition, steps=body)
    assert isinstance(step, Branch)
    return replace(step, cases=tuple((Sync(), *_closed(case)) for case in step.cases))


def _closed(steps: Sequence[Step]) -> tuple[Step, ...]:
    result, dirty = _in_order(steps)
    return (*result, Sync()) if dirty else tuple(result)
