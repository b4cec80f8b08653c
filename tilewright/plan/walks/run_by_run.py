"""Vertices that follow each other over the same rows take them run by run, on one tile.

In: steps, before it is known where tiles wait. Out: the same, where neighbours that are dealt out
along the same rows (products with rows or of rows, what is elementwise, sums over rows) are one
`Spread`, whose pieces do a run of rows from the first vertex to the last. Always: the same bits, as
nothing is cut that a sum runs along, but sums between leaves (see `by_leaves.py`).

What one makes of a run lies in the tile's memory when the next reads it; what nobody reads
afterwards never lies anywhere else. So a product's rows are added up for the batch norm that
follows while they are near, and a norm's gradient, the product that takes it back to its inputs,
and the sums for the norm before that, are one walk through memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

from tilewright.codelets.base import Operand
from tilewright.codelets.reduce import Tree
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import LEAF
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Buffer, Call, Spread, Step, View, new_var
from tilewright.plan.views import whole
from tilewright.plan.walks.items import LATER, Item, items_of, uses
from tilewright.plan.walks.over_rows import OverRows, rows_of

SHARE = 0.5
"""Of a tile's memory, for the rows of a run: beside them lies what every run reads. Those of a
single leaf may take all of it."""
PIECES_A_TILE = 8
"""Runs for each tile, at least: whoever is slow leaves some of them to others."""


def run_by_run(steps: Sequence[Step], machine: Machine) -> list[Step]:
    """Of a program for tiles that share memory."""
    return _joined(steps, machine, uses(steps, machine))


def _joined(steps: Sequence[Step], machine: Machine, uses: Counter[Buffer]) -> list[Step]:
    made: list[Step] = []
    chain: _Chain | None = None
    for item in items_of(steps, machine):
        if chain is not None and not chain.takes(item):
            if item.member is None and chain.lets_by(item):
                made += item.with_loops(lambda steps: _joined(steps, machine, uses))
                continue
            if item.member is None and chain.puts_off(item):
                continue
            made += chain.steps(uses)
            chain = None
        if chain is None and item.member is not None:
            chain = _Chain(machine, item)
        elif chain is None:
            made += item.with_loops(lambda steps: _joined(steps, machine, uses))
    return made + (chain.steps(uses) if chain is not None else [])


Own = dict[Buffer, tuple[Buffer, int]]
"""Instead of some buffers: one of a run's rows, and how far these are apart."""


@dataclass
class _Chain:
    """Vertices that go run by run, and what waits until they are done."""

    machine: Machine
    first: Item
    items: list[Item] = field(default_factory=list)
    later: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items = [self.first]

    @property
    def members(self) -> list[OverRows]:
        return [item.member for item in self.items if item.member is not None]

    def takes(self, item: Item) -> bool:
        """Whether it goes on with the same rows; then it is one of them."""
        member = item.member
        if member is None or member.rows != self.members[0].rows:
            return False
        if any(item.conflicts(other) for other in self.later):
            return False
        if not self._is_aligned(item, member) or len(self._leaves(member)) > 1:
            return False
        if self._length(self.members) and not self._length([*self.members, member]):
            return False
        self.items.append(item)
        return True

    def _leaves(self, member: OverRows) -> set[int]:
        """Terms of the leaves of all sums."""
        return {m.leaf for m in (*self.members, member) if m.is_sum}

    def _is_aligned(self, item: Item, member: OverRows) -> bool:
        """Whether a run of what is touched before is a run of what it touches, and some is."""
        mine = list(member.sides)
        shared = False
        for other in self.items:
            assert other.member is not None
            for view, axis, written in other.member.sides:
                for own, along, writes in mine:
                    if own.buffer is not view.buffer:
                        continue
                    if rows_of(own, along) is None or rows_of(own, along) != rows_of(view, axis):
                        if written or writes:
                            return False
                        continue
                    shared = True
        return shared

    def lets_by(self, item: Item) -> bool:
        """Whether it may as well come before; what is large would take up memory for longer."""
        small = sum(buffer.nbytes for buffer in item.written) <= self.machine.tile.memory
        return small and item.may_pass((*self.items, *self.later))

    def puts_off(self, item: Item) -> bool:
        """Whether it may wait for what else follows; loops and the like may not."""
        if len(self.later) >= LATER or not item.may_wait:
            return False
        self.later.append(item)
        return True

    def steps(self, uses: Counter[Buffer]) -> list[Step]:
        """The spread over runs, what sums up the runs' sums, and what has waited."""
        after = [step for item in self.later for step in item.found]
        length = self._length(self.members)
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
            _tree(part, member.total)
            for member, part in zip(self.members, parts, strict=True)
            if part is not None
        ]
        return [*spreads, *trees, *after]

    def _length(self, members: Sequence[OverRows]) -> int | None:
        """Rows of a run, a power of two of leaves; None where all rows are near as it is, or a leaf
        of them is not."""
        near = self.machine.tile.memory
        seen: dict[Buffer, int] = {}
        for member in members:
            for view, axis, _ in member.sides:
                if axis is not None and view.strides[axis]:
                    item = numpy_dtype(view.dtype).itemsize
                    width = prod(n for i, n in enumerate(view.shape) if i != axis) * item
                    seen[view.buffer] = max(width, seen.get(view.buffer, 0))
        width, rows = sum(seen.values()), members[0].rows
        (leaf,) = {m.leaf for m in members if m.is_sum} or {LEAF}
        few = rows // (PIECES_A_TILE * self.machine.tiles)
        if width * rows <= near or width * leaf > near or few < leaf:
            return None
        most = max(leaf, min(int(SHARE * near) // max(width, 1), few))
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
    def _parts(member: OverRows, count: int) -> View | None:
        """Where the sums of the runs go."""
        if not member.is_sum:
            return None
        total = member.total
        return whole(Buffer(total.dtype, count * total.size, "shared"), (count, *total.shape))

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
                inner, moves = part.strides[1:], ((var, part.strides[0]),)
                row = View(part.buffer, part.shape[1:], inner, 0, moves)
                part = replace(row, offset=(part.shape[0] - 1) * part.strides[0]) if start else row
            call = member.piece(var, length, start, part)
            calls.append(replace(call, views=tuple(_placed(view, own) for view in call.views)))
        return Spread(var, count, tuple(calls), joins=start > 0)


def _placed(view: View, own: Own) -> View:
    if view.buffer not in own:
        return view
    buffer, step = own[view.buffer]
    return replace(view, buffer=buffer, offset=view.offset % step, moves=())


def _tree(parts: View, out: View) -> Call:
    sides = (Operand(view.dtype, view.shape, view.strides) for view in (parts, out))
    return Call(Tree(*sides), (parts, out))
