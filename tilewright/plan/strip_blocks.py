"""A strip that vectors meet twice is taken block by block, which the nearest memory holds.

In: steps. Out: the same, where a run of vertices over the rows of a strip,

    z = X @ w;  r = f(z, ...);  g = X.T @ r

goes through blocks of its rows: forth, f and back for the first block, then for the second, and so
on; lanes of the sums over rows are carried from block to block (`codelets/contract/lanes.py`), and
folded after the last. Whatever else there is in the strip comes after the blocks. Always: the same
bits; strips stay whole leaves of the law.

Products of matrices with vectors take as long as reading does, and a strip has 256 rows at least:
60 columns are twice what an L1 of 32 KiB holds, so that the way back would read all from L2. A
block's rows come from L1 there, and those of the next block are asked for meanwhile, into L1 as far
as both leave room: NUTS over 20,000 rows of 60 numbers takes 129 µs a gradient for 147 (Zen 4, rows
in L3; docs/alpha.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tilewright.codelets.base import LANES
from tilewright.codelets.contract import ContractLanes, ContractVector
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression
from tilewright.codelets.reduce import Reduce
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.machine import Machine
from tilewright.plan.basic import operand
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Map, Spread, Step, Var, View, While
from tilewright.plan.sums_together import Together, counts, is_sum
from tilewright.plan.views import whole, window

SHARE = 1 / 2
"""Of the nearest memory, for a block of the matrices: the next one is on its way."""
LEAST = 32
"""Rows of a block: with fewer, lanes come and go more often than they are added to."""

Matrix = tuple[Buffer, tuple[tuple[Var, int], ...]]


def in_strip_blocks(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For all strips of a program."""
    return _walked(steps, machine, Counter(_touched(steps)))


def _walked(steps: Sequence[Step], machine: Machine, touched: Counter[Buffer]) -> tuple[Step, ...]:
    inside = [_inside(step, machine, touched) for step in steps]
    calls = [step for step in inside if isinstance(step, Call)]
    if len(calls) < len(inside):
        return tuple(inside)
    strip = _Strip.of(calls, touched)
    rows = strip.block(machine) if strip else None
    near = machine.tile.memories[0].size
    return strip.steps(rows, near) if strip and rows else tuple(inside)


def _inside(step: Step, machine: Machine, touched: Counter[Buffer]) -> Step:
    """The step with strips in its bodies in blocks."""
    if isinstance(step, Loop | Map | Spread | While):
        return replace(step, steps=_walked(step.steps, machine, touched))
    if isinstance(step, Branch):
        return replace(step, cases=tuple(_walked(c, machine, touched) for c in step.cases))
    return step


def _touched(steps: Sequence[Step]) -> Iterator[Buffer]:
    """Each buffer as often as a view of it is read or written."""
    for step in steps:
        if isinstance(step, Call):
            yield from (view.buffer for view in step.views)
        elif isinstance(step, Branch):
            yield step.index.buffer
            for case in step.cases:
                yield from _touched(case)
        elif isinstance(step, While):
            yield step.test.buffer
            yield from _touched((*step.condition, *step.steps))
        else:
            yield from _touched(getattr(step, "steps", ()))


@dataclass
class _Strip:
    """The calls of a body: those that blocks take, forth, between and back, and those after."""

    length: int
    touched: Counter[Buffer]
    forth: list[Call] = field(default_factory=list)
    between: list[Call] = field(default_factory=list)
    back: list[Call] = field(default_factory=list)
    later: list[Call] = field(default_factory=list)

    @classmethod
    def of(cls, calls: Sequence[Call], touched: Counter[Buffer]) -> _Strip | None:
        """None where no matrix is met twice."""
        first = next((call for call in calls if _is_forth(call)), None)
        if first is None:
            return None
        strip = cls(first.views[-1].shape[0], touched)
        for call in calls:
            strip._place(call)
        matrices = [_matrix(call) for call in strip.forth]
        return strip if any(_matrix(call) in matrices for call in strip.back) else None

    def _place(self, call: Call) -> None:
        """Put a call where it belongs; it is never moved behind what reads or writes after it."""
        made = _written([*self.forth, *self.between])
        reads, writes = _read([call]), _written([call])
        waiting = _read(self.later) | _written(self.later)
        done = _written(self.later) | {call.views[-1].buffer for call in self.back}
        free = not reads & (done | self._totals) and not writes & waiting
        if free and _is_forth(call) and call.views[-1].shape == (self.length,):
            place = self.later if reads & made or self.back else self.forth
        elif free and _is_between(call, self.length) and self._is_aligned(call):
            place = self.between
        elif free and _is_back(call, self.length) and call.views[1].buffer in made:
            place = self.back
        else:
            place = self.later
        place.append(call)

    @property
    def _totals(self) -> set[Buffer]:
        return {_outputs(call)[0].buffer for call in self.between if is_sum(call, self.length)}

    def _is_aligned(self, call: Call) -> bool:
        """Whether what it touches of the strip's own is row by row what others touch."""
        own = {v.buffer: v for c in (*self.forth, *self.between) for v in _rows_made(c)}
        sides = [v for v in call.views if v.shape == (self.length,)]
        return all(view == own.get(view.buffer, view) for view in sides)

    def block(self, machine: Machine) -> int | None:
        """Rows of a block; None where all fit, or too few would."""
        near = machine.tile.memories[0].size
        sizes: dict[Matrix, int] = {}
        for calls in (self.forth, self.back):
            here: Counter[Matrix] = Counter()
            for call in calls:
                here[_matrix(call)] += call.codelet.inputs[0].nbytes
            sizes |= {matrix: max(size, sizes.get(matrix, 0)) for matrix, size in here.items()}
        size = sum(sizes.values())
        if size <= near:
            return None
        rows = LANES
        while 2 * rows < self.length and 2 * rows * size <= SHARE * near * self.length:
            rows *= 2
        return rows if rows >= LEAST and self.length % rows == 0 else None

    def _roomy(self, rows: int, near: int) -> list[bool]:
        """Of each call back, whether its next block is asked for into the nearest memory: from the
        last, which is left for the shortest time, on, as far as blocks and lanes leave room."""
        sizes = [call.codelet.inputs[0].nbytes * rows // self.length for call in self.back]
        lanes = sum(LANES * call.codelet.outputs[0].nbytes for call in self.back)
        left, found = near - sum(sizes) - lanes, list[bool]()
        for size in reversed(sizes):
            left -= size
            found.insert(0, left >= 0)
        return found

    def steps(self, rows: int, near: int) -> tuple[Step, ...]:
        lanes = [_lanes(call) for call in self.back]
        roomy = self._roomy(rows, near)
        inside = Counter(_touched(self.between))
        others = self.touched - inside
        sums = Together.of(self.between, lambda b: b.space != "tile" or others[b] > 0)
        between = [] if sums else self.between
        sides = sums.lanes() if sums else None
        steps: list[Step] = []
        for start in range(0, self.length, rows):
            steps += [_cut(call, start, rows) for call in (*self.forth, *between)]
            if sums and sides:
                steps.append(sums.run(sides, start, rows, self.length))
            steps += [_run(*one, start, rows) for one in zip(self.back, lanes, roomy, strict=True)]
        folds = [_fold(*one) for one in zip(self.back, lanes, strict=True)]
        return (*steps, *folds, *self.later)


def _is_forth(call: Call) -> bool:
    codelet = call.codelet
    if not isinstance(codelet, ContractVector) or codelet.batch or codelet.backwards:
        return False
    return codelet.m % LANES == 0 and codelet.m > LANES and codelet.out.strides == (1,)


def _is_between(call: Call, length: int) -> bool:
    codelet = call.codelet
    if isinstance(codelet, Elementwise):
        return codelet.shape == (length,) and not counts(codelet.expression)
    return is_sum(call, length)


def _is_back(call: Call, length: int) -> bool:
    codelet = call.codelet
    if not isinstance(codelet, ContractVector) or codelet.batch or codelet.backwards:
        return False
    leaf = codelet.k == length <= codelet.leaf and length > 1
    near = codelet.lhs.strides[-1] == codelet.rhs.strides[-1] == 1
    return leaf and near and codelet.out.dtype == codelet.sum_dtype


def _outputs(call: Call) -> tuple[View, ...]:
    count = len(call.codelet.inputs)
    return call.views[count : count + len(call.codelet.outputs)]


def _rows_made(call: Call) -> tuple[View, ...]:
    """Of what it writes, what it writes row by row."""
    return _outputs(call)[int(isinstance(call.codelet, Reduce)) :]


def _read(calls: Sequence[Call]) -> set[Buffer]:
    return {view.buffer for call in calls for view in call.views[: len(call.codelet.inputs)]}


def _written(calls: Sequence[Call]) -> set[Buffer]:
    return {view.buffer for call in calls for view in call.views[len(call.codelet.inputs) :]}


def _matrix(call: Call) -> Matrix:
    """Where the strip of the matrix, or of which it is a part, lies."""
    return call.views[0].buffer, call.views[0].moves


def _cut(call: Call, start: int, rows: int) -> Call:
    """Some rows of what runs along rows."""
    codelet = call.codelet
    if isinstance(codelet, Elementwise):
        views = tuple(window(view, (start,), (rows,)) for view in call.views)
        return Call(replace(codelet, shape=(rows,)), views)
    matrix, vector, out = call.views
    matrix = window(matrix, (start, 0), (rows, matrix.shape[1]))
    views = (matrix, vector, window(out, (start,), (rows,)))
    return Call(codelet.on([operand(view) for view in views]), views)


def _lanes(call: Call) -> View:
    """A place for the lanes' sums."""
    (out,), dtype = call.codelet.outputs, call.views[-1].dtype
    return whole(Buffer(dtype, out.size * LANES, "tile"), (out.size, LANES))


def _run(call: Call, lanes: View, room: bool, start: int, rows: int) -> Call:
    """The terms of some rows; the next are asked for."""
    matrix, vector = call.views[:2]
    matrix = window(matrix, (0, start), (matrix.shape[0], rows))
    vector = window(vector, (start,), (rows,))
    before = [lanes] if start else []
    ahead = rows * numpy_dtype(matrix.dtype).itemsize
    sides = [operand(view) for view in (matrix, vector, lanes, *before)]
    return Call(ContractLanes(*sides, ahead=ahead, room=room), (matrix, vector, *before, lanes))


def _fold(call: Call, lanes: View) -> Call:
    """Lanes' sums to sums."""
    plain = Expression((lanes.dtype,), (), (0,))
    out = call.views[-1]
    codelet = Reduce("sum", plain, lanes.shape, (1,), (lanes.strides,), out.strides)
    return Call(codelet, (lanes, out))
