"""At which end the rows of a strip's values lie: last, in vector lanes, or first.

In: the nodes of a chain over rows. Out: `rows_first`. The choice alters no bit.

With rows last every product fills its lanes, whatever the widths of the layers. With rows first
lanes run along the layers' units: nothing is turned round before products sum over the rows, and
rows of data are read as they usually lie, but what is narrower than a vector wastes lanes, and
products with a single column turn their rows into columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tilewright.graph.ir import Node, Value
from tilewright.machine.machine import Machine

LANES = 8
"""Lanes that a part of a vector has, at least: a product's last columns are done in as many as they
need, in half the time where 16 lanes are two halves."""
TURNING = 2.6
"""Multiply-adds for which an element is turned round: of a block of 16 x 16, 64 shuffles."""


def is_product_of_matrices(node: Node) -> bool:
    """Whether both operands are matrices: then the law takes their sums in sequence."""
    return all(len(v.shape) == 2 for v in node.inputs)


def widths(node: Node) -> tuple[int, int]:
    """(m, n) of a product: the extents of its free dimensions."""
    m, n = (
        prod(extent for i, extent in enumerate(v.shape) if i not in (*contract, *batch))
        for v, contract, batch in zip(
            node.inputs, node.params["contract"], node.params["batch"], strict=True
        )
    )
    return m, n


def rows_first(nodes: Sequence[Node], rows: dict[Value, int], machine: Machine) -> bool:
    """Whether a chain costs less, in multiply-adds a row, with its rows first."""
    products = [node for node in nodes if node.op == "dot"]
    if any(any(node.params["batch"]) for node in products):
        return False
    made = {node.output for node in nodes}
    lanes = min(LANES, machine.tile.features.vector_bits // 32)
    first = sum(_first(node, rows, lanes) for node in products)
    return first < sum(_last(node, rows, made, lanes) for node in products)


def _filled(width: int, lanes: int) -> int:
    """The lanes that so many columns take."""
    return -(-width // lanes) * lanes


def _depth(node: Node) -> int:
    return prod(node.inputs[0].shape[i] for i in node.params["contract"][0])


def _first(node: Node, rows: dict[Value, int], lanes: int) -> float:
    m, n = widths(node)
    if node.output not in rows:
        narrow, wide = sorted((m, n))
        return narrow * _filled(wide, lanes)
    other = n if node.inputs[0] in rows else m
    if other == 1:
        return _depth(node) * (1 + TURNING)
    return _depth(node) * _filled(other, lanes)


def _last(node: Node, rows: dict[Value, int], made: set[Value], lanes: int) -> float:
    m, n = widths(node)
    if node.output in rows:
        return _depth(node) * (n if node.inputs[0] in rows else m)
    given = [width for v, width in zip(node.inputs, (m, n), strict=True) if v not in made]
    if given:  # an x, with its rows first as well
        return m * n / max(given) * _filled(max(given), lanes)
    return m * n + TURNING * max(m, n)
