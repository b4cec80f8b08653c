"""One row for each operation: all that a graph's passes know of it.

A family of operations is one file of this folder, which ends with a table of rows. A row says what
the results are (`types`), what they mean in NumPy (`meaning`), what else must hold of a node
(`faults`), how much is done (`count`), and which dimensions of operands and result run together, so
that a chain over them can be cut (`links`, `keeps_rows`, `sums_rows`, `in_strip`).

What is not said holds: no faults, no dimensions that run together, and none of the properties that
let a rewrite do more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.ops.in_strip import StripRule
from tilewright.machine.cost import NOTHING, Count

Params = Mapping[str, Any]
Types = Sequence[Type]
Arrays = list[np.ndarray]
Shape = tuple[int, ...]
Slot = tuple[Value, int]
"""A dimension of a value."""
Links = Iterable[tuple[Slot, Slot]]
Rows = Mapping[Value, int]
"""Which dimension of a value is the rows; others have none."""


@frozen
class Operation:
    """Of an operation without bodies."""

    types: Callable[[Types, Params], Sequence[Type]]
    """Of the results. Where parameters are missing or senseless, it raises as Python does."""

    meaning: Callable[..., Any]
    """(*operands, **params) -> an array, or one for each result."""

    count: Callable[[Node], Count]

    faults: Callable[[Node], Iterable[str]] = lambda node: ()
    """What is wrong with a node, in words; the first is told. Each is looked for after the last."""

    links: Callable[[Node], Links] = lambda node: ()
    """Dimensions of operands and result that have the same length and run together."""

    keeps_rows: Callable[[Node, Rows], bool] = lambda node, rows: False
    """Whether some rows of the result follow from the same rows of operands alone."""

    sums_rows: Callable[[Node, Rows], bool] = lambda node, rows: False
    """Whether it adds up over rows of operands, so that sums over some of them can be joined."""

    in_strip: StripRule | None = None
    """What it becomes in a strip's body, if it keeps or sums rows."""

    is_view: bool = False
    """The result is its operand's memory, read in another way."""

    updates: bool = False
    """The result is the first operand but for some elements."""

    folds: bool = False
    """Rewrites compute a small result whose operands are known."""

    flushes: bool = False
    """No float of the result is a denormal, whatever the operands are."""


Run = Callable[[Graph, Sequence[np.ndarray]], Arrays]
"""What evaluates a body."""


@frozen
class Control:
    """Of an operation with bodies."""

    meaning: Callable[[Node, Arrays, Run], Arrays]
    count: Callable[[Node, Sequence[Count]], Count]
    """From those of its bodies."""
    faults: Callable[[Node], Iterator[str]]


# Types.


def typed(shape: Callable[[Types, Params], Sequence[int]]) -> Callable[[Types, Params], list[Type]]:
    """One result of that shape, of the first operand's dtype unless `dtype` says another."""

    def types(operands: Types, params: Params) -> list[Type]:
        dtype = params["dtype"] if "dtype" in params else operands[0].dtype
        return [Type(dtype, tuple(shape(operands, params)))]

    return types


def same(operands: Types, params: Params) -> Shape:
    """The shape of the first operand."""
    return operands[0].shape


def told(operands: Types, params: Params) -> Shape:
    """The shape that is a parameter."""
    return params["shape"]


def without(shape: Shape, axes: Sequence[int]) -> Shape:
    """A shape that has lost some dimensions."""
    return tuple(n for i, n in enumerate(shape) if i not in axes)


# Counts.


def free(node: Node) -> Count:
    """Nothing is done: a view, or what is written into code."""
    return NOTHING


def largest(node: Node) -> int:
    """Elements of the largest operand or result."""
    return max((v.type.size for v in (*node.outputs, *node.inputs)), default=0)


def once(node: Node, name: str, times: int = 1) -> Count:
    """An operation of that name on each element, so many times."""
    dtype = (node.inputs or node.outputs)[-1].dtype
    return Count(operations={(name, dtype): times * largest(node)}, iterations=1)


def moves(node: Node) -> Count:
    return once(node, "move")


# Rows.


def rows_of_first(node: Node, rows: Rows) -> bool:
    """The rows are those of the first operand."""
    return node.inputs[0] in rows
