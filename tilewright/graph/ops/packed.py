"""How a matrix lies that codelets read packed, and what is meant by it.

    pack (matrix) depth=                the panels of a matrix (k, n)
    dot_packed (lhs, panels) columns=   (m, k) times the panels of (k, columns): (m, columns), of
                                        `dtype`= where that is not lhs's: int32 of integers;
                                        `pairs`=: of two of bfloat16, in pairs

In: a matrix (k, n). Out: its panels (panels, ceil(k / d), 16, d), of 16 columns each: columns lie
side by side, of each of them d neighbouring k (one in float32, two in lower precisions, four of
int8 that meet uint8 or uint16). What lies beyond the matrix is zero. Products of packed matrices
are the law's `sequence`, or its `pairs`.
"""

from __future__ import annotations

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Node, Type
from tilewright.graph.law import LANES
from tilewright.graph.ops.operation import Operation, Shape, moves, typed
from tilewright.machine.cost import Count, narrow

DEPTH = {"float32": 1, "bfloat16": 2, "int8": 2}
"""Neighbouring k of a column that lie together, by the panels' dtype, unless more are asked for."""
QUAD = 4


def shape(dtype: str, k: int, n: int, depth: int | None = None) -> tuple[int, int, int, int]:
    """Of the panels of a (k, n) matrix."""
    depth = depth or DEPTH[dtype]
    return (-(-n // LANES), -(-k // depth), LANES, depth)


def pack(matrix: np.ndarray, *, depth: int | None = None) -> np.ndarray:
    """The panels of a (k, n) matrix."""
    k, n = matrix.shape
    count, groups, lanes, depth = shape(matrix.dtype.name, k, n, depth)
    padded = np.zeros((groups * depth, count * lanes), matrix.dtype)
    padded[:k, :n] = matrix
    return padded.reshape(groups, depth, count, lanes).transpose(2, 0, 3, 1).copy()


def unpack(panels: np.ndarray, k: int, n: int) -> np.ndarray:
    """The (k, n) matrix of panels."""
    count, groups, lanes, depth = panels.shape
    padded = panels.transpose(1, 3, 0, 2).reshape(groups * depth, count * lanes)
    return padded[:k, :n]


def dot_packed(
    lhs: np.ndarray,
    panels: np.ndarray,
    *,
    columns: int,
    dtype: str | None = None,
    pairs: bool = False,
) -> np.ndarray:
    """(m, k) times the panels of (k, columns); what is narrower than the result is widened."""
    matrix, order = unpack(panels, lhs.shape[1], columns), "pairs" if pairs else "sequence"
    return law.product(lhs, matrix.T, order, dtype or lhs.dtype.name)


def _panels(matrix: Type, depth: int | None) -> Shape:
    k, n = matrix.shape
    return shape(matrix.dtype, k, n, depth)


def _count(node: Node) -> Count:
    (lhs, panels), sums = node.inputs, node.output.dtype
    key = narrow(lhs.dtype, panels.dtype, sums, node.params.get("pairs"))
    return Count(macs={key: node.output.type.size * lhs.shape[1]}, iterations=1)


ROWS = {
    "pack": Operation(
        typed(lambda operands, params: _panels(operands[0], params.get("depth"))), pack, moves
    ),
    "dot_packed": Operation(
        typed(lambda operands, params: (operands[0].shape[0], params["columns"])),
        dot_packed,
        _count,
        folds=True,
        flushes=True,
    ),
}
