"""The body of a `strips` node: a chain over all rows, written again for some of them.

In: the chain's nodes, what they read and give, which dimension of each value is the rows, and the
end to which it goes. Out: graphs, one for each number of rows. Always: in a body, the row dimension
of every value is at that end, all others are in their old order.
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.law import accumulation_dtype
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.strip_order import is_product_of_matrices, widths


def row_order(rank: int, row: int, first: bool) -> tuple[int, ...]:
    """The permutation that brings the row dimension to its end."""
    others = tuple(i for i in range(rank) if i != row)
    return (row, *others) if first else (*others, row)


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
        return Type(value.dtype, self._shape(value, size))

    def row_back(self, builder: Builder, value: Value, row: int) -> Value:
        """A value of the body with its row dimension where it was."""
        order = row_order(len(value.shape), row, self.first)
        if order == tuple(range(len(order))):
            return value
        back = tuple(order.index(i) for i in range(len(order)))
        return builder.op("transpose", value, permutation=back)

    def body(self, size: int) -> Graph:
        types = [v.type for v in self.consts]
        types += [self.type_of(v, size) for v in self.xs]
        types += [Type(v.dtype, (size, v.shape[1 - self.rows[v]])) for v in self.twice]
        builder = Builder(types)
        here = dict(zip([*self.consts, *self.xs], builder.inputs, strict=False))
        self.again = dict(zip(self.twice, builder.inputs[len(here) :], strict=True))
        for value in self.literals:
            here[value] = builder.constant(self.producers[value].params["value"])
        for node in self.nodes:
            builder.source = node.source
            here[node.output] = self._translate(builder, node, here, size)
        return builder.graph([here[v] for v in (*self.ys, *self.sums)])

    def _translate(
        self, builder: Builder, node: Node, here: dict[Value, Value], size: int
    ) -> Value:
        operands = [here[v] for v in node.inputs]
        if node.op in ELEMENTWISE:
            kind = Type(node.output.dtype, operands[0].shape)
            return builder.add(node.op, operands, [kind], **node.params)[0]
        return _TRANSLATE[node.op](self, builder, node, operands, size)

    def _shape(self, value: Value, size: int) -> tuple[int, ...]:
        if value not in self.rows:
            return value.shape
        row = self.rows[value]
        order = row_order(len(value.shape), row, self.first)
        return tuple(size if i == row else value.shape[i] for i in order)

    def _axis(self, value: Value, axis: int) -> int:
        """Where a dimension of a value is once its row dimension has moved."""
        row = self.rows.get(value)
        if row is None:
            return axis
        return row_order(len(value.shape), row, self.first).index(axis)

    def broadcast(self, builder, node, operands, size):
        (source,), (value,) = node.inputs, operands
        target = [self._axis(node.output, j) for j in node.params["dimensions"]]
        if source in self.rows:
            order = row_order(len(source.shape), self.rows[source], self.first)
            target = [target[i] for i in order]
        row = self.rows[node.output]
        if source not in self.rows and row in node.params["dimensions"]:
            narrow = node.params["dimensions"].index(row)
            shape = tuple(n for i, n in enumerate(source.shape) if i != narrow)
            value = builder.op("reshape", value, shape=shape)
            target.pop(narrow)
        shape = self._shape(node.output, size)
        return builder.op("broadcast", value, shape=shape, dimensions=tuple(target))

    def reshape(self, builder, node, operands, size):
        return builder.op("reshape", operands[0], shape=self._shape(node.output, size))

    def transpose(self, builder, node, operands, size):
        source, out = node.inputs[0], node.output
        order = [0] * len(out.shape)
        for j, i in enumerate(node.params["permutation"]):
            order[self._axis(out, j)] = self._axis(source, i)
        return builder.op("transpose", operands[0], permutation=tuple(order))

    def slice(self, builder, node, operands, size):
        source = node.inputs[0]
        row = self.rows[source]
        order = row_order(len(source.shape), row, self.first)
        start, limit, stride = (
            tuple(whole if i == row else node.params[name][i] for i in order)
            for name, whole in (("start", 0), ("limit", size), ("stride", 1))
        )
        return builder.op("slice", operands[0], start=start, limit=limit, stride=stride)

    def concatenate(self, builder, node, operands, size):
        dimension = self._axis(node.output, node.params["dimension"])
        return builder.op("concatenate", *operands, dimension=dimension)

    def reduce(self, builder, node, operands, size):
        (source,), (value,) = node.inputs, operands
        kind, axes = node.params["kind"], node.params["axes"]
        if node.output in self.rows:
            axes = tuple(sorted(self._axis(source, a) for a in axes))
            return builder.op("reduce", value, kind=kind, axes=axes)
        # Over the rows: terms are numbered as the axes stand, so they are put back.
        wide = accumulation_dtype(value.dtype)
        if wide != value.dtype:
            value = builder.op("convert", value, dtype=wide)
        if axes != (self.rows[source],):
            value = self.row_back(builder, value, self.rows[source])
            return builder.op("reduce", value, kind=kind, axes=axes)
        return builder.op("reduce", value, kind=kind, axes=(self._axis(source, *axes),))

    def dot(self, builder, node, operands, size):
        (lhs, rhs), (left, right) = node.inputs, operands
        if node.output not in self.rows and {lhs, rhs} & set(self.twice):
            return self._dot_over_rows(builder, node, operands)
        sides = [
            tuple(
                tuple(self._axis(v, a) for a in axes)
                for v, axes in zip((lhs, rhs), node.params[name], strict=True)
            )
            for name in ("contract", "batch")
        ]
        extra = {k: v for k, v in node.params.items() if k not in ("contract", "batch")}
        if node.output not in self.rows:
            extra["dtype"] = accumulation_dtype(node.output.dtype)
            flipped = self.is_turned(node)
        else:  # what has the rows gives the first, or the last, free dimension of the result
            flipped = (lhs in self.rows) != self.first
        if flipped:
            (left, right), sides = (right, left), [pair[::-1] for pair in sides]
        result = builder.op("dot", left, right, contract=sides[0], batch=sides[1], **extra)
        if node.output not in self.rows or not flipped:
            return result
        return self._free_in_order(builder, result, left, right, sides)

    def _free_in_order(self, builder, result, left, right, sides):
        """Of a product whose operands changed places: its free dimensions as they were."""
        (contract, _), (batch, _) = sides
        count = len(batch)
        free_left = len(left.shape) - len(contract) - count
        mine = list(range(count, count + free_left))
        theirs = list(range(count + free_left, len(result.shape)))
        if self.first:
            order = [*range(count), mine[0], *theirs, *mine[1:]]
        else:
            order = [*range(count), *theirs[:-1], *mine, theirs[-1]]
        if order == sorted(order):
            return result
        return builder.op("transpose", result, permutation=tuple(order))

    def _dot_over_rows(self, builder, node, operands):
        """The operand with its rows first comes second."""
        (lhs, rhs), (left, right) = node.inputs, operands
        if self.is_turned(node):
            left, rhs = right, lhs
        contract, dtype = ((1,), (0,)), accumulation_dtype(node.output.dtype)
        params = dict(node.params) | {"contract": contract, "dtype": dtype}
        return builder.op("dot", left, self.again[rhs], **params)


_TRANSLATE = {
    name: getattr(StripBody, name)
    for name in ("broadcast", "reshape", "transpose", "slice", "concatenate", "reduce", "dot")
}
