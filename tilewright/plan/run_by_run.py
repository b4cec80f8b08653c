"""Vertices that follow each other over the same rows take them run by run, on one tile.

In: steps, before it is known where tiles wait. Out: the same, where neighbours that are dealt out
along the same rows (products of matrices with rows, what is elementwise, sums over rows) are one
`Spread`, whose pieces do a run of rows from the first vertex to the last. Always: the same bits, as
nothing is cut that a sum runs along, but sums between leaves (see `by_leaves.py`).

What one makes of a run lies in the tile's memory when the next reads it; what nobody reads
afterwards never lies anywhere else. So a product's rows are added up for the batch norm that
follows while they are near, and a norm's gradient, the product that takes it back to its inputs,
and the sums for the norm before that, are one walk through memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce, Tree
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import LEAF
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Spread, Step, Var, View, While, new_var

SHARE = 0.5
"""Of a tile's memory, for the rows of a run: beside them lies what every run reads."""
FIXED = 0.25
"""Of a tile's memory, that matrices may take which every run reads."""
PIECES_A_TILE = 8
"""Runs for each tile, at least: whoever is slow leaves some of them to others."""


def run_by_run(steps: Sequence[Step], machine: Machine) -> list[Step]:
    """Of a program for tiles that share memory."""
    return _joined(steps, machine, Counter(_uses(steps, machine)))


def _uses(steps: Sequence[Step], machine: Machine) -> Iterator[Buffer]:
    """Each buffer as often as there are items that touch it, in loops too."""
    for item in _items(steps, machine):
        loops = [step for step in item.found if isinstance(step, Loop)]
        for loop in loops:
            yield from _uses(loop.steps, machine)
        if not loops:
            yield from item.touched


def _joined(steps: Sequence[Step], machine: Machine, uses: Counter[Buffer]) -> list[Step]:
    made: list[Step] = []
    chain: _Chain | None = None
    for item in _items(steps, machine):
        if chain is not None and not chain.takes(item):
            if item.member is None and chain.lets_by(item):
                made += item.inside(machine, uses)
                continue
            if item.member is None and chain.puts_off(item):
                continue
            made += chain.steps(uses)
            chain = None
        if chain is None and item.member is not None:
            chain = _Chain(machine, item)
        elif chain is None:
            made += item.inside(machine, uses)
    return made + (chain.steps(uses) if chain is not None else [])


@dataclass(frozen=True)
class Member:
    """A vertex over rows: along which dimension of each argument they lie, None: of none."""

    codelet: Codelet
    arguments: tuple[View, ...]
    axes: tuple[int | None, ...]
    rows: int

    @staticmethod
    def of(call: Call) -> Member | None:
        """None where it is not cut along rows."""
        match call.codelet:
            case Reduce() if len(call.codelet.shape) == 2 and call.codelet.axes == (0,):
                at = len(call.codelet.inputs)
                axes = tuple(None if i == at else 0 for i in range(len(call.views)))
                return Member(call.codelet, call.views, axes, call.codelet.shape[0])
            case ContractOuter():
                cut = call.codelet.cut
                if call.codelet.batch or cut.axes[0] != 0 or cut.along_lanes:
                    return None
                return Member(call.codelet, call.views, cut.axes, cut.length)
            case Elementwise():
                return _flat(call.codelet, call.views)
        return None

    @property
    def is_sum(self) -> bool:
        return isinstance(self.codelet, Reduce)

    @property
    def sides(self) -> Iterator[tuple[View, int | None, bool]]:
        """Arguments, where their rows are, and whether they are written."""
        count = len(self.codelet.inputs)
        for number, (view, axis) in enumerate(zip(self.arguments, self.axes, strict=True)):
            yield view, axis, number >= count

    @property
    def fixed(self) -> int:
        """Bytes that every run reads."""
        count = len(self.codelet.inputs)
        operands = zip(self.codelet.inputs, self.axes[:count], strict=True)
        return sum(operand.nbytes for operand, axis in operands if axis is None)

    def piece(self, var: Var, length: int, start: int, parts: View | None) -> Call:
        """For `length` rows from start + var * length on; a sum's result goes to `parts`."""
        arguments, operands = [], []
        for view, axis in zip(self.arguments, self.axes, strict=True):
            if axis is not None:
                view = views.shift(view, var, axis, length, start)
            arguments.append(view)
            operands.append(Operand(view.dtype, view.shape, view.strides))
        if parts is not None:
            assert isinstance(self.codelet, Reduce)
            arguments[len(self.codelet.inputs)] = parts
            short = replace(
                self.codelet, shape=(length, self.codelet.shape[1]), output_strides=(1,)
            )
            return Call(short, tuple(arguments))
        short = self.codelet.on(operands)
        if short.scratch:
            arguments.append(views.whole(Buffer("uint8", short.scratch, "tile"), (short.scratch,)))
        return Call(short, tuple(arguments))


def _flat(codelet: Elementwise, arguments: Sequence[View]) -> Member | None:
    """Over (rows, columns); None where the rows of an array are not evenly apart."""
    if len(codelet.shape) < 2 or any(s.op == "iota" for s in codelet.expression.instructions):
        return None
    *around, columns = codelet.shape
    rows = prod(around)
    flat: list[View] = []
    for view in arguments:
        step, inner = 0, None
        for length, stride in reversed(list(zip(around, view.strides, strict=False))):
            if length == 1:
                continue
            if inner is not None and stride != inner:
                return None
            step = stride if inner is None else step
            inner = stride * length
        flat.append(replace(view, shape=(rows, columns), strides=(step, view.strides[-1])))
    count = len(codelet.inputs)
    strides = [view.strides for view in flat]
    one = replace(
        codelet, shape=(rows, columns), input_strides=tuple(strides[:count]),
        output_strides=tuple(strides[count:]),
    )  # fmt: skip
    return Member(one, tuple(flat), (0,) * len(flat), rows)


@dataclass
class _Item:
    """Steps that belong together: of one vertex, dealt out; or a step by itself."""

    found: list[Step]
    member: Member | None = None

    @cached_property
    def read(self) -> set[Buffer]:
        return {view.buffer for view, written in _touches(self.found) if not written}

    @cached_property
    def written(self) -> set[Buffer]:
        return {view.buffer for view, written in _touches(self.found) if written}

    @property
    def touched(self) -> set[Buffer]:
        return self.read | self.written

    def conflicts(self, other: _Item) -> bool:
        """Whether their order matters."""
        return bool(self.written & other.touched or other.written & self.read)

    def inside(self, machine: Machine, uses: Counter[Buffer]) -> list[Step]:
        """The steps, loops done run by run too."""
        return [
            replace(step, steps=tuple(_joined(step.steps, machine, uses)))
            if isinstance(step, Loop)
            else step
            for step in self.found
        ]


def _items(steps: Sequence[Step], machine: Machine) -> Iterator[_Item]:
    at = 0
    while at < len(steps):
        step, end = steps[at], at + 1
        if not isinstance(step, Spread) or step.whole is None:
            yield _Item([step])
            at = end
            continue
        while end < len(steps) and isinstance(after := steps[end], Spread) and after.joins:
            end += 1
        member = Member.of(step.whole)
        if isinstance(step.whole.codelet, Reduce) and member is not None:
            end += 1  # the sum of its runs' sums
        if member is not None and member.fixed > FIXED * machine.tile.memory:
            member = None
        yield _Item(list(steps[at:end]), member)
        at = end


def _touches(steps: Sequence[Step]) -> Iterator[tuple[View, bool]]:
    """Views, and whether they are written."""
    for step in steps:
        match step:
            case Call(codelet, views):
                count, made = len(codelet.inputs), len(codelet.inputs) + len(codelet.outputs)
                for number, view in enumerate(views[:made]):
                    yield view, number >= count
                    if number >= count and codelet.in_place:
                        yield view, False
            case While(condition, test, body):
                yield test, False
                yield from _touches((*condition, *body))
            case Branch(index, cases):
                yield index, False
                for case in cases:
                    yield from _touches(case)
            case _:
                yield from _touches(getattr(step, "steps", ()))


Own = dict[Buffer, tuple[Buffer, int]]
"""Instead of some buffers: one of a run's rows, and how far these are apart."""


@dataclass
class _Chain:
    """Vertices that go run by run, and what waits until they are done."""

    machine: Machine
    first: _Item
    items: list[_Item] = field(default_factory=list)
    later: list[_Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items = [self.first]

    @property
    def members(self) -> list[Member]:
        return [item.member for item in self.items if item.member is not None]

    def takes(self, item: _Item) -> bool:
        """Whether it goes on with the same rows; then it is one of them."""
        member = item.member
        if member is None or member.rows != self.members[0].rows:
            return False
        if any(item.conflicts(other) for other in self.later):
            return False
        if not self._is_aligned(item, member) or len(self._leaves(member)) > 1:
            return False
        self.items.append(item)
        return True

    def _leaves(self, member: Member) -> set[int]:
        """Terms of the leaves of all sums."""
        return {m.codelet.leaf for m in (*self.members, member) if isinstance(m.codelet, Reduce)}

    def _is_aligned(self, item: _Item, member: Member) -> bool:
        """Whether a run of what is touched before is a run of what it touches, and some is."""
        mine = list(member.sides)
        shared = False
        for other in self.items:
            assert other.member is not None
            for view, axis, written in other.member.sides:
                for own, along, writes in mine:
                    if own.buffer is not view.buffer:
                        continue
                    if _place(own, along) is None or _place(own, along) != _place(view, axis):
                        if written or writes:
                            return False
                        continue
                    shared = True
        return shared

    def lets_by(self, item: _Item) -> bool:
        """Whether it may as well come before."""
        return not any(item.conflicts(other) for other in (*self.items, *self.later))

    def puts_off(self, item: _Item) -> bool:
        """Whether it may wait for what else follows; loops and the like may not."""
        if len(self.later) >= 24 or not all(isinstance(s, Call | Spread) for s in item.found):
            return False
        self.later.append(item)
        return True

    def steps(self, uses: Counter[Buffer]) -> list[Step]:
        """The spread over runs, what sums up the runs' sums, and what has waited."""
        after = [step for item in self.later for step in item.found]
        length = self._length()
        if len(self.items) < 2 or length is None:
            return [*(step for item in self.items for step in item.found), *after]
        own = self._own(uses, length)
        rows = self.members[0].rows
        full, rest = divmod(rows, length)
        parts = [self._parts(member, full + (rest > 0)) for member in self.members]
        spreads: list[Step] = [self._runs(own, parts, length, full, 0)]
        if rest:
            spreads.append(self._runs(own, parts, rest, 1, full * length))
        trees = [
            _tree(part, member.arguments[len(member.codelet.inputs)])
            for member, part in zip(self.members, parts, strict=True)
            if part is not None
        ]
        return [*spreads, *trees, *after]

    def _length(self) -> int | None:
        """Rows of a run, a power of two of leaves; None where all rows are near as it is."""
        members, near = self.members, self.machine.tile.memory
        seen: dict[Buffer, int] = {}
        for member in members:
            for view, axis, _ in member.sides:
                if axis is not None and view.strides[axis]:
                    item = numpy_dtype(view.dtype).itemsize
                    width = prod(n for i, n in enumerate(view.shape) if i != axis) * item
                    seen[view.buffer] = max(width, seen.get(view.buffer, 0))
        width, rows = sum(seen.values()), members[0].rows
        (leaf,) = {m.codelet.leaf for m in members if isinstance(m.codelet, Reduce)} or {LEAF}
        most = min(int(SHARE * near) // max(width, 1), rows // (PIECES_A_TILE * self.machine.tiles))
        if width * rows <= near or most < leaf:
            return None
        return leaf << ((most // leaf).bit_length() - 1)

    def _own(self, uses: Counter[Buffer], length: int) -> Own:
        """Of what is made here and nobody else touches, a place in the tile's arena."""
        inside = Counter(buffer for item in self.items for buffer in item.touched)
        own: Own = {}
        seen: set[Buffer] = set()
        for member in self.members:
            for view, axis, written in member.sides:
                buffer = view.buffer
                if buffer in seen or buffer.space != "shared" or uses[buffer] > inside[buffer]:
                    seen.add(buffer)
                    continue
                seen.add(buffer)
                step = view.strides[axis] if axis is not None else 0
                if written and step and not view.offset and buffer.size == step * member.rows:
                    own[buffer] = Buffer(buffer.dtype, length * step, "tile"), step
        return own

    @staticmethod
    def _parts(member: Member, count: int) -> View | None:
        """Where the sums of the runs go."""
        if not isinstance(member.codelet, Reduce):
            return None
        columns, dtype = member.codelet.shape[1], member.codelet.dtype
        return View(Buffer(dtype, count * columns, "shared"), (count, columns), (columns, 1))

    def _runs(
        self,
        own: Own,
        parts: Sequence[View | None],
        length: int,
        count: int,
        start: int,
    ) -> Spread:
        var, calls = new_var(), []
        for member, part in zip(self.members, parts, strict=True):
            if part is not None:  # the rest is the last
                row = View(part.buffer, part.shape[1:], (1,), 0, ((var, part.strides[0]),))
                part = replace(row, offset=(part.shape[0] - 1) * part.strides[0]) if start else row
            call = member.piece(var, length, start, part)
            calls.append(replace(call, views=tuple(_placed(view, own) for view in call.views)))
        return Spread(var, count, tuple(calls), joins=start > 0)


def _placed(view: View, own: Own) -> View:
    if view.buffer not in own:
        return view
    buffer, step = own[view.buffer]
    return replace(view, buffer=buffer, offset=view.offset % step, moves=())


def _place(view: View, axis: int | None) -> tuple | None:
    """Which elements of its buffer are in which row; None where rows mix."""
    if axis is None or view.strides[axis] <= 0:
        return None
    step = view.strides[axis]
    inside = sum(
        (n - 1) * abs(s)
        for i, (n, s) in enumerate(zip(view.shape, view.strides, strict=True))
        if i != axis
    )
    first = view.offset % step
    return (step, view.offset // step, view.moves) if first + inside < step else None


def _tree(parts: View, out: View) -> Call:
    sides = (Operand(view.dtype, view.shape, view.strides) for view in (parts, out))
    return Call(Tree(*sides), (parts, out))
