"""The user's line that each vertex comes from: for reports and messages, never for what is done.

In: steps that were just lowered, and the line. Out: the same steps; a call that has a line keeps
it, so that bodies, which are lowered first, have their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tilewright.plan.ir import (
    Branch,
    Call,
    Family,
    Loop,
    Map,
    Pipeline,
    Replicas,
    Spread,
    Step,
    While,
)


def sourced(steps: Sequence[Step], source: str) -> list[Step]:
    return [_sourced(step, source) for step in steps] if source else list(steps)


def _sourced(step: Step, source: str) -> Step:
    match step:
        case Call():
            return step if step.source else replace(step, source=source)
        case Loop() | Spread() | Map() | Family():
            return replace(step, steps=tuple(sourced(step.steps, source)))
        case While(condition, _, body):
            first, rest = (tuple(sourced(some, source)) for some in (condition, body))
            return replace(step, condition=first, steps=rest)
        case Branch(_, cases):
            return replace(step, cases=tuple(tuple(sourced(case, source)) for case in cases))
    return step


def calls_of(steps: Sequence[Step]) -> Iterator[Call]:
    """All, in order, at any depth."""
    for step in steps:
        match step:
            case Call():
                yield step
            case Loop() | Spread() | Map() | Family() | Replicas():
                yield from calls_of(step.steps)
            case While(condition, _, body):
                yield from calls_of((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from calls_of(case)
            case Pipeline():
                for part in step.parts:
                    yield from calls_of(part)
