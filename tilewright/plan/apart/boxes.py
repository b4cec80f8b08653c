"""Boxes: what several views of a buffer touch together, without the rows around them.

In: views of one buffer that move alike. Out: `Box`, the least that holds them in the coordinates of
their strides (rows, columns, channels, ...), or None where they have none in common. A place for a
box has its elements alone, one after the other; `pieces` are boxes that have all elements of some
views, none twice: nine shifted views of a patch are the patch and its rim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd, prod

from tilewright.frozen import frozen
from tilewright.plan.ir import Buffer, Var, View, dense_strides

Range = tuple[int, int]
"""Along one coordinate: the first, and the first that is none."""


@frozen
class Box:
    """`strides` of the buffer, all positive; coordinates count from `origin`, an element of it."""

    strides: tuple[int, ...]
    origin: int
    ranges: tuple[Range, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(end - start for start, end in self.ranges)

    @property
    def size(self) -> int:
        return prod(self.shape)

    def placed(self, view: View, place: Buffer) -> View:
        """The elements of a view where all of the box lies dense; without what moves it."""
        inside, ranges = dense_strides(self.shape), self.of(view)
        offset = sum(
            (start - first) * step
            for (start, _), (first, _), step in zip(ranges, self.ranges, inside, strict=True)
        )
        steps = []
        for n, stride in zip(view.shape, view.strides, strict=True):
            step = inside[self.strides.index(abs(stride))] if n > 1 and stride else 0
            steps.append(step if stride > 0 else -step)
            offset += (n - 1) * step if stride < 0 else 0
        return View(place, view.shape, tuple(steps), offset)

    def pieces(self, views: Sequence[View]) -> list[View]:
        """What the views have of the box, in boxes that do not meet."""
        found: list[tuple[Range, ...]] = []
        for view in views:
            fresh = [self.of(view)]
            for known in found:
                fresh = [part for one in fresh for part in _without(one, known)]
            found += fresh
        if sum(prod(end - start for start, end in one) for one in found) == self.size:
            found = [self.ranges]
        return [self._view(ranges, views[0]) for ranges in found]

    def _view(self, ranges: Sequence[Range], like: View) -> View:
        shape = tuple(end - start for start, end in ranges)
        return View(like.buffer, shape, self.strides, self._element(ranges), like.moves)

    def _element(self, ranges: Sequence[Range]) -> int:
        """The buffer's, in the first corner."""
        starts = zip(ranges, self.strides, strict=True)
        return self.origin + sum(start * step for (start, _), step in starts)

    def of(self, view: View) -> tuple[Range, ...]:
        """The coordinates of a view inside the box: the only ones, as strides nest."""
        first, lengths = _first(view), _lengths(view)
        rest, found = first - self._element(self.ranges), {}
        for step in sorted(self.strides, reverse=True):
            found[step], rest = divmod(rest, step)
        assert not rest
        return tuple(
            (low + found[step], low + found[step] + lengths.get(step, 1))
            for (low, _), step in zip(self.ranges, self.strides, strict=True)
        )


def box_around(views: Sequence[View], along: Sequence[int] = ()) -> Box | None:
    """`along`: further strides that may lead from one view to another. None where none do, where
    two dimensions of a view go along one, or where a box would have an element twice.

    Views lie around the first of them, as those of a stencil do, or behind the least, as parts do.
    """
    own = (abs(step) for view in views for step in view.strides if step)
    strides = tuple(dict.fromkeys((*own, *along)))
    found = [
        _box(strides, origin, [_coordinates(strides, origin, view, near) for view in views])
        for origin, near in ((_first(views[0]), True), (min(map(_first, views)), False))
    ]
    return min((box for box in found if box), key=lambda box: box.size, default=None)


def _box(
    strides: tuple[int, ...], origin: int, known: Sequence[Mapping[int, Range] | None]
) -> Box | None:
    ranges, span = [], 0
    for step in strides:
        ends = [found[step] for found in known if found is not None]
        if len(ends) < len(known):
            return None
        ranges.append((min(start for start, _ in ends), max(end for _, end in ends)))
    for step, (start, end) in sorted(zip(strides, ranges, strict=True)):
        if step <= span:
            return None
        span += (end - start - 1) * step
    return Box(strides, origin, tuple(ranges))


def _coordinates(
    strides: Sequence[int], origin: int, view: View, near: bool
) -> dict[int, Range] | None:
    """Those of a view's least element: as near to the origin as can be, or behind it."""
    lengths = _lengths(view)
    rest, found = _first(view) - origin, {}
    for step in sorted(strides, reverse=True):
        first = (2 * rest + step) // (2 * step) if near else rest // step
        found[step] = (first, first + lengths.get(step, 1))
        rest -= first * step
    sides = sum(n > 1 and s != 0 for n, s in zip(view.shape, view.strides, strict=True))
    return None if rest or len(lengths) < sides else found


def _lengths(view: View) -> dict[int, int]:
    """Along each stride that leads to further elements."""
    sides = zip(view.shape, view.strides, strict=True)
    return {abs(step): n for n, step in sides if n > 1 and step}


def _first(view: View) -> int:
    """The least element."""
    sides = zip(view.shape, view.strides, strict=True)
    return view.offset + sum((n - 1) * step for n, step in sides if step < 0)


def _without(one: tuple[Range, ...], other: Sequence[Range]) -> list[tuple[Range, ...]]:
    """Of a box what is not in another, in boxes: before and after it along each coordinate."""
    if any(b <= c or d <= a for (a, b), (c, d) in zip(one, other, strict=True)):
        return [one]
    found, left = [], list(one)
    for axis, ((a, b), (c, d)) in enumerate(zip(one, other, strict=True)):
        for start, end in ((a, min(b, c)), (max(a, d), b)):
            if start < end:
                found.append((*left[:axis], (start, end), *left[axis + 1 :]))
        left[axis] = max(a, c), min(b, d)
    return found


def may_meet(one: View, other: View, along: Sequence[int] = ()) -> bool:
    """Whether two views of a buffer may have an element in common; nothing moves either."""
    if _first(one) + _span(one) <= _first(other) or _first(other) + _span(other) <= _first(one):
        return False
    if (_first(one) - _first(other)) % (gcd(*_lengths(one), *_lengths(other)) or 1):
        return False
    box = box_around([one, other], along)
    if box is None:
        return True
    ranges = zip(box.of(one), box.of(other), strict=True)
    return all(a < d and c < b for (a, b), (c, d) in ranges)


def that_meet(views: Sequence[View]) -> list[list[View]]:
    """In groups: views of different ones have no element in common."""
    found: list[list[View]] = []
    for view in views:
        mine = [group for group in found if any(may_meet(view, other) for other in group)]
        rest = [group for group in found if not any(group is one for one in mine)]
        found = [*rest, [*(other for group in mine for other in group), view]]
    return found


def all_instances(view: View, counts: Mapping[Var, int]) -> View:
    """What all instances of a family touch: blocks that follow each other become longer ones."""
    shape, strides = list(view.shape), list(view.strides)
    for var, step in view.moves:
        count = counts.get(var, 1)
        follows = [i for i, (n, s) in enumerate(zip(shape, strides, strict=True)) if n * s == step]
        if count > 1 and follows:
            shape[follows[0]] *= count
        elif count > 1:
            shape, strides = [*shape, count], [*strides, step]
    moves = tuple(move for move in view.moves if move[0] not in counts)
    return View(view.buffer, tuple(shape), tuple(strides), view.offset, moves)


def _span(view: View) -> int:
    """Elements from the least to the last."""
    sides = zip(view.shape, view.strides, strict=True)
    return 1 + sum((n - 1) * abs(step) for n, step in sides)
