"""What the instances of a family touch of each buffer: regions that can be brought and taken back.

In: the steps of an instance, its family's variables. Out: `Region`s. A region is a range of a
buffer's elements that an instance reads or writes, [low, high) but for what moves it; two regions
of an instance have no element in common, unless nobody writes either. All else moves them: the
family's own variables, by instance, and loops around the family, by turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tilewright.frozen import frozen
from tilewright.plan.apart.boxes import Box, box_around, that_meet
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Step, Var, View, While
from tilewright.plan.masked import left, unmasked

Moves = tuple[tuple[Var, int], ...]

ROOMIER = 1.5
"""Times all elements from the first to the last that a box around several views may have: of some
rows of an image and those around them it has the corners as well."""


@frozen
class Access:
    """A view with an instance's own loops as further dimensions, in elements of its buffer.

    `moves` are of the family and of loops around it. `sure`: it happens in every instance.
    """

    view: View
    writes: bool
    sure: bool
    along: tuple[int, ...] = ()
    """Strides of dimensions that have one element here, as blocks of one row do."""
    left: tuple[View, ...] | None = None
    """What a mask leaves of what is read; None: all of it."""

    @property
    def low(self) -> int:
        return _span(self.view)[0]

    @property
    def high(self) -> int:
        return _span(self.view)[1]


@dataclass
class Region:
    """`read` must be brought first, `written` is taken back; both are views of `buffer`."""

    buffer: Buffer
    moves: Moves
    low: int
    high: int
    read: list[View] = field(default_factory=list)
    written: list[View] = field(default_factory=list)
    unsure: list[View] = field(default_factory=list)
    """Of those written, the ones that keep what was there before in some instance."""
    whole: bool = False
    """All of the buffer, whatever moves views on it: for an instance that is the only one."""
    along: dict[int, None] = field(default_factory=dict)
    """Strides of dimensions in which a view has one element."""
    left: tuple[View, ...] | None = None
    """All that must be brought of it, if that is less than what is read: the rest is masked."""
    box: Box | None = None
    """Brought without the gaps between its elements: the codelets are made again for that."""

    @property
    def views(self) -> set[View]:
        return {*self.read, *self.written, *self.unsure}

    @property
    def size(self) -> int:
        """Elements of the place that it is brought to."""
        return self.box.size if self.box else self.high - self.low

    @property
    def needed(self) -> list[View]:
        """What must be brought of it; where views meet, each element once."""
        if self.left is not None:
            return list(self.left)
        if self.box and self.read:
            return self.box.pieces(self.read)
        found: list[View] = []
        for group in that_meet(self.read):
            box = box_around(group, tuple(self.along)) if len(group) > 1 else None
            if len(group) > 1 and box is None:
                break
            found += box.pieces(group) if box else group
        else:
            return found
        return [View(self.buffer, (self.high - self.low,), (1,), self.low, self.moves)]

    def settle_box(self) -> None:
        """For codelets that can be made again: of several views only where nobody writes."""
        views = list(dict.fromkeys((*self.read, *self.written, *self.unsure)))
        if len(views) > 1 and (self.written or self.unsure):
            return
        box = box_around(views, tuple(self.along) if len(views) > 1 else ())
        if box is not None and (len(views) == 1 or box.size <= ROOMIER * (self.high - self.low)):
            self.box = box

    def steps(self, vars: Sequence[Var]) -> dict[Var, int]:
        """How far each of some variables moves it."""
        return {var: step for var, step in self.moves if var in vars and step}


class SharedWriteError(Exception):
    """Instances write elements that others touch, so that no cut gives each its own."""


def regions(steps: Sequence[Step], vars: Mapping[Var, int]) -> dict[Buffer, list[Region]]:
    """By buffer; scratch memory of the instance is left out. `vars` with their counts.

    Raises `SharedWriteError` where what one instance writes cannot be told from what others touch.
    """
    found: dict[Buffer, list[Access]] = {}
    for access in accesses(steps, {}, True):
        if access.view.buffer.space not in ("tile", "home", "pattern") and access.view.size:
            found.setdefault(access.view.buffer, []).append(access)
    return {buffer: list(_regions(buffer, rows, vars)) for buffer, rows in found.items()}


def accesses(steps: Iterable[Step], inner: Mapping[Var, int], sure: bool) -> Iterator[Access]:
    """In order; an output that is updated is read first."""
    for step in steps:
        match step:
            case Call(codelet, views):
                count = len(codelet.inputs)
                kept = [count + position for position in codelet.in_place]
                for position in (*range(count), *kept):
                    yield _access(views[position], False, sure, inner)
                for view in views[count:]:
                    yield _access(view, True, sure, inner)
            case Loop(var, count, body):
                yield from accesses(body, {**inner, var: count}, sure and count > 0)
            case While(condition, test, body):
                yield from accesses(condition, inner, sure)
                yield _access(test, False, sure, inner)
                yield from accesses(body, inner, False)
            case Branch(index, cases):
                yield _access(index, False, sure, inner)
                for case in cases:
                    yield from accesses(case, inner, False)
            case _:
                raise AssertionError(f"{step} inside one tile's share")


def _access(view: View, writes: bool, sure: bool, inner: Mapping[Var, int]) -> Access:
    """Dimensions that repeat elements are dropped; loops of the instance become dimensions. A mask
    asks for nothing: what it hides is touched as if it were not there."""
    some = None if writes else left(view)
    if some is not None:
        some = tuple(_access(window, False, sure, inner).view for window in some)
    view = unmasked(view)
    own = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n > 1 and s]
    turns: dict[Var, int] = {}
    for var, step in view.moves:
        turns[var] = turns.get(var, 0) + step
    own += [(inner[var], step) for var, step in turns.items() if inner.get(var, 1) > 1 and step]
    moves = tuple(sorted((var, step) for var, step in turns.items() if var not in inner and step))
    empty = view.size == 0 or 0 in inner.values()
    shape, strides = zip(*own, strict=True) if own else ((), ())
    whole = replace(view, shape=(0,) if empty else shape, strides=(1,) if empty else strides)
    along = tuple(abs(s) for n, s in zip(view.shape, view.strides, strict=True) if n == 1 and s)
    return Access(replace(whole, moves=moves), writes, sure, along, some)


def _regions(buffer: Buffer, rows: Sequence[Access], vars: Mapping[Var, int]) -> Iterator[Region]:
    """Accesses that move alike and meet are one region."""
    kinds: dict[Moves, list[Access]] = {}
    for access in rows:
        kinds.setdefault(access.view.moves, []).append(access)
    written = any(access.writes for access in rows)
    if written and len(kinds) > 1 and not any(count > 1 for count in vars.values()):
        every = View(buffer, (buffer.size,), (1,))
        yield Region(buffer, (), 0, buffer.size, [], [every], [every], whole=True)
        return
    if written and len(kinds) > 1:
        raise SharedWriteError(f"buffer {buffer.id} is written and moves in several ways")
    for moves, alike in kinds.items():
        for group in _meeting(alike):
            region = Region(
                buffer, moves, min(a.low for a in group), max(a.high for a in group)
            )  # fmt: skip
            region.along = dict.fromkeys(step for access in group for step in access.along)
            _sort(region, group)
            _join_written(region)
            some = {access.left for access in group}
            region.left = some.pop() if len(some) == 1 else None
            if region.written and not _apart(region, vars):
                raise SharedWriteError(f"instances share what they write of buffer {buffer.id}")
            yield region


def _meeting(rows: Sequence[Access]) -> Iterator[list[Access]]:
    """Groups whose ranges meet, each in the order of the steps."""
    order = {id(access): number for number, access in enumerate(rows)}
    group: list[Access] = []
    end = 0
    for access in sorted(rows, key=lambda a: a.low):
        if group and access.low >= end:
            yield sorted(group, key=lambda a: order[id(a)])
            group = []
        end = max(end, access.high) if group else access.high
        group.append(access)
    if group:
        yield sorted(group, key=lambda a: order[id(a)])


def _sort(region: Region, group: Sequence[Access]) -> None:
    """What is read before the instance itself has written all of it; what it writes at all."""
    for access in group:
        if access.writes:
            known = region.written
            if not access.sure and access.view not in region.written:
                region.unsure.append(access.view)
        elif access.view in region.written and access.view not in region.unsure:
            continue
        else:
            known = region.read
        if access.view not in known:
            known.append(access.view)


def _join_written(region: Region) -> None:
    """Views that meet are taken back as one: all between the first and the last element."""
    spans = sorted(_span(view) for view in region.written)
    if any(low < end for (_, end), (low, _) in pairwise(spans)):
        low, end = spans[0][0], max(end for _, end in spans)
        every = View(region.buffer, (end - low,), (1,), low, region.moves)
        full = any(_span(v) == (low, end) and v.size == end - low for v in region.written)
        region.written = [every]
        region.unsure = [] if full and not region.unsure else [every]


def _span(view: View) -> tuple[int, int]:
    reach = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
    return view.offset + low, view.offset + high + 1


def _apart(region: Region, vars: Mapping[Var, int]) -> bool:
    """Whether no two instances have an element of the region in common, written or read."""
    steps = region.steps(list(vars))
    many = {var: count for var, count in vars.items() if count > 1}
    if set(many) - set(steps):
        return False
    between = sorted((abs(steps[var]), count) for var, count in many.items())
    span = region.high - region.low - 1
    for step, count in between:
        if step <= span:
            return _strided_apart(region, between)
        span += (count - 1) * step
    return True


def _strided_apart(region: Region, between: Sequence[tuple[int, int]]) -> bool:
    """Where instances interleave: each view by itself, all dimensions nested."""
    if len({*region.written, *region.read}) > 1:
        return False
    (view, *_) = region.written
    own = [(abs(s), n) for n, s in zip(view.shape, view.strides, strict=True)]
    span = 0
    for step, count in sorted([*between, *own]):
        if step <= span:
            return False
        span += (count - 1) * step
    return True
