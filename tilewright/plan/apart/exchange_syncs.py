"""Where tiles that share no memory must wait for each other: before an exchange.

An exchange goes at times fixed beforehand, so that its end needs no `Sync`; its beginning does,
where vertices have computed since the exchange before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.plan.ir import Branch, Exchange, Family, Loop, Step, Sync, While


def with_syncs(steps: Sequence[Step]) -> tuple[Step, ...]:
    """A sync before each exchange that follows vertices: in the steps before it, or a turn ago."""
    return tuple(_synced(steps, False)[0])


def _synced(steps: Sequence[Step], computed: bool) -> tuple[list[Step], bool]:
    found: list[Step] = []
    for step in steps:
        match step:
            case Family():
                computed = True
                found.append(step)
            case Exchange():
                found += [Sync(), step] if computed else [step]
                computed = False
            case Loop(_, _, body):
                inside, after = _synced(body, computed or _computes(body))
                found.append(replace(step, steps=tuple(inside)))
                computed = after or computed
            case While(condition, test, body):
                before = computed or _computes((*condition, *body))
                first, middle = _synced(condition, before)
                rest, after = _synced(body, middle)
                found.append(While(tuple(first), test, tuple(rest)))
                computed = after or middle
            case Branch(index, cases):
                bodies = [_synced(case, computed) for case in cases]
                found.append(Branch(index, tuple(tuple(body) for body, _ in bodies)))
                computed = any(after for _, after in bodies) or (computed and not bodies)
            case _:
                raise AssertionError(step)
    return found, computed


def _computes(steps: Sequence[Step]) -> bool:
    return any(
        isinstance(step, Family)
        or (isinstance(step, Loop) and _computes(step.steps))
        or (isinstance(step, While) and _computes((*step.condition, *step.steps)))
        or (isinstance(step, Branch) and any(map(_computes, step.cases)))
        for step in steps
    )
