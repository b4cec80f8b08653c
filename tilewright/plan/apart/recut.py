"""Elementwise work on a buffer that has homes by boxes, cut where its blocks end.

In: steps, `Tiling`s by buffer (`boxed.py`). Out: the same steps, but that what one elementwise
vertex was cut into, wherever that was, is now an instance for each block: so it stays where the
buffer is. Always: the same elements by the same expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product as every
from math import prod

from tilewright.codelets.elementwise import Elementwise
from tilewright.frozen import frozen
from tilewright.plan.apart.grid import Run, block
from tilewright.plan.apart.settle import is_unit
from tilewright.plan.apart.tiling import Span, Tiling
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Family,
    Loop,
    Spread,
    Step,
    View,
    While,
    dense_strides,
    new_var,
)
from tilewright.plan.masked import unmasked


def recut(steps: Sequence[Step], found: Mapping[Buffer, Tiling]) -> tuple[Step, ...]:
    """Work on all of a buffer, cut as that is; all else as it was."""
    new: list[Step] = []
    for group in groups_here(steps):
        call = whole_of(group)
        work = work_of(call, found) if call else None
        if work:
            new += _by_blocks(work, _source(group[0]))
            continue
        for step in group:
            match step:
                case _ if is_unit(step):
                    new.append(step)
                case Loop(_, _, body):
                    new.append(replace(step, steps=recut(body, found)))
                case While(condition, test, body):
                    new.append(While(recut(condition, found), test, recut(body, found)))
                case Branch(index, cases):
                    new.append(Branch(index, tuple(recut(case, found) for case in cases)))
                case _:
                    new.append(step)
    return tuple(new)


def _source(step: Step) -> str:
    calls = step.steps if isinstance(step, Spread | Family) else (step,)
    return next((call.source for call in calls if isinstance(call, Call)), "")


def groups_here(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """What one vertex was cut into; any other step alone."""
    group: list[Step] = []
    for step in steps:
        if group and not _is_beside(group[-1], step):
            yield group
            group = []
        group.append(step)
    if group:
        yield group


def _is_beside(one: Step, other: Step) -> bool:
    if isinstance(one, Family) and isinstance(other, Family):
        return one.whole is not None and one.whole is other.whole
    return isinstance(other, Spread) and other.joins


def groups(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """In bodies, too."""
    for group in groups_here(steps):
        yield group
        for step in group:
            match step:
                case _ if is_unit(step):
                    pass
                case Loop(_, _, body):
                    yield from groups(body)
                case While(condition, _, body):
                    yield from groups((*condition, *body))
                case Branch(_, cases):
                    for case in cases:
                        yield from groups(case)


def whole_of(group: Sequence[Step]) -> Call | None:
    """The elementwise vertex that a group was cut from, or is."""
    first = group[0]
    call = first.whole if isinstance(first, Spread | Family) else first
    if not isinstance(call, Call) or not isinstance(call.codelet, Elementwise):
        return None
    if any(step.op == "iota" for step in call.codelet.expression.instructions):
        return None  # it asks where it is
    return None if any(unmasked(view).moves for view in call.views) else call


@frozen
class Work:
    """A vertex over a box of a tiling: its operands along its dimensions, and where they begin."""

    call: Call
    tiling: Tiling
    starts: tuple[int, ...]
    views: tuple[View, ...]


def work_of(call: Call, found: Mapping[Buffer, Tiling]) -> Work | None:
    """Over a box of the first of its results that has a tiling; else all of what it reads."""
    count = len(call.codelet.inputs)
    for number in (*range(count, len(call.views)), *range(count)):
        view = unmasked(call.views[number])
        tiling = found.get(view.buffer)
        if tiling is None:
            continue
        line = view.shape == (prod(tiling.lengths),) and view.strides == (1,) and not view.offset
        spans = _all_of(tiling) if line else tiling.spans(view, {})
        if spans is None or (number < count and view.size != prod(tiling.lengths)):
            continue
        shape = tuple(span.length for span in spans)
        sides = [_along_dimensions(side, view, tiling, shape) for side in call.views]
        known = tuple(side for side in sides if side is not None)
        if len(known) == len(sides):
            return Work(call, tiling, tuple(span.start for span in spans), known)
    return None


def _all_of(tiling: Tiling) -> tuple[Span, ...]:
    return tuple(Span(0, length) for length in tiling.lengths)


def _along_dimensions(
    side: View, like: View, tiling: Tiling, shape: tuple[int, ...]
) -> View | None:
    """An operand over the dimensions of a tiling, which `like` lies along."""
    if len(side.shape) == 1 == len(like.shape) and shape == tiling.lengths:
        (step,) = side.strides
        return replace(side, shape=shape, strides=tuple(step * s for s in dense_strides(shape)))
    pairs = zip(like.shape, like.strides, side.strides, strict=True)
    steps = {across: own for n, across, own in pairs if n > 1}
    if not set(steps) <= set(tiling.strides):
        return None
    return replace(side, shape=shape, strides=tuple(steps.get(s, 0) for s in tiling.strides))


def _by_blocks(work: Work, source: str) -> Iterator[Family]:
    """A family for each combination of blocks that have as much of it."""
    call, tiling = work.call, work.tiling
    assert isinstance(call.codelet, Elementwise)
    shape = work.views[0].shape
    along = [_owned_runs(tiling, *row) for row in enumerate(zip(work.starts, shape, strict=True))]
    for runs in every(*along):
        vars, sides = tuple(new_var() for _ in runs), list(work.views)
        for axis, (run, var) in enumerate(zip(runs, vars, strict=True)):
            sides = [block(side, axis, run, var) for side in sides]
        sides = _without_single(sides)
        count, strides = len(call.codelet.inputs), [side.strides for side in sides]
        codelet = replace(
            call.codelet, shape=sides[0].shape,
            input_strides=tuple(strides[:count]), output_strides=tuple(strides[count:]),
        )  # fmt: skip
        first = tiling.first + sum(r.block * a for r, a in zip(runs, tiling.apart, strict=True))
        axes = tuple(Axis(r.count, 1, a) for r, a in zip(runs, tiling.apart, strict=True))
        made = Call(codelet, tuple(sides), source)
        counts = tuple(run.count for run in runs)
        yield Family(vars, counts, Homes(first, axes), (made,), call)


def _without_single(sides: Sequence[View]) -> list[View]:
    """Views of one shape without its dimensions of one element: what is left last has the lanes."""
    shape = sides[0].shape
    kept = [axis for axis, n in enumerate(shape) if n > 1] or [len(shape) - 1]
    return [
        replace(
            side, shape=tuple(shape[axis] for axis in kept),
            strides=tuple(side.strides[axis] for axis in kept),
        )
        for side in sides
    ]  # fmt: skip


def _owned_runs(tiling: Tiling, axis: int, part: tuple[int, int]) -> list[Run]:
    """Of so many coordinates from one on, what blocks own: of one size, one behind the other."""
    start, length = part
    found: list[Run] = []
    for number in range(tiling.counts[axis]):
        low, high = tiling.owned(axis, number)
        low, high = max(low, start), min(high, start + length)
        if low >= high:
            continue
        if found and found[-1].size == high - low:
            found[-1] = replace(found[-1], count=found[-1].count + 1)
        else:
            found.append(Run(number, 1, high - low, low - start))
    return found
