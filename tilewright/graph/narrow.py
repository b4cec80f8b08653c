"""A part of the rows of values, and nodes that keep rows apart, written again for so many.

In: nodes, which dimension of their values is the rows (see `apart.py`), how many. Out: the same
nodes, bodies too, on values that have so many rows where the old ones had all; and all rows of a
value as equal shares, and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import Builder, Graph, Node, Type, Value, numpy_dtype
from tilewright.graph.ops.operation import Rows


@frozen
class Cut:
    """`length` rows along a dimension as `count` shares of `each`, and back."""

    length: int
    count: int
    each: int
    dimension: int

    def shares(self, builder: Builder, value: Value) -> Value:
        """(..., rows, ...) to (shares, ..., rows of one, ...)."""
        more, d = self.count * self.each - self.length, self.dimension
        if more:
            none = (0,) * len(value.shape)
            zero = builder.constant(np.zeros((), numpy_dtype(value.dtype)))
            high = (*none[:d], more, *none[d + 1 :])
            value = builder.op("pad", value, zero, low=none, high=high, interior=none)
        before, after = value.shape[:d], value.shape[d + 1 :]
        apart = builder.op("reshape", value, shape=(*before, self.count, self.each, *after))
        order = (d, *range(d), *range(d + 1, len(apart.shape)))
        return apart if d == 0 else builder.op("transpose", apart, permutation=order)

    def joined(self, builder: Builder, many: Value) -> Value:
        d = self.dimension
        order = (*range(1, d + 1), 0, *range(d + 1, len(many.shape)))
        apart = many if d == 0 else builder.op("transpose", many, permutation=order)
        before, after = apart.shape[:d], apart.shape[d + 2 :]
        whole = builder.op("reshape", apart, shape=(*before, self.count * self.each, *after))
        if whole.shape[d] == self.length:
            return whole
        begin, limit = (0,) * len(whole.shape), (*before, self.length, *after)
        return builder.op("slice", whole, start=begin, limit=limit, stride=(1,) * len(whole.shape))


def narrowed(
    builder: Builder, nodes: Sequence[Node], here: dict[Value, Value], rows: Rows, size: int
) -> None:
    """Append nodes that keep rows apart, on `size` rows; `here`, which grows, is what they read."""
    for node in nodes:
        builder.source = node.source
        operands = [here[value] for value in node.inputs]
        types = [resized(value, rows, size) for value in node.outputs]
        bodies = [_body(body, rows, size) for body in node.bodies]
        params = dict(node.params) if node.bodies else _params(node, rows, size)
        results = builder.add(node.op, operands, types, bodies=bodies, **params)
        here.update(zip(node.outputs, results, strict=True))


def _body(body: Graph, rows: Rows, size: int) -> Graph:
    builder = Builder(resized(value, rows, size) for value in body.inputs)
    here = dict(zip(body.inputs, builder.inputs, strict=True))
    narrowed(builder, body.nodes, here, rows, size)
    return builder.graph([here[value] for value in body.outputs])


def resized(value: Value, rows: Rows, size: int) -> Type:
    row = rows.get(value)
    return Type(value.dtype, tuple(size if i == row else n for i, n in enumerate(value.shape)))


def _params(node: Node, rows: Rows, size: int) -> Mapping[str, Any]:
    """Those that say how many rows there are: a result's shape, where a slice of all rows ends."""
    params = dict(node.params)
    if not any(value in rows for value in node.outputs):
        return params
    if node.op == "slice":
        row = rows[node.output]
        limit = params["limit"]
        params["limit"] = (*limit[:row], size, *limit[row + 1 :])
    elif "shape" in params:
        params["shape"] = resized(node.output, rows, size).shape
    return params
