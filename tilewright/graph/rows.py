"""Which dimensions of a graph's values are *rows*: one dimension that runs through a chain of
nodes.

In: a graph. Out: `row_classes`, each a table {value: its row dimension}, of the chains for which
strips pay (see `strips.py`). A value has at most one row dimension in a class.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE

MIN_ROWS = 64
"""Four vectors: fewer rows are no chain to cut, and their other dimensions fill the lanes."""
MIN_WORK = 2_000
"""Multiply-adds of a product that keeps the rows: below, its bytes fit any memory beside others."""

Slot = tuple[Value, int]
"""A dimension of a value."""


class _Classes:
    """Union-find over dimensions of values."""

    def __init__(self):
        self.parent: dict[Slot, Slot] = {}

    def find(self, slot: Slot) -> Slot:
        path = []
        while (above := self.parent.setdefault(slot, slot)) is not slot:
            path.append(slot)
            slot = above
        for below in path:
            self.parent[below] = slot
        return slot

    def join(self, one: Slot, other: Slot) -> None:
        first, second = self.find(one), self.find(other)
        if first is not second:
            self.parent[second] = first


def row_classes(graph: Graph) -> list[dict[Value, int]]:
    """Classes worth making strips of, as {value: row dimension}, the largest first, disjoint."""
    classes = _Classes()
    for node in graph.nodes:
        for one, other in _links(node):
            classes.join(one, other)
    members: dict[Slot, list[Slot]] = defaultdict(list)
    for slot in list(classes.parent):
        members[classes.find(slot)].append(slot)
    rows = []
    for slots in members.values():
        table = dict(slots)
        if len(table) == len(slots) and slots[0][0].shape[slots[0][1]] >= MIN_ROWS:
            rows.append(table)
    rows.sort(key=lambda table: -sum(value.type.size for value in table))
    chosen: list[dict[Value, int]] = []
    for table in rows:
        taken = any(value in other for other in chosen for value in table)
        if not taken and _is_worthwhile(graph, table):
            chosen.append(table)
    return chosen


def _is_worthwhile(graph: Graph, rows: dict[Value, int]) -> bool:
    """A product that keeps the rows, and a sum over them that it leads to."""
    keeps = sums = False
    for node in graph.nodes:
        if node.op == "dot" and is_member(node, rows):
            contract = node.params["contract"][0]
            depth = 1
            for axis in contract:
                depth *= node.inputs[0].shape[axis]
            keeps |= node.output.type.size * depth >= MIN_WORK
        sums |= is_sum(node, rows) and any(
            is_member(producer, rows)
            for producer in graph.nodes
            if any(v in producer.outputs for v in node.inputs)
        )
        if keeps and sums:
            return True
    return False


def _links(node: Node) -> list[tuple[Slot, Slot]]:
    """Pairs of dimensions, of operands and result, that run together."""
    if node.op in ELEMENTWISE:
        return [((v, i), (node.output, i)) for v in node.inputs for i in range(len(v.shape))]
    rule = _LINKS.get(node.op)
    return rule(node) if rule else []


def _broadcast_links(node: Node) -> list[tuple[Slot, Slot]]:
    (operand,), out = node.inputs, node.output
    pairs = enumerate(node.params["dimensions"])
    return [((operand, i), (out, j)) for i, j in pairs if operand.shape[i] == out.shape[j]]


def _transpose_links(node: Node) -> list[tuple[Slot, Slot]]:
    pairs = enumerate(node.params["permutation"])
    return [((node.inputs[0], i), (node.output, j)) for j, i in pairs]


def _reshape_links(node: Node) -> list[tuple[Slot, Slot]]:
    """Dimensions with the same number of elements before and inside."""
    old, new = node.inputs[0].shape, node.output.shape
    before: dict[tuple[int, int], int] = {}
    size = 1
    for i, n in enumerate(old):
        if n != 1:
            before[size, n] = i
        size *= n
    links, size = [], 1
    for j, n in enumerate(new):
        if n != 1 and (size, n) in before:
            links.append(((node.inputs[0], before[size, n]), (node.output, j)))
        size *= n
    return links


def _reduce_links(node: Node) -> list[tuple[Slot, Slot]]:
    kept = [i for i in range(len(node.inputs[0].shape)) if i not in node.params["axes"]]
    return [((node.inputs[0], i), (node.output, j)) for j, i in enumerate(kept)]


def _dot_links(node: Node) -> list[tuple[Slot, Slot]]:
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


def _slice_links(node: Node) -> list[tuple[Slot, Slot]]:
    operand, out = node.inputs[0], node.output
    return [((operand, i), (out, i)) for i, n in enumerate(operand.shape) if n == out.shape[i]]


def _concatenate_links(node: Node) -> list[tuple[Slot, Slot]]:
    dimension = node.params["dimension"]
    return [
        ((v, i), (node.output, i))
        for v in node.inputs
        for i in range(len(v.shape))
        if i != dimension
    ]


_LINKS = {
    "broadcast": _broadcast_links,
    "transpose": _transpose_links,
    "reshape": _reshape_links,
    "reduce": _reduce_links,
    "dot": _dot_links,
    "slice": _slice_links,
    "concatenate": _concatenate_links,
}


def is_member(node: Node, rows: dict[Value, int]) -> bool:
    """Whether a strip can compute its own rows of the node's result."""
    if len(node.outputs) != 1 or node.output not in rows:
        return False
    if node.op == "dot":
        lhs, rhs = node.inputs
        return (lhs in rows) != (rhs in rows) and _row_is_free(node, rows)
    if node.op == "slice":
        stride = node.params["stride"]
        return node.inputs[0] in rows and stride[rows[node.output]] == 1
    if node.op == "concatenate":
        return all(value in rows for value in node.inputs)
    if node.op in ("transpose", "reshape", "reduce"):
        return node.inputs[0] in rows
    return node.op in ELEMENTWISE or node.op == "broadcast"


def _row_is_free(node: Node, rows: dict[Value, int]) -> bool:
    side = 0 if node.inputs[0] in rows else 1
    row = rows[node.inputs[side]]
    contract, batch = node.params["contract"], node.params["batch"]
    return row not in contract[side] and row not in batch[side]


def _is_sum_of_leaves(node: Node, rows: dict[Value, int]) -> bool:
    """Whether any strip has whole leaves of the terms: rows outermost, and 2^j terms in a row."""
    source, axes = node.inputs[0], sorted(node.params["axes"])
    row = rows.get(source)
    if row not in axes:
        return False
    others = [axis for axis in axes if axis != row]
    before = any(source.shape[axis] != 1 for axis in others if axis < row)
    return not before and prod(source.shape[axis] for axis in others).bit_count() == 1


def is_sum(node: Node, rows: dict[Value, int]) -> bool:
    """Whether the node adds up over the rows."""
    if node.op == "reduce":
        return node.params["kind"] == "sum" and _is_sum_of_leaves(node, rows)
    if node.op != "dot":
        return False
    lhs, rhs = node.inputs
    contract, batch = node.params["contract"], node.params["batch"]
    if lhs not in rows or rhs not in rows or batch[0]:
        return False
    return contract == ((rows[lhs],), (rows[rhs],))
