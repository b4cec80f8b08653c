"""Products of matrices, of any number of dimensions.

    dot (lhs, rhs) contract=((lhs dims), (rhs dims)), batch=((...), (...)), dtype=
                                result: batch, lhs free, rhs free; sums kept in float32 for 16-bit
                                floats

The order of sums is that of `graph/law.py`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Node
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
from tilewright.machine.cost import Count


def dot(lhs: np.ndarray, rhs: np.ndarray, *, contract: Any, batch: Any, dtype: str) -> np.ndarray:
    return law.dot_ordered(lhs, rhs, contract, batch, dtype)


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
    return Count(macs={lhs.dtype: macs}, iterations=1)


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


ROWS = {
    "dot": Operation(
        typed(_shape),
        dot,
        _count,
        links=_links,
        keeps_rows=_keeps_rows,
        sums_rows=_sums_rows,
        folds=True,
        flushes=True,
    )
}
