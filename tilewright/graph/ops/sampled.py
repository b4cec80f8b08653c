"""Products of which only some blocks are wanted: gradients of a matrix that is masked.

    dot_sampled (lhs, rhs, places, starts) height=        lhs (t, m) and rhs (t, n), summed over t:
                                                          (m, n), zero but for the blocks
    add_sampled (base, lhs, rhs, places, starts) height=  base (m, n) with the same blocks added

In: float32 matrices; `places` and `starts` of the blocks of `height` rows x 16 columns, as of
`dot_blocks` (see `blocks.py`): of the result, whose n are whole panels. Both are constants.

The law is that of the whole product, in `sequence`, and of what is added to it: a block has its
bits. (Sampled products: "SDDMM" in the literature of sparse matrices.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Node
from tilewright.graph.law import LANES
from tilewright.graph.ops.blocks import leaves_of
from tilewright.graph.ops.operation import Operation, typed
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count


def where(places: np.ndarray, starts: np.ndarray, height: int, rows: int) -> np.ndarray:
    """(rows, columns), bool: what the blocks have, panel after panel."""
    return np.repeat(np.repeat(kept_of(places, starts, height, rows).T, height, 0), LANES, 1)


def kept_of(places: np.ndarray, starts: np.ndarray, height: int, rows: int) -> np.ndarray:
    """(panels, blocks down), bool: which of them the tables have."""
    panels = np.repeat(np.arange(len(starts)), starts[:, -1, 1] - starts[:, 0, 0])
    found = np.zeros((len(starts), rows // height), bool)
    found[panels, places // height] = True
    return found


def sums(lhs: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """(m, n): all of the product."""
    return law.product(lhs.T, rhs.T, "sequence", "float32")


def dot_sampled(
    lhs: np.ndarray, rhs: np.ndarray, places: np.ndarray, starts: np.ndarray, *, height: int
) -> np.ndarray:
    kept = where(places, starts, height, lhs.shape[1])
    return np.where(kept, sums(lhs, rhs), np.float32(0))


def add_sampled(
    base: np.ndarray,
    lhs: np.ndarray,
    rhs: np.ndarray,
    places: np.ndarray,
    starts: np.ndarray,
    *,
    height: int,
) -> np.ndarray:
    kept = where(places, starts, height, len(base))
    return np.where(kept, SCALAR["add"](base, sums(lhs, rhs), dtype="float32"), base)


def _faults(node: Node) -> Iterable[str]:
    lhs, rhs, places, starts = node.inputs[-4:]
    (m, n), height = node.output.shape, node.params["height"]
    if {value.dtype for value in (lhs, rhs, node.output)} != {"float32"}:
        yield "sampled products are of float32"
    if lhs.shape[0] != rhs.shape[0] or (lhs.shape[1], rhs.shape[1]) != (m, n):
        yield "both matrices have all terms"
    if n % LANES or m % height:
        yield "whole blocks make up the result"
    if len(places.shape) != 1 or places.dtype != "int32":
        yield "every block has a place"
    if starts.shape != (n // LANES, leaves_of(m), 2) or starts.dtype != "int32":
        yield "every leaf of a panel has a range of blocks"


def _count(node: Node) -> Count:
    lhs, _, places, _ = node.inputs[-4:]
    size = places.type.size * node.params["height"] * LANES
    return Count(macs={"float32": lhs.shape[0] * size}, iterations=1)


ROWS = {
    "dot_sampled": Operation(
        typed(lambda operands, params: (operands[0].shape[1], operands[1].shape[1])),
        dot_sampled,
        _count,
        _faults,
        flushes=True,
    ),
    "add_sampled": Operation(
        typed(lambda operands, params: operands[0].shape),
        add_sampled,
        _count,
        _faults,
        updates=True,
    ),
}
