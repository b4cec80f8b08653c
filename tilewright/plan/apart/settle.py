"""Who touches what, and so where each buffer is at home: before any step is placed.

In: steps of a program for tiles that share memory; how many tiles there are. Out: `Settled`: for
each piece of work the family that it becomes, with the regions that it touches, and for each buffer
the blocks that it becomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from tilewright.frozen import frozen
from tilewright.plan.again import KINDS
from tilewright.plan.apart.boxes import all_instances, may_meet
from tilewright.plan.apart.tiling import Tiling
from tilewright.plan.apart.touches import Region, SharedWriteError, regions
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Spread,
    Step,
    Var,
    While,
)
from tilewright.plan.synchronise import is_shared_work


@frozen
class Unit:
    """A family to be, and what its instances touch."""

    family: Family
    touched: dict[Buffer, list[Region]]

    @property
    def counts(self) -> dict[Var, int]:
        return dict(zip(self.family.vars, self.family.counts, strict=True))

    @property
    def written(self) -> set[Buffer]:
        return {b for b, found in self.touched.items() if any(r.written for r in found)}

    @property
    def read(self) -> set[Buffer]:
        return {b for b, found in self.touched.items() if any(r.read or r.unsure for r in found)}


def may_both_write(one: Unit, other: Unit) -> bool:
    """Whether two pieces of work may write the same element, so that one must come after."""
    return any(
        may_meet(all_instances(mine, one.counts), all_instances(theirs, other.counts), along)
        for buffer in one.written & other.written
        for some in one.touched[buffer]
        for others in other.touched[buffer]
        for mine in some.written
        for theirs in others.written
        for along in [(*some.along, *others.along)]
    )


class Share(NamedTuple):
    """How many elements of a buffer an instance has, and how many instances a tile."""

    elements: int
    per_tile: int


@dataclass
class Settled:
    """`units` by the id of their step, `canon` what each buffer becomes; `given` are inputs that
    nobody writes or looks at, `even` those that lie evenly over all tiles."""

    tiles: int
    even: set[Buffer]
    given: set[Buffer]
    units: dict[int, Unit] = field(default_factory=dict)
    canon: dict[Buffer, Buffer] = field(default_factory=dict)
    users: dict[Buffer, list[tuple[Unit, Region]]] = field(default_factory=dict)
    looked_at: set[Buffer] = field(default_factory=set)
    tilings: dict[Buffer, Tiling] = field(default_factory=dict)
    """Of buffers that have homes by boxes (`boxed.py`)."""
    firsts: dict[tuple[Buffer, Share], int] = field(default_factory=dict)
    next_tile: int = 0

    def note(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if is_unit(step):
                unit = self.units[id(step)] = self._unit(step)
                for buffer, found in unit.touched.items():
                    self.users.setdefault(buffer, []).extend((unit, region) for region in found)
                continue
            match step:
                case Loop(_, _, body):
                    self.note(body)
                case While(condition, test, body):
                    self.looked_at.add(test.buffer)
                    self.note((*condition, *body))
                case Branch(index, cases):
                    self.looked_at.add(index.buffer)
                    for case in cases:
                        self.note(case)

    def _unit(self, step: Step) -> Unit:
        if isinstance(step, Family):
            counts = dict(zip(step.vars, step.counts, strict=True))
            return Unit(step, _dense(step, regions(step.steps, counts)))
        if not isinstance(step, Spread | Map):
            return _alone((step,))
        try:
            found = regions(step.steps, {step.var: step.count})
        except SharedWriteError:  # one tile does all of it
            return _alone((Loop(step.var, step.count, step.steps),))
        per_tile = -(-step.count // self.tiles)
        axis = Axis(step.count, per_tile)
        shares = {
            region.buffer: Share(by, per_tile)
            for rows in found.values()
            for region in sorted(rows, key=lambda region: not region.written)
            if (by := region.steps((step.var,)).get(step.var))
        }
        family = Family((step.var,), (step.count,), Homes(self._first(axis, shares), (axis,)),
                        step.steps)  # fmt: skip
        for buffer, share in shares.items():
            self.firsts.setdefault((buffer, share), family.homes.first)
        return Unit(family, _dense(family, found))

    def _first(self, axis: Axis, shares: Mapping[Buffer, Share]) -> int:
        """Where shares of its buffers lie already, else the next tiles that are free."""
        for pair in shares.items():
            first = self.firsts.get(pair, self.tiles)
            if first + axis.tiles <= self.tiles:
                return first
        first = self.next_tile if self.next_tile + axis.tiles <= self.tiles else 0
        self.next_tile = first + axis.tiles
        return first

    def settle(self, inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> None:
        self.given -= {b for unit in self.units.values() for b in unit.written} | self.looked_at
        for buffer in dict.fromkeys((*inputs, *outputs, *self.users)):
            self.canon[buffer] = self._home(buffer)

    def _home(self, buffer: Buffer) -> Buffer:
        users, tiling = self.users.get(buffer, []), self.tilings.get(buffer)
        if tiling is not None:
            return placed_buffer(buffer.dtype, prod(tiling.shape), tiling.homes)
        alone = all(unit.family.homes == Homes() for unit, _ in users)
        if (alone and buffer not in self.even) or buffer.size == 0:
            return placed_buffer(buffer.dtype, max(buffer.size, 1), Homes())
        rows = [found for unit, region in users if (found := self._rows(buffer, unit, region))]
        if rows and buffer not in self.looked_at and buffer not in self.even:
            return max(rows, key=lambda row: row[0])[1]
        share = -(-buffer.size // self.tiles)
        blocks = -(-buffer.size // share)
        return placed_buffer(buffer.dtype, share, Homes(0, (Axis(blocks),)))

    def _rows(self, buffer: Buffer, unit: Unit, region: Region) -> tuple[float, Buffer] | None:
        """(how much it matters, blocks by instance), where instances have whole blocks of it.

        What moves with a loop around the family lies so for each of its turns.
        """
        homes, steps = unit.family.homes, region.steps(unit.family.vars)
        around = [step for var, step in region.moves if var not in steps]
        line = _line(homes, [steps.get(var, 0) for var in unit.family.vars])
        if line is None or len(around) > 1:
            return None
        axis, step = line
        if step <= 0 or region.low < 0 or region.low // step or region.high > step:
            return None
        if len(homes.axes) > 1 and all(view.size < step for view in region.views):
            return None  # a part of each block: others of the grid have the rest
        turn = around[0] if around else -(-buffer.size // step) * step
        if turn < step * axis.extent or turn % step:
            return None
        blocks, turns = turn // step, -(-buffer.size // turn)
        last = homes.first + (blocks - 1) // axis.per_tile
        if last >= self.tiles:
            return None
        axes = (Axis(blocks, axis.per_tile),)
        if turns > 1:
            axes = (Axis(turns, turns), *axes)
        home = placed_buffer(buffer.dtype, step, Homes(homes.first, axes))
        return step * axis.extent * (2.0 if region.written else 1.0), home


def _line(homes: Homes, steps: Sequence[int]) -> tuple[Axis, int] | None:
    """One axis, and how far each block is from the last: of rows of pieces, too, if those nest."""
    found = [(a, s) for a, s in zip(homes.axes, steps, strict=True) if a.extent > 1]
    found = found or list(zip(homes.axes, steps, strict=True))[:1]
    if len(found) == 1 and found[0][0].stride == 1:
        return found[0]
    if len(found) != 2:
        return None
    (outer, down), (inner, along) = found
    nested = outer.stride == inner.extent and down == along * inner.extent
    if not nested or (outer.per_tile, inner.per_tile, inner.stride) != (1, 1, 1):
        return None
    return Axis(outer.extent * inner.extent), along


def _alone(steps: tuple[Step, ...]) -> Unit:
    """Work of tile 0."""
    family = Family((), (), Homes(), steps)
    return Unit(family, _dense(family, regions(steps, {})))


def placed_buffer(dtype: str, block: int, homes: Homes) -> Buffer:
    return Buffer(dtype, block * homes.blocks, "home", homes=homes)


def is_unit(step: Step) -> bool:
    if isinstance(step, Exchange):
        return False
    return isinstance(step, Call | Spread | Map | Family) or not is_shared_work(step)


def _dense(family: Family, found: dict[Buffer, list[Region]]) -> dict[Buffer, list[Region]]:
    """Of a family that is one vertex of a kind that can be made again, for any strides."""
    calls = [step for step in family.steps if isinstance(step, Call)]
    kinds = all(isinstance(call.codelet, KINDS) for call in calls)
    if kinds and len(calls) == len(family.steps):
        for rows in found.values():
            for region in rows:
                region.settle_box()
    return found
