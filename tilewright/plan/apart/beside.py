"""A family's operands over the places that they were brought to, or where they are at home.

In: views of buffers as a program for shared memory has them; the regions that were brought, each
with its place. Out: the same elements as views of placed blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tilewright.plan.again import made_again
from tilewright.plan.apart.touches import Region
from tilewright.plan.ir import Branch, Buffer, Call, Family, Loop, Step, Var, View, While
from tilewright.plan.masked import on_place, unmasked


def beside_view(view: View, region: Region, place: Buffer, family: Family) -> View:
    """The same elements where they were brought to: a block for each instance."""
    steps = region.steps(family.vars)
    assert place.homes is not None
    moving = [var for var in family.vars if var in steps]
    moves = [
        (var, place.block * blocks) for var, blocks in zip(moving, place.homes.steps, strict=True)
    ]
    around = {var for var, _ in region.moves}
    moves += [(var, step) for var, step in view.moves if var not in around]
    if region.box is None:
        return replace(view, buffer=place, offset=view.offset - region.low, moves=tuple(moves))
    return replace(region.box.placed(view, place), moves=tuple(moves))


Placed = Callable[[View], View]
"""A view of a region as it is where that was brought, or where it is at home."""


class Moved:
    """Steps of an instance, over the places that its operands have now."""

    def __init__(
        self,
        canon: Mapping[Buffer, Buffer],
        places: Sequence[tuple[Region, Placed]],
    ):
        self.canon = canon
        self.places: dict[Buffer, list[tuple[Region, Placed]]] = {}
        for region, placed in places:
            self.places.setdefault(region.buffer, []).append((region, placed))

    def steps(self, steps: Sequence[Step], inner: tuple[Var, ...] = ()) -> Iterator[Step]:
        for step in steps:
            match step:
                case Call(codelet, views, source):
                    moved = tuple(self.view(view, inner) for view in views)
                    changed = any(a.strides != b.strides for a, b in zip(views, moved, strict=True))
                    yield Call(made_again(codelet, moved) if changed else codelet, moved, source)
                case Loop(var, _, body):
                    yield replace(step, steps=tuple(self.steps(body, (*inner, var))))
                case While(condition, test, body):
                    yield While(
                        tuple(self.steps(condition, inner)),
                        self.view(test, inner),
                        tuple(self.steps(body, inner)),
                    )
                case Branch(index, cases):
                    bodies = tuple(tuple(self.steps(case, inner)) for case in cases)
                    yield Branch(self.view(index, inner), bodies)
                case _:
                    raise AssertionError(step)

    def view(self, view: View, inner: tuple[Var, ...]) -> View:
        return on_place(view, self._place(unmasked(view), inner))

    def _place(self, view: View, inner: tuple[Var, ...]) -> View:
        if view.buffer.space == "tile":
            return view
        if view.buffer not in self.canon:
            return view
        around = tuple(sorted((v, s) for v, s in summed(view) if v not in inner))
        for region, placed in self.places.get(view.buffer, ()):
            alike = region.whole or region.moves == around
            if alike and region.low <= view.offset < region.high:
                return placed(view)
        return replace(view, buffer=self.canon[view.buffer])


def summed(view: View) -> list[tuple[Var, int]]:
    turns: dict[Var, int] = {}
    for var, step in view.moves:
        turns[var] = turns.get(var, 0) + step
    return [(var, step) for var, step in turns.items() if step]
