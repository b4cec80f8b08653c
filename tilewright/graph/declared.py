"""Rewrite: what is declared of zeros (`masked`) is used by products, or becomes a `select`.

In: a graph, before operands find their places. Out: the same function without `masked`. A product
of a matrix that is masked, here or before the loop that reads it, skips the blocks that are gone,
which are read where they lie: packing what is new with each call would cost more than it saves.
What a user binds is better packed, and is looked at then (see `blocks.py`): `unmasked` is the
rewrite for that. Kernels of convolutions, and products of a gradient by the transpose, of which
blocks lie across, are multiplied whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tilewright.graph.blocks import best_pattern
from tilewright.graph.by_law import leaf_of
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES, LEAF
from tilewright.graph.packing import DEEP
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.graph.sides import Side, folded, is_lanes, sides_of
from tilewright.machine.granules import beside, squares
from tilewright.machine.machine import Machine
from tilewright.machine.panels import turns_of

IN_PLACE = 1.25
"""Times as long as packed blocks of the same number take, at most."""

APART = 1.8
"""The same on tiles that share no memory, where short rows of few blocks fill no unit: of half the
blocks, 1024 x 1024 on a GC200, 0.8 of the time; of a quarter, 0.4."""


GRANULES = 1.1
"""The same where a unit takes granules as large as blocks: all that is left fills them."""


def _dearer(machine: Machine) -> float:
    if not machine.chip.exchange.apart:
        return IN_PLACE
    return GRANULES if beside(machine.tile, "float32") > 1 else APART


@dataclass(frozen=True, eq=False)
class _Known:
    """`matrix` (k, n) need not be read but for lines (panels, k); elsewhere `masked` is zero."""

    matrix: Value
    masked: Value
    lines: np.ndarray


def declared(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    if not _has_masks(graph):
        return graph
    return _Skipping(machine, machine.chip.exchange.kind != "bound").graph(graph, {})


def unmasked(graph: Graph, machine: Machine) -> Graph:
    """The same graph with a `select` in the place of each mask."""
    return _Skipping(machine, False).graph(graph, {}) if _has_masks(graph) else graph


def _has_masks(graph: Graph) -> bool:
    return any(node.op == "masked" or any(map(_has_masks, node.bodies)) for node in graph.nodes)


@dataclass(frozen=True)
class _Skipping:
    machine: Machine
    skips: bool

    def graph(self, graph: Graph, given: Mapping[Value, _Known]) -> Graph:
        """`given` is what is known of inputs."""
        new, known = Rebuilder(graph.inputs), dict(given)
        for old in graph.nodes:
            node = self._inside(new.renamed(old), known)
            new.source = node.source
            if node.op == "masked":
                result = _select(new, node)
                new.replace(node.outputs, [result])
                if self.skips and len(result.shape) == 2:
                    known[result] = _Known(node.inputs[0], result, _lines(node))
            elif node.op == "dot" and (result := self._product(new, node, known)) is not None:
                new.replace(node.outputs, [result])
            else:
                new.keep(node)
        return replace(new.finish(graph.outputs), law=graph.law, state=graph.state)

    def _is_better_whole(self, rows: int, k: int, n: int) -> bool:
        """Rows that come from far are cut in strips; tiles that share no memory take some rows of a
        panel each: there must be enough of them, and they must fit."""
        if not self.machine.chip.exchange.apart:
            return rows * (k + n) * 4 > self.machine.tile.memory and k < DEEP
        return turns_of(rows, k, n // LANES, self.machine) is None

    def _inside(self, node: Node, known: Mapping[Value, _Known]) -> Node:
        """Bodies know what their constants are: those of loops, which no turn changes."""
        if node.op not in ("loop", "scan", "map"):
            return with_bodies(node, lambda body: self.graph(body, {}))
        consts = list(enumerate(node.inputs[: node.params["consts"]]))

        def inside(body: Graph) -> Graph:
            own = {
                body.inputs[i]: _Known(body.inputs[i], body.inputs[i], known[v].lines)
                for i, v in consts
                if v in known
            }
            return self.graph(body, own)

        return with_bodies(node, inside)

    def _product(self, new: Rebuilder, node: Node, known: Mapping[Value, _Known]) -> Value | None:
        """A product that skips; None where it is no such, or dense is cheaper."""
        sides = [folded(new, side) for side in sides_of(node)]
        mine = [i for i, side in enumerate(sides) if side.value in known]
        if len(mine) != 1 or is_lanes(sides) or leaf_of(node) != LEAF or node.params.get("pairs"):
            return None
        matrix, other = sides[mine[0]], sides[1 - mine[0]]
        kinds = {matrix.value.dtype, other.value.dtype, node.output.dtype}
        if kinds != {"float32"} or matrix.batch or matrix.contract != (0,):
            return None
        k, n = matrix.value.shape
        if n % LANES or self._is_better_whole(other.width, k, n):
            return None
        found, tile = known[matrix.value], self.machine.tile
        lines = squares(found.lines, tile, "float32")
        read = found.matrix if np.array_equal(lines, found.lines) else found.masked
        dearer = _dearer(self.machine)
        pattern = best_pattern(other.width, lines, 1, found.matrix.type, self.machine, dearer)
        if pattern is None:
            return None
        places, starts = (new.op("constant", value=table) for table in pattern.tables())
        result = new.op(
            "dot_blocks", _rows(new, other), read, places, starts,
            columns=n, height=pattern.height,
        )  # fmt: skip
        if mine[0] == 0:
            result = new.op("transpose", result, permutation=(1, 0))
        shape = node.output.shape
        return result if result.shape == shape else new.op("reshape", result, shape=shape)


def _rows(new: Rebuilder, side: Side) -> Value:
    """(rows, k)."""
    order, value = (*side.free, *side.contract), side.value
    if order != tuple(range(len(order))):
        value = new.op("transpose", value, permutation=order)
    shape = (side.width, side.terms)
    return value if value.shape == shape else new.op("reshape", value, shape=shape)


def _lines(node: Node) -> np.ndarray:
    """(panels, k): which lines of 16 columns may differ from zero."""
    kept, tall, wide = (node.params[name] for name in ("kept", "tall", "wide"))
    k, n = node.output.shape
    where = np.repeat(np.repeat(kept, tall, 0), wide, 1)[:k, :n]
    padded = np.zeros((k, -(-n // LANES) * LANES), bool)
    padded[:, :n] = where
    return np.any(padded.reshape(k, -1, LANES), 2).T


def _select(new: Rebuilder, node: Node) -> Value:
    """Zeros for all that the mask has not."""
    (matrix,) = node.inputs
    kept, tall, wide = (node.params[name] for name in ("kept", "tall", "wide"))
    where, (rows, columns) = new.op("constant", value=kept), kept.shape
    if (tall, wide) != (1, 1):
        shape = (rows, tall, columns, wide)
        where = new.op("broadcast", where, shape=shape, dimensions=(0, 2))
        where = new.op("reshape", where, shape=(rows * tall, columns * wide))
    rank, last = len(matrix.shape), matrix.shape[-2:]
    if where.shape != last:
        where = new.op("slice", where, start=(0, 0), limit=last, stride=(1, 1))
    if rank > 2:
        dimensions = (rank - 2, rank - 1)
        where = new.op("broadcast", where, shape=matrix.shape, dimensions=dimensions)
    zero = new.op("constant", value=np.zeros((), matrix.type.numpy))
    zeros = new.op("broadcast", zero, shape=matrix.shape, dimensions=())
    return new.op("select", where, zeros, matrix)
