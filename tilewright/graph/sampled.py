"""Rewrite: products of which a mask hides most compute what is left, and nothing else.

In: a graph, before masks are used otherwise (see `declared.py`). Out: the same function. Where all
that reads a product is a mask, at once or after sums, and after a loop that carries the sum, only
blocks that the mask has kept are computed and added up: gradients of a matrix of a declared pattern
are such products. Elsewhere such a sum is whatever it began with, and the mask hides it.
Chains over many rows, which are cut in strips, and products of which too much is left stay whole.
Where tiles share no memory sums are added up afterwards: what is made of them finds its own place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.blocks import best_pattern
from tilewright.graph.by_law import leaf_of
from tilewright.graph.declared import IN_PLACE, has_masks, lines_of_mask
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES, LEAF
from tilewright.graph.packing import DEEP
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.graph.sides import Side, is_lanes, sides_of
from tilewright.machine.granules import squares
from tilewright.machine.machine import Machine

Lines = np.ndarray | None
"""(panels, k): which lines of 16 columns of a matrix (k, n) anybody reads; None: all."""
Needs = Mapping[Value, Lines]
Product = tuple[Sequence[Value], int]
"""What a sampled product reads, but for what it is added to, and how tall its blocks are."""


def sampled(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    if machine.chip.exchange.kind == "bound" or not has_masks(graph):
        return graph
    return _Sampling(machine).graph(graph, [None] * len(graph.outputs))


@frozen
class _Sampling:
    machine: Machine

    @property
    def _apart(self) -> bool:
        return self.machine.chip.exchange.apart

    def graph(self, graph: Graph, wanted: Sequence[Lines]) -> Graph:
        """`wanted` of the outputs."""
        needs, readers = _needs(graph, wanted), graph.readers()
        new, waiting = Rebuilder(graph.inputs), dict[Value, Product]()
        for old in graph.nodes:
            node = self._inside(new.renamed(old), [needs.get(v) for v in old.outputs])
            new.source = node.source
            lines = needs.get(old.outputs[0]) if old.outputs else None
            product = self._product(new, node, lines) if lines is not None else None
            if product is not None and not self._apart and _is_added(readers[old.output]):
                waiting[old.output] = product
            elif product is not None:
                new.replace(old.outputs, [_sum(new, product)])
            elif waiting.keys() & set(old.inputs):
                new.replace(old.outputs, [_added(new, old, waiting)])
            else:
                new.keep(node)
        return replace(new.finish(graph.outputs), law=graph.law, state=graph.state)

    def _inside(self, node: Node, wanted: Sequence[Lines]) -> Node:
        """Bodies know what is wanted of the sums that a scan carries."""
        if node.op != "scan":
            return with_bodies(node, lambda body: self.graph(body, [None] * len(body.outputs)))
        carry, consts = node.params["carry"], node.params["consts"]

        def inside(body: Graph) -> Graph:
            carries = body.inputs[consts : consts + carry]
            return self.graph(body, _carried(body, carries, wanted))

        return with_bodies(node, inside)

    def _product(self, new: Rebuilder, node: Node, lines: np.ndarray) -> Product | None:
        """A product (m, n) by its blocks; None where it is no such, or whole is cheaper."""
        if node.op != "dot" or leaf_of(node) != LEAF or node.params.get("pairs"):
            return None
        left, right = sides = sides_of(node)
        flat = all(len(side.value.shape) == 2 and len(side.contract) == 1 for side in sides)
        kinds = {left.value.dtype, right.value.dtype, node.output.dtype}
        if not flat or kinds != {"float32"} or is_lanes(sides):
            return None
        if self._is_better_whole(left.terms, left.width, right.width):
            return None
        kind, dearer = node.output.type, 1.0 if self._apart else IN_PLACE
        lines = squares(lines, self.machine.tile, kind.dtype)
        pattern = best_pattern(left.terms, lines, 1, kind, self.machine, dearer)
        if pattern is None:
            return None
        tables = [new.op("constant", value=table) for table in pattern.tables()]
        return [*(_by_terms(new, side) for side in sides), *tables], pattern.height

    def _is_better_whole(self, terms: int, m: int, n: int) -> bool:
        """Rows that come from far are cut in strips, each with a sum of its own; where tiles share
        no memory, each panel has tiles of its own."""
        if self._apart:
            return n // LANES > self.machine.chip.tiles
        return terms * (m + n) * 4 > self.machine.tile.memory and m < DEEP


def _by_terms(new: Rebuilder, side: Side) -> Value:
    """(terms, width)."""
    turned = side.contract != (0,)
    return new.op("transpose", side.value, permutation=(1, 0)) if turned else side.value


def _is_added(readers: Sequence[Node | None]) -> bool:
    return len(readers) == 1 and readers[0] is not None and readers[0].op == "add"


def _sum(new: Rebuilder, product: Product) -> Value:
    operands, height = product
    return new.op("dot_sampled", *operands, height=height)


def _added(new: Rebuilder, node: Node, waiting: Mapping[Value, Product]) -> Value:
    """A sum of something and a product, or of two products."""
    first, last = node.inputs if node.inputs[1] in waiting else reversed(node.inputs)
    base = _sum(new, waiting[first]) if first in waiting else new.read(first)
    operands, height = waiting[last]
    return new.op("add_sampled", base, *operands, height=height)


def _carried(body: Graph, carries: Sequence[Value], wanted: Sequence[Lines]) -> list[Lines]:
    """What is wanted of a body's outputs: of a carry all, where a trip reads more than that."""
    found = [*wanted[: len(carries)], *(None for _ in body.outputs[len(carries) :])]
    while True:
        needs = _needs(body, found)
        wider = [i for i, value in enumerate(carries) if not _is_within(value, needs, found[i])]
        if not wider:
            return found
        for i in wider:
            found[i] = None


def _is_within(value: Value, needs: Needs, lines: Lines) -> bool:
    if lines is None or value not in needs:
        return True
    read = needs[value]
    return read is not None and not (read & ~lines).any()


def _needs(graph: Graph, wanted: Sequence[Lines]) -> dict[Value, Lines]:
    """What is read of each value that anybody reads."""
    needs: dict[Value, Lines] = {}

    def read(value: Value, lines: Lines) -> None:
        before = needs.get(value, lines)
        needs[value] = None if lines is None or before is None else lines | before

    for output, lines in zip(graph.outputs, wanted, strict=True):
        read(output, lines)
    for node in reversed(graph.nodes):
        lines = _read_by(node, needs)
        for value in node.inputs:
            read(value, lines)
    return needs


def _read_by(node: Node, needs: Needs) -> Lines:
    """What a node reads of its operands."""
    if node.op == "masked" and len(node.output.shape) == 2 and node.output.shape[1] % LANES == 0:
        return lines_of_mask(node)
    return needs.get(node.output) if node.op == "add" else None
