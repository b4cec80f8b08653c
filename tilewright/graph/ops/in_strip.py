"""Where things are in the body of a `strips` node, to the rule of each operation in it.

In a body, the row dimension of every value is at one end, all others are in their old order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from tilewright.frozen import frozen
from tilewright.graph.ir import Builder, Node, Value


def row_order(rank: int, row: int, first: bool) -> tuple[int, ...]:
    """The permutation that brings the row dimension to its end."""
    others = tuple(i for i in range(rank) if i != row)
    return (row, *others) if first else (*others, row)


@frozen
class Strip:
    """A body for `size` rows.

    `rows` says which dimension of a value outside is the rows, `first` where they go. `again` are
    values that the body is given with their rows first as well; sums over rows that are `turned`
    are computed transposed.
    """

    rows: Mapping[Value, int]
    first: bool
    size: int
    again: Mapping[Value, Value]
    turned: Set[Node]

    def order(self, value: Value) -> tuple[int, ...]:
        """The dimensions of a value outside, as they stand in the body."""
        if value not in self.rows:
            return tuple(range(len(value.shape)))
        return row_order(len(value.shape), self.rows[value], self.first)

    def shape(self, value: Value) -> tuple[int, ...]:
        row = self.rows.get(value)
        return tuple(self.size if i == row else value.shape[i] for i in self.order(value))

    def axis(self, value: Value, axis: int) -> int:
        """Where a dimension of a value is once its row dimension has moved."""
        return self.order(value).index(axis)

    def row_back(self, builder: Builder, value: Value, row: int) -> Value:
        """A value of the body with its row dimension where it was."""
        return row_back(builder, value, row, self.first)


def row_back(builder: Builder, value: Value, row: int, first: bool) -> Value:
    """A value whose rows come first or last with them where they were."""
    order = row_order(len(value.shape), row, first)
    if order == tuple(range(len(order))):
        return value
    back = tuple(order.index(i) for i in range(len(order)))
    return builder.op("transpose", value, permutation=back)


StripRule = Callable[[Strip, Builder, Node, Sequence[Value]], Value]
"""Appends what a node is in a body, from the body's operands."""
