"""Which dimensions of a graph's values are *rows*: one dimension that runs through a chain of
nodes.

In: a graph. Out: `row_classes`, each a table {value: its row dimension}, of the chains for which
strips pay (see `strips.py`). A value has at most one row dimension in a class.
"""

from __future__ import annotations

from collections import defaultdict

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import OPERATIONS
from tilewright.graph.ops.operation import Rows, Slot

MIN_ROWS = 64
"""Four vectors: fewer rows are no chain to cut, and their other dimensions fill the lanes."""
IMAGE = 4
"""Dimensions of images, beside those of a batched product."""
MIN_WORK = 2_000
"""Multiply-adds of a product that keeps the rows: below, its bytes fit any memory beside others."""


class Classes:
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
    classes = Classes()
    for node in graph.nodes:
        for one, other in OPERATIONS[node.op].links(node) if node.op in OPERATIONS else ():
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
    """A product that keeps the rows, and a sum over them that it leads to.

    The channels of images are no rows: along them weights would be the data that is cut, and all
    places of an image be read for each strip (EfficientNet-B0 took 1.4 times as long).
    """
    keeps = sums = False
    for node in graph.nodes:
        if _is_of_images(node) and (is_member(node, rows) or is_sum(node, rows)):
            return False
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


def _is_of_images(node: Node) -> bool:
    """Whether a product reads rows and columns of images, (n, h, w, channels)."""
    return node.op == "dot" and any(
        len(value.shape) - len(batched) >= IMAGE
        for value, batched in zip(node.inputs, node.params["batch"], strict=True)
    )


def is_member(node: Node, rows: Rows) -> bool:
    """Whether a strip can compute its own rows of the node's result."""
    if len(node.outputs) != 1 or node.output not in rows or node.op not in OPERATIONS:
        return False
    return OPERATIONS[node.op].keeps_rows(node, rows)


def is_sum(node: Node, rows: Rows) -> bool:
    """Whether the node adds up over the rows."""
    return node.op in OPERATIONS and OPERATIONS[node.op].sums_rows(node, rows)
