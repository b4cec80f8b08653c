"""From a program for tiles that share memory to one for tiles that do not: what is at home where.

In: the steps of a lowered graph, before any `Sync`; the machine. Out: the same work as families
with homes, exchanges between them, and syncs. Always: the same vertices, so the same bits.

- Each spread and each map is a family: instance i is at home on tile i // (instances a tile). Work
  of one tile alone is a family of one instance, on tile 0.
- Each buffer has one home: where the family lives that writes it, if that writes whole blocks of
  it; tile 0, if nobody else touches it; else it lies evenly over all tiles.
- What a family touches of a buffer whose home is elsewhere is brought to a place beside it, and
  taken back if it was written. What does not change in a loop is brought before the loop, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tilewright.machine.machine import Machine
from tilewright.plan.again import KINDS
from tilewright.plan.beside import Moved, beside_view
from tilewright.plan.distribution import distributed
from tilewright.plan.exchange_syncs import with_syncs
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Move,
    Spread,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.synchronise import is_shared_work
from tilewright.plan.touches import Region, SharedWriteError, regions
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
    placer = _Placer(machine, inputs, even)
    placer.note(steps)
    placer.settle(inputs, outputs)
    placer.begin(inputs)
    placer.all(steps)
    placer.end(outputs)
    return with_syncs(placer.frames[0].steps)


@dataclass(frozen=True)
class _Unit:
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


@dataclass
class _Frame:
    """A body under way: steps so far, its loop's variable, what it writes, what was brought."""

    written: set[Buffer] = field(default_factory=set)
    var: Var | None = None
    is_loop: bool = False
    steps: list[Step] = field(default_factory=list)
    brought: dict[tuple, tuple[Buffer, Buffer]] = field(default_factory=dict)


class _Placer:
    def __init__(self, machine: Machine, inputs: Sequence[Buffer], even: bool):
        self.tiles = machine.tiles
        self.even = set(inputs) if even else set()
        self.given = set() if even else set(inputs)
        """Inputs that come straight from the host, as long as nobody writes them."""
        self.units: dict[int, _Unit] = {}
        self.canon: dict[Buffer, Buffer] = {}
        self.users: dict[Buffer, list[tuple[_Unit, Region]]] = {}
        self.looked_at: set[Buffer] = set()
        self.filled: set[Buffer] = set()
        self.frames = [_Frame()]
        self.next_tile = 0

    # First pass: who touches what.

    def note(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if _is_unit(step):
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

    def _unit(self, step: Step) -> _Unit:
        if isinstance(step, Family):
            counts = dict(zip(step.vars, step.counts, strict=True))
            return _Unit(step, _dense(step, regions(step.steps, counts)))
        if not isinstance(step, Spread | Map):
            return _alone((step,))
        per_tile = -(-step.count // self.tiles)
        joins = isinstance(step, Spread) and step.joins
        first = min(self.next_tile, self.tiles - 1) if joins else 0
        homes = Homes(first, (Axis(step.count, per_tile),))
        if first + homes.axes[0].tiles > self.tiles:
            homes = replace(homes, first=0)
        self.next_tile = homes.first + homes.axes[0].tiles
        family = Family((step.var,), (step.count,), homes, step.steps)
        try:
            return _Unit(family, regions(step.steps, {step.var: step.count}))
        except SharedWriteError:  # one tile does all of it
            return _alone((Loop(step.var, step.count, step.steps),))

    # Second pass: homes.

    def settle(self, inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> None:
        self.given -= {b for unit in self.units.values() for b in unit.written} | self.looked_at
        for buffer in dict.fromkeys((*inputs, *outputs, *self.users)):
            self.canon[buffer] = self._home(buffer)

    def _home(self, buffer: Buffer) -> Buffer:
        users = self.users.get(buffer, [])
        alone = all(unit.family.homes == Homes() for unit, _ in users)
        if (alone and buffer not in self.even) or buffer.size == 0:
            return _home(buffer.dtype, max(buffer.size, 1), Homes())
        rows = [found for unit, region in users if (found := self._rows(buffer, unit, region))]
        if rows and buffer not in self.looked_at and buffer not in self.even:
            return max(rows, key=lambda row: row[0])[1]
        share = -(-buffer.size // self.tiles)
        blocks = -(-buffer.size // share)
        return _home(buffer.dtype, share, Homes(0, (Axis(blocks),)))

    def _rows(self, buffer: Buffer, unit: _Unit, region: Region) -> tuple[float, Buffer] | None:
        """(how much it matters, blocks by instance), where instances have whole blocks of it."""
        homes, steps = unit.family.homes, region.steps(unit.family.vars)
        if len(homes.axes) != 1 or len(steps) != 1 or len(region.moves) != 1:
            return None
        (step,), axis = steps.values(), homes.axes[0]
        if step <= 0 or region.low < 0 or region.low // step or region.high > step:
            return None
        blocks = -(-buffer.size // step)
        last = homes.first + (blocks - 1) // axis.per_tile
        if last >= self.tiles:
            return None
        home = _home(buffer.dtype, step, Homes(homes.first, (Axis(blocks, axis.per_tile),)))
        return step * axis.extent * (2.0 if region.written else 1.0), home

    # Third pass: steps.

    def begin(self, inputs: Sequence[Buffer]) -> None:
        wanted = [b for b in inputs if b.size and self._is_kept(b)]
        self._exchange(self.frames[0], [self._whole(b, False) for b in wanted])
        self.filled.update(inputs)

    def _is_kept(self, buffer: Buffer) -> bool:
        """Whether something is at home where an input is, or must go on from there."""
        if buffer not in self.given:
            return True
        users = self.users.get(buffer, ())
        around = any(self._turns(unit, region) for unit, region in users)
        return around or any(self._is_direct(unit, region) for unit, region in users)

    def _turns(self, unit: _Unit, region: Region) -> bool:
        """Whether a loop around the family moves it."""
        return bool({var for var, _ in region.moves} - set(unit.family.vars))

    def end(self, outputs: Sequence[Buffer]) -> None:
        self.given -= set(outputs)
        self._exchange(self.frames[0], [self._whole(b, True) for b in outputs if b.size])

    def _whole(self, buffer: Buffer, back: bool) -> Move:
        host, home = (View(b, (buffer.size,), (1,)) for b in (buffer, self.canon[buffer]))
        return Move(home, host) if back else Move(host, home)

    def all(self, steps: Sequence[Step]) -> None:
        group: list[_Unit] = []
        for step in steps:
            if _is_unit(step):
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
                    frame = self._inside(body, var=var, is_loop=True)
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
        self, steps: Sequence[Step], var: Var | None = None, is_loop: bool = False, cut: int = -1
    ) -> _Frame:
        written = set(_written(steps, self.units))
        frame = _Frame(written, var, is_loop)
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

    def _place(self, group: Sequence[_Unit]) -> None:
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

    def _moved(self, unit: _Unit, bring: dict[int, list[Move]], back: list[Move]) -> Family:
        """The family over the places of its operands; what must be brought and taken back."""
        beside: dict[tuple[Buffer, int], tuple[Region, Buffer]] = {}
        for buffer, found in unit.touched.items():
            for number, region in enumerate(found):
                if self._is_direct(unit, region):
                    continue
                depth = self._depth(region)
                place, moves = self._beside(unit, region, depth)
                beside[buffer, number] = region, place
                bring.setdefault(depth, []).extend(moves)
                back += [self._move(unit, region, place, view, True) for view in region.written]
        moved = Moved(self.canon, beside, unit.family)
        return replace(unit.family, steps=tuple(moved.steps(unit.family.steps)))

    def _append(self, family: Family) -> None:
        """Work of one tile goes on in the family before it."""
        steps = self.frames[-1].steps
        last = steps[-1] if steps else None
        alone = isinstance(last, Family) and not last.vars and not family.vars
        if isinstance(last, Family) and alone and last.homes == family.homes:
            steps[-1] = replace(last, steps=(*last.steps, *family.steps))
            return
        steps.append(family)

    def _is_direct(self, unit: _Unit, region: Region) -> bool:
        """Whether the family is at home where the region is."""
        home = self.canon[region.buffer]
        if home.homes == unit.family.homes == Homes():
            return True
        span = View(home, (region.high - region.low,), (1,), region.low, region.moves)
        known = set(unit.family.vars)
        return all(v in known for v, _ in region.moves) and not away(span, unit.family, {})

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

    def _beside(self, unit: _Unit, region: Region, depth: int) -> tuple[Buffer, list[Move]]:
        """A place for the region beside the family, and what must be brought there."""
        kept = region.unsure if region.buffer in self.filled else ()
        needed = dict.fromkeys((*region.read, *kept))
        moving, span = _by_axis(unit, region), (region.low, region.high)
        key = (region.buffer, tuple(region.read), moving, unit.family.homes, span, region.dense)
        if not region.written:
            for frame in self.frames[: depth + 1]:
                if key in frame.brought:
                    return frame.brought[key][0], []
        place = _home(region.buffer.dtype, region.size, self._homes(unit, region))
        if not region.written:
            self.frames[depth].brought[key] = place, region.buffer
        return place, [self._move(unit, region, place, view, False) for view in needed]

    def _homes(self, unit: _Unit, region: Region) -> Homes:
        """A block for each instance that has one of its own; a copy for each tile otherwise."""
        steps, homes = region.steps(unit.family.vars), unit.family.homes
        pairs = list(zip(unit.family.vars, homes.axes, strict=True))
        axes = tuple(axis for var, axis in pairs if var in steps)
        copies = tuple((a.tiles, a.stride) for var, a in pairs if var not in steps and a.tiles > 1)
        return Homes(homes.first, axes, copies)

    def _move(self, unit: _Unit, region: Region, place: Buffer, view: View, back: bool) -> Move:
        steps = region.steps(unit.family.vars)
        straight = region.buffer in self.given and not self._turns(unit, region)
        far = view if straight else replace(view, buffer=self.canon[region.buffer])
        near = beside_view(view, region, place, unit.family)
        vars = tuple(var for var in unit.family.vars if var in steps)
        counts = tuple(unit.counts[var] for var in vars)
        ends = (near, far) if back else (far, near)
        return Move(ends[0], ends[1], vars, counts)

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


def _alone(steps: tuple[Step, ...]) -> _Unit:
    """Work of tile 0."""
    return _Unit(Family((), (), Homes(), steps), regions(steps, {}))


def _home(dtype: str, block: int, homes: Homes) -> Buffer:
    return Buffer(dtype, block * homes.blocks, "home", homes=homes)


def _forget(frame: _Frame, written: set[Buffer]) -> None:
    stale = [key for key, (_, source) in frame.brought.items() if source in written]
    for key in stale:
        del frame.brought[key]


def _is_unit(step: Step) -> bool:
    if isinstance(step, Exchange):
        return False
    return isinstance(step, Call | Spread | Map | Family) or not is_shared_work(step)


def _independent(unit: _Unit, group: Sequence[_Unit]) -> bool:
    """Whether it reads nothing that the group writes, and the other way round."""
    read = {buffer for other in group for buffer in other.read}
    written = {buffer for other in group for buffer in other.written}
    return not (unit.read & written or unit.written & read)


def _dense(family: Family, found: dict[Buffer, list[Region]]) -> dict[Buffer, list[Region]]:
    """Of a family that is one vertex of a kind that can be made again, for any strides."""
    calls = [step for step in family.steps if isinstance(step, Call)]
    kinds = all(isinstance(c.codelet, KINDS) and len(c.codelet.outputs) == 1 for c in calls)
    if kinds and len(calls) == len(family.steps):
        for rows in found.values():
            for region in rows:
                region.dense = len(region.views) == 1
    return found


def expanded(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """Work of one tile that several do better, cut into a grid: see `distribution.py`."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Call():
                found += distributed(step, machine) or [step]
            case Loop(_, _, body):
                found.append(replace(step, steps=expanded(body, machine)))
            case While(condition, test, body):
                first, rest = expanded(condition, machine), expanded(body, machine)
                found.append(While(first, test, rest))
            case Branch(index, cases):
                bodies = tuple(expanded(case, machine) for case in cases)
                found.append(Branch(index, bodies))
            case _:
                found.append(step)
    return tuple(found)


def _written(steps: Sequence[Step], units: dict[int, _Unit]) -> Iterator[Buffer]:
    for step in steps:
        if _is_unit(step):
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


def _by_axis(unit: _Unit, region: Region) -> tuple[tuple[int, int], ...]:
    """What moves a region: (which of the family's axes, by how much), loops around by number."""
    axis_of = {var: -1 - number for number, var in enumerate(unit.family.vars)}
    return tuple((axis_of.get(var, var), step) for var, step in region.moves)
