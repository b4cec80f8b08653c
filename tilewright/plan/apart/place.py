"""From a program for tiles that share memory to one for tiles that do not: what is at home where.

In: the steps of a lowered graph, before any `Sync`; the machine. Out: the same work as families
with homes, exchanges between them, and syncs. Always: the same vertices, so the same bits.

- Each spread and each map is a family: instance i is at home on tile i // (instances a tile). Work
  of one tile alone is a family of one instance, on tile 0.
- Each buffer has one home: where the family lives that writes it, if that writes whole blocks of
  it; tile 0, if nobody else touches it; else it lies evenly over all tiles.
- A buffer that families have in patches lies in boxes, each with room for a rim (`boxed.py`): of it
  only the rim is brought.
- What is filled with a constant is filled where it lies (`filled.py`).
- What a family touches of a buffer whose home is elsewhere is brought to a place beside it, and
  taken back if it was written. What does not change in a loop is brought before the loop, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tilewright.machine.machine import Machine
from tilewright.plan.apart.beside import Moved, Placed, beside_view
from tilewright.plan.apart.boxed import own_blocks, still_boxed, tilings
from tilewright.plan.apart.distribution import expanded
from tilewright.plan.apart.exchange_syncs import with_syncs
from tilewright.plan.apart.filled import filled_in, filled_of
from tilewright.plan.apart.recut import recut
from tilewright.plan.apart.settle import Settled, Unit, is_unit, may_both_write, placed_buffer
from tilewright.plan.apart.tiling import Tiling
from tilewright.plan.apart.touches import Region
from tilewright.plan.homes import Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Exchange,
    Family,
    Loop,
    Move,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.verify import away


def place(
    steps: Sequence[Step],
    inputs: Sequence[Buffer],
    outputs: Sequence[Buffer],
    machine: Machine,
    even: bool = False,
) -> tuple[Step, ...]:
    """Inputs are brought from the host first, outputs go back to it at the end.

    An input that nobody writes comes straight to where it is wanted, in as many places as it is;
    with `even`, it comes evenly over all tiles, and goes on from there.
    """
    steps = expanded(steps, machine)
    evenly, given = (set(inputs), set()) if even else (set(), set(inputs))
    settled = Settled(machine.tiles, evenly, given)
    settled.note(steps)
    found = tilings(settled, steps)
    if found:
        steps = recut(steps, found)
        settled = Settled(machine.tiles, evenly, given)
        settled.note(steps)
        settled.tilings = still_boxed(settled, found)
    settled.settle(inputs, outputs)
    placer = _Placer(settled, machine.chip.exchange.mesh is not None)
    placer.begin(inputs)
    placer.all(steps)
    placer.end(outputs)
    return with_syncs(placer.frames[0].steps)


@dataclass
class _Frame:
    """A body under way: steps so far, its loop's variable, what it writes, what was brought."""

    written: set[Buffer] = field(default_factory=set)
    var: Var | None = None
    count: int = 0
    is_loop: bool = False
    steps: list[Step] = field(default_factory=list)
    brought: dict[tuple, tuple[Buffer, Buffer]] = field(default_factory=dict)


class _Placer:
    def __init__(self, settled: Settled, card: bool = False):
        self.card = card
        """Whether inputs lie in a memory of the machine, where any turn of a loop may read them."""
        self.units, self.canon, self.users = settled.units, settled.canon, settled.users
        self.tilings = settled.tilings
        self.given = settled.given
        """Inputs that come straight from the host, as long as nobody writes them."""
        self.filled: set[Buffer] = set()
        self.frames = [_Frame()]

    def begin(self, inputs: Sequence[Buffer]) -> None:
        wanted = [b for b in inputs if b.size and self._is_kept(b)]
        self._exchange(self.frames[0], [m for b in wanted for m in self._whole(b, False)])
        self.filled.update(inputs)

    def _is_kept(self, buffer: Buffer) -> bool:
        """Whether something is at home where an input is, or must go on from there."""
        if buffer not in self.given:
            return True
        users = self.users.get(buffer, ())
        around = any(self._turns(unit, region) for unit, region in users)
        return around or any(self._is_direct(unit, region) for unit, region in users)

    def _turns(self, unit: Unit, region: Region) -> bool:
        """Whether a loop around the family moves it."""
        return not self.card and bool({var for var, _ in region.moves} - set(unit.family.vars))

    def end(self, outputs: Sequence[Buffer]) -> None:
        self.given -= set(outputs)
        moves = [move for b in outputs if b.size for move in self._whole(b, True)]
        self._exchange(self.frames[0], moves)

    def _whole(self, buffer: Buffer, back: bool) -> list[Move]:
        tiling = self.tilings.get(buffer)
        if tiling is not None:
            every = View(buffer, tiling.lengths, tiling.strides)
            cuts = tiling.moves(every, every, self.canon[buffer], {})
            return [cut.move(not back) for cut in cuts]
        host, home = (View(b, (buffer.size,), (1,)) for b in (buffer, self.canon[buffer]))
        return [Move(home, host) if back else Move(host, home)]

    def all(self, steps: Sequence[Step]) -> None:
        group: list[Unit] = []
        for step in steps:
            if is_unit(step):
                unit = self.units[id(step)]
                if not _independent(unit, group):
                    self._place(group)
                    group = []
                group.append(unit)
                continue
            self._place(group)
            group = []
            match step:
                case Loop(var, count, body):
                    frame = self._inside(body, var=var, count=count, is_loop=True)
                    self.frames[-1].steps.append(Loop(var, count, tuple(frame.steps)))
                case While(condition, test, body):
                    self._while(condition, test, body)
                case Branch(index, cases):
                    bodies = tuple(tuple(self._inside(case).steps) for case in cases)
                    self.frames[-1].steps.append(Branch(self._at_home(index), bodies))
                case Exchange():
                    self.frames[-1].steps.append(step)
                case _:
                    raise AssertionError(step)
        self._place(group)

    def _while(self, condition: Sequence[Step], test: View, body: Sequence[Step]) -> None:
        """The condition is part of every turn, so both have one frame."""
        frame = self._inside((*condition, *body), is_loop=True, cut=len(condition))
        first, rest = frame.steps[: frame.steps.index(_CUT)], frame.steps
        rest = rest[rest.index(_CUT) + 1 :]
        step = While(tuple(first), self._at_home(test), tuple(rest))
        self.frames[-1].steps.append(step)

    def _inside(
        self,
        steps: Sequence[Step],
        var: Var | None = None,
        count: int = 0,
        is_loop: bool = False,
        cut: int = -1,
    ) -> _Frame:
        written = set(_written(steps, self.units))
        frame = _Frame(written, var, count, is_loop)
        for outer in self.frames:
            _forget(outer, written)
        self.frames.append(frame)
        if cut >= 0:
            self.all(steps[:cut])
            frame.steps.append(_CUT)
        self.all(steps[max(cut, 0) :])
        self.frames.pop()
        return frame

    def _at_home(self, view: View) -> View:
        return replace(view, buffer=self.canon[view.buffer])

    def _place(self, group: Sequence[Unit]) -> None:
        """Bring what all need, compute, take back."""
        bring: dict[int, list[Move]] = {}
        back: list[Move] = []
        families = [self._moved(unit, bring, back) for unit in group]
        for depth, moves in bring.items():
            self._exchange(self.frames[depth], moves)
        for family in families:
            self._append(family)
        self._exchange(self.frames[-1], back)
        written = {buffer for unit in group for buffer in unit.written}
        self.filled |= written
        for frame in self.frames:
            _forget(frame, written)

    def _moved(self, unit: Unit, bring: dict[int, list[Move]], back: list[Move]) -> Family:
        """The family over the places of its operands; what must be brought and taken back."""
        filled = filled_of(unit.family)
        if filled is not None:
            return filled_in(self.canon[filled], unit.family)
        places: list[tuple[Region, Placed]] = []
        for region in (region for found in unit.touched.values() for region in found):
            depth = self._depth(region)
            tiling = self.tilings.get(region.buffer)
            own = own_blocks(tiling, unit, region) if tiling else None
            if tiling and own is not None:
                places.append((region, self._in_block(unit, region, tiling, own)))
                rim = self._rim(unit, region, tiling, own, depth)
                bring.setdefault(depth, []).extend(rim)
                continue
            if tiling is None and self._is_direct(unit, region):
                continue
            place, moves = self._beside(unit, region, depth)
            places.append((region, partial(beside_view, region=region, place=place,
                                           family=unit.family)))  # fmt: skip
            bring.setdefault(depth, []).extend(moves)
            back += [m for v in region.written for m in self._moves(unit, region, place, v, True)]
        moved = Moved(self.canon, places)
        steps = tuple(moved.steps(unit.family.steps))
        return replace(unit.family, steps=steps, whole=None)

    def _in_block(self, unit: Unit, region: Region, tiling: Tiling, own: tuple[int, ...]) -> Placed:
        home = self.canon[region.buffer]

        def placed(view: View) -> View:
            spans = tiling.spans(view, unit.counts)
            assert spans is not None
            return tiling.at_home(view, spans, own, home)

        return placed

    def _rim(
        self, unit: Unit, region: Region, tiling: Tiling, own: tuple[int, ...], depth: int
    ) -> list[Move]:
        """What others have of what lies around its blocks, unless it was brought there."""
        key = ("rim", region.buffer, tuple(region.read), region.left, unit.family.homes)
        if any(key in frame.brought for frame in self.frames[: depth + 1]):
            return []
        home, found = self.canon[region.buffer], []
        placed = self._in_block(unit, region, tiling, own)
        for view in region.needed:
            cuts = tiling.moves(view, placed(view), home, unit.counts)
            found += [cut.move(False) for cut in cuts if not cut.is_own(own)]
        self.frames[depth].brought[key] = home, region.buffer
        return found

    def _append(self, family: Family) -> None:
        """Work of one tile goes on in the family before it."""
        steps = self.frames[-1].steps
        last = steps[-1] if steps else None
        alone = isinstance(last, Family) and not last.vars and not family.vars
        if isinstance(last, Family) and alone and last.homes == family.homes:
            steps[-1] = replace(last, steps=(*last.steps, *family.steps))
            return
        steps.append(family)

    def _is_direct(self, unit: Unit, region: Region) -> bool:
        """Whether the family is at home where the region is."""
        home = self.canon[region.buffer]
        if home.homes == unit.family.homes == Homes():
            return True
        span = View(home, (region.high - region.low,), (1,), region.low, region.moves)
        loops = {frame.var: frame.count for frame in self.frames if frame.var is not None}
        return not away(span, unit.family, loops)

    def _depth(self, region: Region) -> int:
        """The outermost frame in which what is brought is the same in every turn."""
        depth = len(self.frames) - 1
        if region.written:
            return depth
        turning = {var for var, _ in region.moves}
        while depth and (frame := self.frames[depth]).is_loop:
            if region.buffer in frame.written or frame.var in turning:
                break
            depth -= 1
        return depth

    def _beside(self, unit: Unit, region: Region, depth: int) -> tuple[Buffer, list[Move]]:
        """A place for the region beside the family, and what must be brought there."""
        kept = region.unsure if region.buffer in self.filled else ()
        needed = dict.fromkeys((*region.needed, *kept))
        moving, span = _by_axis(unit, region), (region.low, region.high)
        key = (
            region.buffer,
            tuple(region.read),
            moving,
            unit.family.homes,
            span,
            region.box,
            region.left,
        )
        if not region.written:
            for frame in self.frames[: depth + 1]:
                if key in frame.brought:
                    return frame.brought[key][0], []
        place = placed_buffer(region.buffer.dtype, region.size, self._homes(unit, region))
        if not region.written:
            self.frames[depth].brought[key] = place, region.buffer
        return place, [m for v in needed for m in self._moves(unit, region, place, v, False)]

    def _homes(self, unit: Unit, region: Region) -> Homes:
        """A block for each instance that has one of its own; a copy for each tile otherwise."""
        steps, homes = region.steps(unit.family.vars), unit.family.homes
        pairs = list(zip(unit.family.vars, homes.axes, strict=True))
        axes = tuple(axis for var, axis in pairs if var in steps)
        copies = tuple((a.tiles, a.stride) for var, a in pairs if var not in steps and a.tiles > 1)
        return Homes(homes.first, axes, copies)

    def _moves(
        self, unit: Unit, region: Region, place: Buffer, view: View, back: bool
    ) -> list[Move]:
        steps = region.steps(unit.family.vars)
        straight = region.buffer in self.given and not self._turns(unit, region)
        near = beside_view(view, region, place, unit.family)
        tiling = self.tilings.get(region.buffer)
        if tiling is not None:
            cuts = tiling.moves(view, near, self.canon[region.buffer], unit.counts)
            return [cut.move(back) for cut in cuts]
        far = view if straight else replace(view, buffer=self.canon[region.buffer])
        vars = tuple(var for var in unit.family.vars if var in steps)
        counts = tuple(unit.counts[var] for var in vars)
        ends = (near, far) if back else (far, near)
        return [Move(ends[0], ends[1], vars, counts)]

    def _exchange(self, frame: _Frame, moves: Sequence[Move]) -> None:
        """With the one before it, if that brings nothing that this one passes on."""
        if not moves:
            return
        last = frame.steps[-1] if frame.steps else None
        if isinstance(last, Exchange):
            fresh = {move.target.buffer for move in last.moves}
            if not any({m.source.buffer, m.target.buffer} & fresh for m in moves):
                frame.steps[-1] = Exchange((*last.moves, *moves))
                return
        frame.steps.append(Exchange(tuple(moves)))


_CUT = Sync("cut")
"""Where a while loop's condition ends; never left in a program."""


def _forget(frame: _Frame, written: set[Buffer]) -> None:
    stale = [key for key, (_, source) in frame.brought.items() if source in written]
    for key in stale:
        del frame.brought[key]


def _independent(unit: Unit, group: Sequence[Unit]) -> bool:
    """Whether it reads nothing that the group writes, the other way round, and nothing of what
    they write is written twice. What one vertex was cut into is: each has its own elements."""
    whole = unit.family.whole
    others = [other for other in group if whole is None or other.family.whole is not whole]
    read = {buffer for other in others for buffer in other.read}
    written = {buffer for other in others for buffer in other.written}
    if unit.read & written or unit.written & read:
        return False
    return not any(may_both_write(unit, other) for other in others)


def _written(steps: Sequence[Step], units: dict[int, Unit]) -> Iterator[Buffer]:
    for step in steps:
        if is_unit(step):
            for buffer, found in units[id(step)].touched.items():
                if any(region.written for region in found):
                    yield buffer
            continue
        match step:
            case Loop(_, _, body):
                yield from _written(body, units)
            case While(condition, _, body):
                yield from _written((*condition, *body), units)
            case Branch(_, cases):
                for case in cases:
                    yield from _written(case, units)


def _by_axis(unit: Unit, region: Region) -> tuple[tuple[int, int], ...]:
    """What moves a region: (which of the family's axes, by how much), loops around by number."""
    axis_of = {var: -1 - number for number, var in enumerate(unit.family.vars)}
    return tuple((axis_of.get(var, var), step) for var, step in region.moves)
