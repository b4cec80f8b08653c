"""Products of a packed matrix of which only some blocks are left; the others are zero.

    dot_blocks (lhs, blocks, places, starts) columns=    (m, k) times the blocks: (m, columns), of
                                                         `dtype`= where that is not lhs's
    dot_across (lhs, matrix, places, starts) height=     (m, k) times the transpose of a whole
                                                         matrix (n, k): (m, n)
    masked (matrices) kept=, tall=, wide=                (..., k, n), zero but for blocks of
                                                         tall x wide that `kept` has

In: a matrix (k, n) in panels of 16 columns (see `packed.py`), of which `blocks`
(count, h, 16, d) holds those that are left, panel by panel, of a panel from the first k on: each is
h lines of panels, h d neighbouring k of 16 columns. `places` (count,), int32: a block's first k.
`starts` (panels, leaves, 2), int32: the blocks that meet a leaf of the sum, from ... to. Both are
constants: a pattern is part of the graph, and so of what a program is found again by. Weights are
data. `blocks` may also be the whole matrix (k, columns), in which blocks of `height`= rows are read
where they lie: for what is known of a matrix that is an argument. Across, blocks are `height`= rows
x 16 columns of the matrix, row of blocks by row of blocks: k runs along the columns.

The law is that of the product with zeros in the place of blocks that are not there, in `sequence`,
but for those terms, which take no part. While the operands are finite the bits are the same: a
product with zero adds +0 or -0, and what it is added to begins at +0. They differ in two things.
A sum that is -0, as a product below the smallest float gives it, keeps its sign (a zero term might
have made it +0). And what is not read does not show: an infinity or a NaN of lhs that meets only
blocks that are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tilewright.graph import law
from tilewright.graph.floats import flush
from tilewright.graph.fma import chain32
from tilewright.graph.ir import Node
from tilewright.graph.law import LANES
from tilewright.graph.ops.operation import Operation, moves, same, typed
from tilewright.graph.ops.packed import unpack
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count, narrow


def whole_panels(blocks: np.ndarray, places: np.ndarray, starts: np.ndarray, k: int) -> np.ndarray:
    """The panels that the blocks are what is left of, with zeros for what is gone."""
    _, height, lanes, depth = blocks.shape
    panels = np.zeros((len(starts), k // depth, lanes, depth), blocks.dtype)
    for panel, leaves in zip(panels, starts, strict=True):
        for start, stop in leaves:
            for number in range(start, stop):
                first = places[number] // depth
                panel[first : first + height] = blocks[number]
    return panels


def sums(
    lhs: np.ndarray, blocks: np.ndarray, places: np.ndarray, starts: np.ndarray, columns: int
) -> np.ndarray:
    """(m, columns), in float32 or int32, by the law."""
    if blocks.dtype == np.int8:  # they wrap, and have no order
        matrix = unpack(whole_panels(blocks, places, starts, lhs.shape[1]), lhs.shape[1], columns)
        return law.product(lhs, matrix.T, "sequence", "int32")
    rows, matrix = (flush(SCALAR["convert"](x, dtype="float32")) for x in (lhs, blocks))
    panels, leaves, _ = starts.shape
    parts = np.zeros((leaves, len(lhs), panels, blocks.shape[2]), np.float32)
    lines = rows.T.astype(np.float64)
    for part, ranges in zip(parts, starts.swapaxes(0, 1), strict=True):
        _add(part, lines, matrix, places, ranges)
    if not leaves:
        return np.zeros((len(lhs), columns), np.float32)
    total = law.combine_pairs("sum", parts)
    return total.reshape(len(lhs), -1)[:, :columns]


def _add(
    part: np.ndarray, lines: np.ndarray, blocks: np.ndarray, places: np.ndarray, ranges: np.ndarray
) -> None:
    """One leaf's terms, all panels at once: the first block of each, then the second.

    `lines` (k, m) are the other operand's, in float64.
    """
    _, height, _, depth = blocks.shape
    first, counts = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
    for turn in range(counts.max(initial=0)):
        (some,) = np.nonzero(counts > turn)
        number = first[some] + turn
        terms = places[number] + np.arange(height * depth)[:, None]  # (steps, panels)
        x = lines[terms].swapaxes(1, 2)[..., None]
        y = blocks[number].astype(np.float64).transpose(1, 3, 0, 2)
        y = y.reshape(len(terms), 1, len(number), -1)
        part[:, some] = chain32(x, y, part[:, some])


def dot_blocks(
    lhs: np.ndarray,
    blocks: np.ndarray,
    places: np.ndarray,
    starts: np.ndarray,
    *,
    columns: int,
    dtype: str | None = None,
    height: int = 0,
) -> np.ndarray:
    """(m, k) times the blocks of (k, columns)."""
    if height:
        blocks = taken(blocks, places, starts, height)
    found = sums(lhs, blocks, places, starts, columns)
    return SCALAR["convert"](found, dtype=dtype or lhs.dtype.name)


def dot_across(
    lhs: np.ndarray, matrix: np.ndarray, places: np.ndarray, starts: np.ndarray, *, height: int
) -> np.ndarray:
    """(m, k) times the transpose of (n, k), whose blocks are taken as columns of panels."""
    rows = np.repeat(np.arange(len(starts)), starts[:, -1, 1] - starts[:, 0, 0])
    matrix = matrix.reshape(-1, height, matrix.shape[1])
    blocks = matrix[rows[:, None], :, places[:, None] + np.arange(LANES)]
    return sums(lhs, blocks[..., None], places, starts, len(starts) * height)


def taken(matrix: np.ndarray, places: np.ndarray, starts: np.ndarray, height: int) -> np.ndarray:
    """(count, height, 16, 1): the blocks of a whole matrix."""
    panel = np.repeat(np.arange(len(starts)), starts[:, -1, 1] - starts[:, 0, 0])
    panels = matrix.reshape(len(matrix), -1, LANES)
    lines = places[:, None] + np.arange(height)
    return panels[lines, panel[:, None]][..., None]


def masked(matrices: np.ndarray, *, kept: np.ndarray, tall: int, wide: int) -> np.ndarray:
    """(..., k, n) with zeros for blocks that are not kept."""
    where = np.repeat(np.repeat(kept, tall, 0), wide, 1)
    where = where[: matrices.shape[-2], : matrices.shape[-1]]
    return np.where(where, matrices, np.zeros((), matrices.dtype))


def _faults(node: Node) -> Iterable[str]:
    lhs, blocks, places, starts = node.inputs
    if node.params.get("height"):
        count, height, lanes, depth = places.shape[0], node.params["height"], LANES, 1
        if blocks.shape != (lhs.shape[1], node.params["columns"]) or blocks.shape[1] % LANES:
            yield "a whole matrix is of k rows, and whole panels"
    else:
        count, height, lanes, depth = blocks.shape
    if lanes != LANES:
        yield f"blocks are of {LANES} columns"
    if lhs.shape[1] % (height * depth):
        yield "whole blocks make up k"
    if places.shape != (count,) or places.dtype != "int32":
        yield "every block has a place"
    if starts.shape != (-(-node.params["columns"] // LANES), leaves_of(lhs.shape[1]), 2):
        yield "every leaf of a panel has a range of blocks"


def _faults_across(node: Node) -> Iterable[str]:
    (lhs, matrix, places, starts), height = node.inputs, node.params["height"]
    if {value.dtype for value in (lhs, matrix)} != {"float32"}:
        yield "products across are of float32"
    if lhs.shape[1] != matrix.shape[1] or matrix.shape[1] % LANES or matrix.shape[0] % height:
        yield "a whole matrix has k columns, and whole blocks"
    if len(places.shape) != 1 or places.dtype != "int32":
        yield "every block has a place"
    if starts.shape != (matrix.shape[0] // height, leaves_of(lhs.shape[1]), 2):
        yield "every leaf of a row of blocks has a range of them"


def leaves_of(k: int) -> int:
    """Of a sum of k terms."""
    return -(-k // law.LEAF)


def _count(node: Node) -> Count:
    lhs, blocks, places, _ = node.inputs
    size = blocks.type.size
    if node.params.get("height"):
        size = places.shape[0] * node.params["height"] * LANES
    key = narrow(lhs.dtype, blocks.dtype, node.output.dtype, node.params.get("pairs"))
    return Count(macs={key: lhs.shape[0] * size}, iterations=1)


def _count_across(node: Node) -> Count:
    lhs, _, places, _ = node.inputs
    size = places.type.size * node.params["height"] * LANES
    return Count(macs={"float32": lhs.shape[0] * size}, iterations=1)


ROWS = {
    "dot_blocks": Operation(
        typed(lambda operands, params: (operands[0].shape[0], params["columns"])),
        dot_blocks,
        _count,
        _faults,
        flushes=True,
    ),
    "dot_across": Operation(
        typed(lambda operands, params: (operands[0].shape[0], operands[1].shape[0])),
        dot_across,
        _count_across,
        _faults_across,
        flushes=True,
    ),
    "masked": Operation(typed(same), masked, moves),
}
