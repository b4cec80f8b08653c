"""Products of matrices, of any number of dimensions.

    dot (lhs, rhs) contract=((lhs dims), (rhs dims)), batch=((...), (...)), dtype=
                   [, leaf=][, pairs=]
                                result: batch, lhs free, rhs free; sums kept in float32 for 16-bit
                                floats

The order of sums is that of `graph/law.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Builder, Node, Value
from tilewright.graph.ops.in_strip import Strip
from tilewright.graph.ops.operation import (
    Links,
    Operation,
    Params,
    Rows,
    Shape,
    Types,
    typed,
    without,
)
from tilewright.machine.cost import Count, narrow


def dot(
    lhs: np.ndarray,
    rhs: np.ndarray,
    *,
    contract: Any,
    batch: Any,
    dtype: str,
    leaf: int = law.LEAF,
    pairs: bool = False,
) -> np.ndarray:
    return law.dot_ordered(lhs, rhs, contract, batch, dtype, leaf, pairs)


def _shape(operands: Types, params: Params) -> Shape:
    lhs, rhs = (t.shape for t in operands)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = params["contract"], params["batch"]
    return (
        tuple(lhs[i] for i in lhs_batch)
        + without(lhs, (*lhs_contract, *lhs_batch))
        + without(rhs, (*rhs_contract, *rhs_batch))
    )


def _count(node: Node) -> Count:
    lhs, contract = node.inputs[0], node.params["contract"][0]
    macs = node.output.type.size * prod(lhs.shape[i] for i in contract)
    pairs = node.params.get("pairs")
    key = narrow("bfloat16", "bfloat16", "float32", pairs) if pairs else lhs.dtype
    return Count(macs={key: macs}, iterations=1)


def _links(node: Node) -> Links:
    lhs, rhs = node.inputs
    contract, batch = node.params["contract"], node.params["batch"]
    links = [((lhs, i), (rhs, j)) for i, j in zip(*contract, strict=True)]
    links += [((lhs, i), (rhs, j)) for i, j in zip(*batch, strict=True)]
    links += [((lhs, i), (node.output, j)) for j, i in enumerate(batch[0])]
    at = len(batch[0])
    for value, axes in ((lhs, (*contract[0], *batch[0])), (rhs, (*contract[1], *batch[1]))):
        for i in range(len(value.shape)):
            if i not in axes:
                links.append(((value, i), (node.output, at)))
                at += 1
    return links


def _keeps_rows(node: Node, rows: Rows) -> bool:
    """One operand has rows, and they are free."""
    lhs, rhs = node.inputs
    if (lhs in rows) == (rhs in rows):
        return False
    side = 0 if lhs in rows else 1
    row = rows[node.inputs[side]]
    return row not in node.params["contract"][side] and row not in node.params["batch"][side]


def _sums_rows(node: Node, rows: Rows) -> bool:
    """Both have rows, and nothing else is summed over."""
    lhs, rhs = node.inputs
    if lhs not in rows or rhs not in rows or node.params["batch"][0]:
        return False
    return node.params["contract"] == ((rows[lhs],), (rows[rhs],))


def _in_strip(strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]) -> Value:
    (lhs, rhs), (left, right) = node.inputs, operands
    if node.output not in strip.rows and not strip.again.keys().isdisjoint((lhs, rhs)):
        return _over_rows(strip, builder, node, operands)
    sides = [
        tuple(
            tuple(strip.axis(v, a) for a in axes)
            for v, axes in zip((lhs, rhs), node.params[name], strict=True)
        )
        for name in ("contract", "batch")
    ]
    extra = {k: v for k, v in node.params.items() if k not in ("contract", "batch")}
    if node.output not in strip.rows:
        extra["dtype"] = law.accumulation_dtype(node.output.dtype)
        flipped = node in strip.turned
    else:  # what has the rows gives the first, or the last, free dimension of the result
        flipped = (lhs in strip.rows) != strip.first
    if flipped:
        (left, right), sides = (right, left), [pair[::-1] for pair in sides]
    result = builder.op("dot", left, right, contract=sides[0], batch=sides[1], **extra)
    if node.output not in strip.rows or not flipped:
        return result
    return _free_in_order(strip, builder, result, left, right, sides)


def _free_in_order(
    strip: Strip, builder: Builder, result: Value, left: Value, right: Value, sides: Sequence
) -> Value:
    """Of a product whose operands changed places: its free dimensions as they were."""
    (contract, _), (batch, _) = sides
    count = len(batch)
    free_left = len(left.shape) - len(contract) - count
    mine = list(range(count, count + free_left))
    theirs = list(range(count + free_left, len(result.shape)))
    if strip.first:
        order = [*range(count), mine[0], *theirs, *mine[1:]]
    else:
        order = [*range(count), *theirs[:-1], *mine, theirs[-1]]
    if order == sorted(order):
        return result
    return builder.op("transpose", result, permutation=tuple(order))


def _over_rows(strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]) -> Value:
    """The operand with its rows first comes second; of the other, or a vector, they are last."""
    (lhs, rhs), (left, right) = node.inputs, operands
    if rhs not in strip.again:
        left, rhs = right, lhs
    contract = ((len(left.shape) - 1,), (0,))
    dtype = law.accumulation_dtype(node.output.dtype)
    params = dict(node.params) | {"contract": contract, "dtype": dtype}
    return builder.op("dot", left, strip.again[rhs], **params)


ROWS = {
    "dot": Operation(
        typed(_shape),
        dot,
        _count,
        links=_links,
        keeps_rows=_keeps_rows,
        sums_rows=_sums_rows,
        in_strip=_in_strip,
        folds=True,
        flushes=True,
    )
}
