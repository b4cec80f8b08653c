"""The body of a `strips` node: a chain over all rows, written again for some of them.

In: the chain's nodes, what they read and give, which dimension of each value is the rows, and the
end to which it goes. Out: graphs, one for each number of rows. Always: in a body, the row dimension
of every value is at that end, all others are in their old order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.law import accumulation_dtype
from tilewright.graph.ops import OPERATIONS
from tilewright.graph.ops.in_strip import Strip
from tilewright.graph.strip_order import is_product_of_matrices, widths


@dataclass
class StripBody:
    """What a strip's body reads, computes and gives; `body(size)` builds it for `size` rows.

    `rows` says which dimension of a value is the rows, `first` where they go; `twice` are those of
    the xs that it reads with their rows first as well.
    """

    rows: dict[Value, int]
    producers: dict[Value, Node]
    nodes: list[Node]
    consts: list[Value]
    literals: list[Value]
    xs: list[Value]
    twice: list[Value]
    ys: list[Value]
    sums: list[Value]
    first: bool

    def is_turned(self, node: Node) -> bool:
        """Whether a sum over rows is computed transposed, for the lanes' sake.

        They should run along the operand with its rows first; or along the wider one.
        """
        if node.op != "dot" or not is_product_of_matrices(node):
            return False
        lhs, rhs = node.inputs
        if not self.first:
            return lhs in self.twice and rhs not in self.twice
        m, n = widths(node)
        return m > n

    def sum_type(self, value: Value) -> Type:
        turned = self.is_turned(self.producers[value])
        shape = value.shape[::-1] if turned else value.shape
        return Type(accumulation_dtype(value.dtype), shape)

    def type_of(self, value: Value, size: int) -> Type:
        """Of a value of so many rows."""
        return Type(value.dtype, self._strip(size, {}).shape(value))

    def body(self, size: int) -> Graph:
        types = [v.type for v in self.consts]
        types += [self.type_of(v, size) for v in self.xs]
        types += [Type(v.dtype, (size, v.shape[1 - self.rows[v]])) for v in self.twice]
        builder = Builder(types)
        here = dict(zip([*self.consts, *self.xs], builder.inputs, strict=False))
        again = dict(zip(self.twice, builder.inputs[len(here) :], strict=True))
        strip = self._strip(size, again)
        for value in self.literals:
            here[value] = builder.constant(self.producers[value].params["value"])
        for node in self.nodes:
            builder.source = node.source
            rule = OPERATIONS[node.op].in_strip
            assert rule is not None, f"{node.op} has no rule for strips"
            here[node.output] = rule(strip, builder, node, [here[v] for v in node.inputs])
        return builder.graph([here[v] for v in (*self.ys, *self.sums)])

    def _strip(self, size: int, again: Mapping[Value, Value]) -> Strip:
        turned = {node for node in self.nodes if node.output in self.sums and self.is_turned(node)}
        return Strip(self.rows, self.first, size, again, turned)
