"""Factorisations to codelets: a batch of small matrices in groups, each in a cache; others singly.

In: a node whose operands are (*batch, rows, columns). Out: a loop over groups of matrices, dealt
out to the tiles where it is worth it. A group's elements are brought side by side, so that lanes
run along the batch, factored where they lie, and brought back. A matrix has the same bits
whichever way it goes, so what follows is only a matter of speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from tilewright.codelets.base import LANES
from tilewright.codelets.elementwise import Transpose
from tilewright.codelets.linalg import LU, Cholesky, TriangularSolve
from tilewright.frozen import frozen
from tilewright.graph.count import node_count
from tilewright.graph.ir import Graph, Node, Type
from tilewright.machine.cost import is_worth_dealing
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.ir import Loop, Spread, View, new_var
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope

NEAREST_SHARE, OWN_SHARE = 1 / 2, 1 / 4
"""A group should stay in so much of the nearest memory; it never takes more of the tile's own."""
MOST_LANES = 128
ROWS_A_MATRIX = 4
"""A group of any size costs as much as a full vector of matrices: so it pays from one matrix for so
many rows on."""

Work = Callable[[Scope, Sequence[View]], None]
"""Writes the steps for matrices (rows, columns), or a group (matrices, rows, columns)."""


def lower_cholesky(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, target = scope.view(node.inputs[0]), scope.target(node.output)
    _Batch(scope, node, _cholesky_group, _cholesky_single).lower([source], [target])


def _cholesky_group(scope: Scope, matrices: Sequence[View]) -> None:
    source, target = matrices
    cells = _side_by_side(scope, source)
    upper = views.transpose(cells, (1, 0, 2))
    scope.call(Cholesky(operand(upper)), [], [upper])
    _apart(scope, cells, target)


def _cholesky_single(scope: Scope, matrices: Sequence[View]) -> None:
    source, target = (views.transpose(view, (1, 0)) for view in matrices)
    upper = _padded(scope, source)
    scope.copy(source, upper)
    scope.call(Cholesky(operand(upper)), [], [upper])
    scope.copy(upper, target)


def lower_triangular_solve(scope: Scope, unit: Unit) -> None:
    """In the right sides' memory, if nobody else reads them."""
    (node,) = unit.nodes
    matrix, right = (scope.view(value) for value in node.inputs)
    if scope.may_overwrite(node.inputs[1]):
        target = scope.put(node.output, right)
    else:
        target = scope.target(node.output)
    lower, unit_diagonal = node.params["lower"], node.params["unit"]

    def solve(inner: Scope, matrix: View, solution: View) -> None:
        if not lower:
            matrix, solution = views.reverse(matrix, (0, 1)), views.reverse(solution, (0,))
        codelet = TriangularSolve(operand(matrix), operand(solution), unit_diagonal)
        inner.call(codelet, [matrix], [solution])

    def group(inner: Scope, parts: Sequence[View]) -> None:
        matrix, right, target = parts
        cells = _side_by_side(inner, right)
        solve(inner, _side_by_side(inner, matrix), cells)
        _apart(inner, cells, target)

    def single(inner: Scope, parts: Sequence[View]) -> None:
        matrix, right, target = parts
        contiguous = target.shape[1] == 1 or target.strides[1] == 1
        solution = target if contiguous else _padded(inner, target)
        inner.copy(right, solution)
        solve(inner, matrix, solution)
        inner.copy(solution, target)

    _Batch(scope, node, group, single).lower([matrix, right], [target])


def lower_lu(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, targets = scope.view(node.inputs[0]), [scope.target(v) for v in node.outputs]
    lines = [_as_column(view) for view in targets[1:]]
    _Batch(scope, node, _lu_group, _lu_single).lower([source], [targets[0], *lines])


def _lu_group(scope: Scope, matrices: Sequence[View]) -> None:
    source, target, *lines = matrices
    cells = _side_by_side(scope, source)
    numbers = [scope.new(Type(v.dtype, (v.shape[1], v.shape[0]))) for v in lines]
    scope.call(LU(*map(operand, (cells, *numbers))), [], [cells, *numbers])
    _apart(scope, cells, target)
    for number, line in zip(numbers, lines, strict=True):
        scope.copy(views.transpose(number, (1, 0)), _first_column(line))


def _lu_single(scope: Scope, matrices: Sequence[View]) -> None:
    source, target = (views.transpose(view, (1, 0)) for view in matrices[:2])
    lines = [_first_column(view) for view in matrices[2:]]
    columns = _padded(scope, source)
    scope.copy(source, columns)
    factors = views.transpose(columns, (1, 0))
    scope.call(LU(*map(operand, (factors, *lines))), [], [factors, *lines])
    scope.copy(columns, target)


@frozen
class _Batch:
    scope: Scope
    node: Node
    group: Work
    single: Work

    def lower(self, inputs: Sequence[View], outputs: Sequence[View]) -> None:
        """All matrices: whole groups, then what is left, as one more or one by one."""
        scope = self.scope
        if not all(view.size for view in outputs):
            return
        read = [_flat(view) or _flat(scope.dense(view)) for view in inputs]
        made = [_flat(view) or _flat(scope.new(Type(view.dtype, view.shape))) for view in outputs]
        self._deal([view for view in (*read, *made) if view is not None])
        for view, flat in zip(outputs, made, strict=True):
            if flat is not None and flat.buffer is not view.buffer:
                shaped = views.reshape(flat, view.shape)
                assert shaped is not None
                scope.copy(shaped, view)

    def _deal(self, matrices: Sequence[View]) -> None:
        batch, lanes = matrices[0].shape[0], self._lanes(matrices)
        groups = batch // lanes
        worth = is_worth_dealing(node_count(self.node), self.scope.plan.machine)
        heavy = self.scope.parallel and worth
        self._repeat(self.group, matrices, groups, lanes, 0, heavy)
        rest, start = batch - groups * lanes, groups * lanes
        joins = heavy and groups > 0
        if rest and self._is_group(rest, matrices):
            self._repeat(self.group, matrices, 1, rest, start, joins, joins)
        else:
            spread = heavy and (joins or rest > 1)
            self._repeat(self.single, matrices, rest, 0, start, spread, joins)

    def _cells(self, matrices: Sequence[View]) -> int:
        """Bytes that one matrix takes in a group."""
        operands = matrices[: len(self.node.inputs)]
        return sum(prod(v.shape[1:]) * Type(v.dtype, ()).nbytes for v in operands)

    def _lanes(self, matrices: Sequence[View]) -> int:
        """How many matrices a group has."""
        near = int(NEAREST_SHARE * self.scope.plan.machine.tile.memories[0].size)
        lanes = near // self._cells(matrices) // LANES * LANES
        lanes = min(max(lanes, LANES), MOST_LANES)
        return lanes if self._is_group(lanes, matrices) else matrices[0].shape[0] + 1

    def _is_group(self, lanes: int, matrices: Sequence[View]) -> bool:
        bytes_held = self._cells(matrices) * max(lanes, LANES)
        rows = max(view.shape[1] for view in matrices)
        fits = bytes_held <= OWN_SHARE * self.scope.plan.machine.tile.memory
        return fits and ROWS_A_MATRIX * lanes >= rows and lanes > 1

    def _repeat(
        self,
        work: Work,
        matrices: Sequence[View],
        count: int,
        lanes: int,
        start: int,
        spread: bool,
        joins: bool = False,
    ) -> None:
        """`count` groups of so many lanes, or with 0 lanes matrices, from number `start` on."""
        if not count:
            return
        inner = Scope(self.scope.plan, _NOTHING, (), parallel=self.scope.parallel and not spread)
        var = new_var()
        alone = count == 1 and not spread
        parts = [_window(view, None if alone else var, lanes or 1, start) for view in matrices]
        work(inner, parts if lanes else [_only(view) for view in parts])
        steps = tuple(inner.steps)
        if spread:
            self.scope.steps.append(Spread(var, count, steps, joins))
        else:
            self.scope.steps += steps if alone else [Loop(var, count, steps)]


_NOTHING = Graph((), (), ())


def _flat(view: View) -> View | None:
    """(*batch, rows, columns) as (matrices, rows, columns)."""
    return views.reshape(view, (prod(view.shape[:-2]), *view.shape[-2:]))


def _window(view: View, var: int | None, length: int, start: int) -> View:
    """So many matrices from number `start` + `var` * length on."""
    if var is not None:
        return views.shift(view, var, 0, length, start)
    return views.window(view, (start, 0, 0), (length, *view.shape[1:]))


def _only(view: View) -> View:
    """The matrix of a group of one."""
    return replace(view, shape=view.shape[1:], strides=view.strides[1:])


def _as_column(view: View) -> View:
    """(..., n, 1) of (..., n)."""
    return replace(view, shape=(*view.shape, 1), strides=(*view.strides, 1))


def _first_column(view: View) -> View:
    """(..., n) of (..., n, 1)."""
    return replace(view, shape=view.shape[:-1], strides=view.strides[:-1])


def _padded(scope: Scope, like: View) -> View:
    """A fresh matrix whose rows do not all meet in few sets of a cache."""
    padded, scope.padded = scope.padded, True
    fresh = scope.new(Type(like.dtype, like.shape))
    scope.padded = padded
    return fresh


def _side_by_side(scope: Scope, group: View) -> View:
    """A copy of (matrices, rows, columns) as (rows, columns, matrices), matrices contiguous."""
    lanes, rows, columns = group.shape
    cells = scope.new(Type(group.dtype, (rows * columns, lanes)))
    for order in ((0, 1, 2), (0, 2, 1)):
        turned = views.transpose(group, order)
        lines = views.reshape(turned, (lanes, rows * columns))
        if lines is not None and lines.strides[1] == 1:
            target = views.transpose(cells, (1, 0))
            scope.call(Transpose(operand(lines), operand(target)), [lines], [target])
            shaped = views.reshape(cells, (*turned.shape[1:], lanes))
            assert shaped is not None
            return views.transpose(shaped, (*(i - 1 for i in order[1:]), 2))
    shaped = views.reshape(cells, (rows, columns, lanes))
    assert shaped is not None
    scope.copy(views.transpose(group, (1, 2, 0)), shaped)
    return shaped


def _apart(scope: Scope, cells: View, group: View) -> None:
    """Back from (rows, columns, matrices) to (matrices, rows, columns)."""
    rows, columns, lanes = cells.shape
    for order in ((0, 1), (1, 0)):
        source = views.reshape(views.transpose(cells, (*order, 2)), (rows * columns, lanes))
        turned = views.transpose(group, (0, order[0] + 1, order[1] + 1))
        target = views.reshape(turned, (lanes, rows * columns))
        if source is not None and target is not None and target.strides[1] == 1:
            target = views.transpose(target, (1, 0))
            scope.call(Transpose(operand(source), operand(target)), [source], [target])
            return
    scope.copy(views.transpose(cells, (2, 0, 1)), group)


KINDS = {
    "cholesky": lower_cholesky,
    "triangular_solve": lower_triangular_solve,
    "lu": lower_lu,
}
