"""Strips of rows: groups of them dealt out to the tiles, and the tree over their sums.

In: a `strips` node (see `graph/strips.py`). Out: steps. Always: a group is a node of the law's
tree (2^j strips from a multiple of 2^j on, or cut short by the end), so that groups, and how they
are cut in turn, are a choice of speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.reduce import Tree
from tilewright.graph.count import node_count
from tilewright.graph.ir import Node, Type, numpy_dtype
from tilewright.machine.cost import is_worth_dealing
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.control import lower_body
from tilewright.plan.ir import Buffer, Call, Loop, Spread, Step, Var, View, new_var
from tilewright.plan.places import CACHE_LINE
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope
from tilewright.plan.spread import shares_memory

TOGETHER = 8
"""Sums that are added up together: what a tile keeps of them is little beside a strip."""
UNEVEN = 1.01
"""The busiest tile's share against an even one, up to which strips are grouped."""
PIECE, PIECES = 32, 64
"""A tile adds up the groups' sums for at least so many elements; about so many shares."""

Moves = tuple[tuple[Var, int], ...]
"""(loop variable, how many strips it moves by)."""


def lower_strips(scope: Scope, unit: Unit) -> None:
    """Spread over the tiles where there is enough to do and tiles are at hand."""
    (node,) = unit.nodes
    many = node.params["ys"]
    stacked = [scope.target(value) for value in node.outputs[:many]]
    totals = [scope.target(value) for value in node.outputs[many:]]
    dense = [v if views.is_dense(v) else scope.new(Type(v.dtype, v.shape)) for v in totals]
    strips = _Strips(scope, node, stacked)
    several = scope.parallel and strips.count > 1
    if several and is_worth_dealing(node_count(node), scope.plan.machine):
        _spread(scope, strips, dense)
    elif scope.parallel and not shares_memory(scope.plan.machine):
        steps = strips.steps(0, (), strips.count, dense)
        scope.steps.append(Spread(new_var(), 1, steps))  # what lies between them stays on a tile
    else:
        scope.steps += strips.steps(0, (), strips.count, dense)
    scope.copy_all([(d, t) for d, t in zip(dense, totals, strict=True) if d != t])


def group_size(strips: int, tiles: int) -> int:
    """Strips in a group, a power of two: as many as leave the tiles even shares, or one."""
    size = 1
    while size < strips:
        groups = -(-strips // (2 * size))
        busiest = min(strips, -(-groups // tiles) * 2 * size)
        if busiest * tiles > UNEVEN * strips:
            break
        size *= 2
    return size


def _spread(scope: Scope, strips: _Strips, totals: Sequence[View]) -> None:
    """Groups to the tiles, each with places of its own for its sums; then all tiles add those."""
    size = group_size(strips.count, scope.plan.machine.chip.tiles)
    whole = strips.whole // size
    groups = -(-strips.count // size)
    parts = [_apart(scope, total, groups) for total in totals]
    var = new_var()
    if whole:
        places = [views.row(part, var) for part in parts]
        inside = strips.steps(0, ((var, size),), size, places)
        scope.steps.append(Spread(var, whole, inside))
    if whole < groups:
        var, rest = new_var(), strips.count - whole * size
        places = [_at(part, whole) for part in parts]
        inside = strips.steps(whole * size, (), rest, places)
        scope.steps.append(Spread(var, 1, inside, joins=whole > 0))
    joins = False
    for part, total in zip(parts, totals, strict=True):
        for step in _add_up(part, total, scope.plan.machine):
            scope.steps.append(replace(step, joins=joins))
            joins = True


def _add_up(parts: View, total: View, machine: Machine) -> list[Spread]:
    """The tree over the groups, dealt out by elements of the sum.

    Over all tiles that share no memory: each is brought its elements of all groups' sums.
    """
    parts = replace(parts, shape=(parts.shape[0], total.size), strides=(parts.strides[0], 1))
    total = replace(total, shape=(total.size,), strides=(1,))
    length = -(-max(PIECE, -(-total.size // PIECES)) // PIECE) * PIECE
    if not shares_memory(machine):
        length = max(1, -(-total.size // machine.chip.tiles))
    full, rest = divmod(total.size, length)
    spreads = []
    for count, size, start in ((full, length, 0), (1, rest, full * length)):
        if count and size:
            var = new_var()
            sides = views.shift(parts, var, 1, size, start), views.shift(total, var, 0, size, start)
            codelet = Tree(*map(operand, sides))
            spreads.append(Spread(var, count, (Call(codelet, sides),)))
    return spreads


def _apart(scope: Scope, total: View, count: int) -> View:
    """A place for the sum of each group; no two share a pair of cache lines, as tiles differ."""
    line = 2 * CACHE_LINE // numpy_dtype(total.dtype).itemsize
    pitch = -(-total.size // line) * line
    rows = scope.new(Type(total.dtype, (count, pitch)))
    return View(rows.buffer, (count, *total.shape), (rows.strides[0], *total.strides))


def _at(parts: View, number: int) -> View:
    return View(
        parts.buffer, parts.shape[1:], parts.strides[1:], parts.offset + number * parts.strides[0]
    )


class _Strips:
    """Steps for a run of strips, whose sums become one."""

    def __init__(self, scope: Scope, node: Node, stacked: Sequence[View]):
        self.scope, self.node, self.stacked = scope, node, stacked
        rows, self.strip, consts = (node.params[name] for name in ("rows", "strip", "consts"))
        self.whole, self.rest = divmod(rows, self.strip)
        self.count = self.whole + (self.rest > 0)
        self.consts = [scope.view(v) for v in node.inputs[:consts]]
        self.xs = [scope.view(v) for v in node.inputs[consts:]]

    def steps(
        self, first: int, moves: Moves, count: int, totals: Sequence[View]
    ) -> tuple[Step, ...]:
        """Strips first, first + 1, ..., `count` of them, and the root of the tree over them."""
        if count == 1:
            return self._one(first, moves, totals)
        each = 1
        while each * TOGETHER < count:
            each *= TOGETHER
        whole = min(count, self.whole - first) // each
        parts = [self._beside(total, -(-count // each)) for total in totals]
        steps: list[Step] = []
        if whole:
            var = new_var()
            places = [views.row(part, var) for part in parts]
            steps.append(Loop(var, whole, self.steps(first, (*moves, (var, each)), each, places)))
        if whole * each < count:
            places = [_at(part, whole) for part in parts]
            rest = count - whole * each
            steps += self.steps(first + whole * each, moves, rest, places)
        for part, total in zip(parts, totals, strict=True):
            if total.size:
                steps.append(Call(Tree(operand(part), operand(total)), (part, total)))
        return tuple(steps)

    def _beside(self, total: View, count: int) -> View:
        line = CACHE_LINE // numpy_dtype(total.dtype).itemsize
        pitch = -(-total.size // line) * line
        buffer = Buffer(total.dtype, count * pitch, "tile")
        return View(buffer, (count, *total.shape), (pitch, *total.strides))

    def _one(self, first: int, moves: Moves, totals: Sequence[View]) -> tuple[Step, ...]:
        body = self.node.bodies[0 if first < self.whole else 1]
        size = self.strip if first < self.whole else self.rest

        def strip_of(view: View, axis: int) -> View:
            step = self.strip * view.strides[axis]
            start = [first * self.strip if i == axis else 0 for i in range(len(view.shape))]
            shape = tuple(size if i == axis else n for i, n in enumerate(view.shape))
            part = views.window(view, start, shape)
            moved = tuple((var, strips * step) for var, strips in moves)
            return replace(part, moves=(*part.moves, *moved))

        inputs = [*self.consts, *map(strip_of, self.xs, self.node.params["axes"])]
        rows_first = self.node.params["first"]
        ends = [0 if rows_first else len(view.shape) - 1 for view in self.stacked]
        wanted = [*map(strip_of, self.stacked, ends), *totals]
        return lower_body(
            self.scope.plan, body, inputs, wanted, parallel=False, padded=not rows_first
        )


KINDS = {"strips": lower_strips}
