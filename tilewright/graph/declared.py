"""Rewrite: what is declared of zeros (`masked`) is used by products, or becomes a `select`.

In: a graph, before operands find their places. Out: the same function without `masked`, but where
tiles share no memory, and masks are ways to read (see `masked_reads.py`). A product of a matrix
that is masked, here or before the loop that reads it, skips the blocks that are gone, which are
read where they lie: packing what is new with each call would cost more than it saves.
A kernel of one tap (1, 1, k, n) is such a matrix too: its convolution is a product by now. What a
user binds is better packed, and is looked at then (see `blocks.py`): `unmasked` is the rewrite for
that. Products by the transpose of such a matrix, or of some of its columns, as gradients have them,
skip blocks as well. Kernels of more taps are multiplied whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.blocks import best_pattern
from tilewright.graph.by_law import leaf_of
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES, LEAF
from tilewright.graph.masked_reads import masked_reads
from tilewright.graph.ops.blocks import masked as with_zeros
from tilewright.graph.packing import DEEP
from tilewright.graph.pattern import Pattern
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


ACROSS = 1.6
"""The same of products by the transpose: rows are turned round first, and then the result."""

GRANULES = 1.1
"""The same where a unit takes granules as large as blocks: all that is left fills them."""


def _dearer(machine: Machine) -> float:
    if not machine.chip.exchange.apart:
        return IN_PLACE
    return GRANULES if beside(machine.tile, "float32") > 1 else APART


@frozen(eq=False)
class _Known:
    """`matrix` (k, n) need not be read but for lines (panels, k); elsewhere `masked` is zero.

    `axes` are the dimensions of a value that is no more than this, turned or not: K, N, or ONE of
    one element.
    """

    matrix: Value
    masked: Value
    lines: np.ndarray
    axes: tuple[int, ...]

    @property
    def lies(self) -> bool:
        """Whether the value is the matrix as it is, perhaps with dimensions of one before it."""
        return self.axes[-2:] == (K, N)

    def summed(self, contract: tuple[int, ...]) -> list[int]:
        """What a product over those dimensions of the value sums over: K, N, or both."""
        return [axis for i in contract if (axis := self.axes[i]) != ONE]

    def columns(self, new: Rebuilder, node: Node) -> _Known | None:
        """The same of a slice of it; None where that is not of whole panels."""
        (top, first), (below, end), stride = (node.params[n] for n in ("start", "limit", "stride"))
        whole = (top, below) == (0, self.matrix.shape[0]) and tuple(stride) == (1, 1)
        if not whole or first % LANES or end % LANES:
            return None
        plain = self.matrix is self.masked
        matrix = node.output if plain else new.op("slice", self.matrix, **node.params)
        lines = self.lines[first // LANES : end // LANES]
        return replace(self, matrix=matrix, masked=node.output, lines=lines)

    def turned(self, new: Rebuilder) -> _Known | None:
        """The transpose; None where its panels are not whole."""
        panels, k = self.lines.shape
        if k % LANES:
            return None
        lines = np.repeat(self.lines.reshape(panels, -1, LANES).any(2).T, LANES, 1)
        matrix = new.op("transpose", self.masked, permutation=(1, 0))
        return _Known(matrix, matrix, lines, (K, N))


K, N, ONE = 0, 1, -1


def _of(new: Rebuilder, value: Value, lines: np.ndarray, whole: Value | None = None) -> _Known:
    """Of a value (1, ..., k, n) that is zero but for such lines; `whole` is the same unmasked."""
    shape = value.shape[-2:]
    axes = (ONE,) * (len(value.shape) - 2) + (K, N)
    return _Known(_as(new, whole or value, shape), _as(new, value, shape), lines, axes)


def _moved(new: Rebuilder, node: Node, known: Mapping[Value, _Known]) -> _Known | None:
    """The same of what a node makes of such a value; None where that is another."""
    found = known.get(node.inputs[0]) if node.op in ("reshape", "transpose", "slice") else None
    if found is None:
        return None
    if node.op == "slice":
        return found.columns(new, node) if found.axes == (K, N) else None
    if node.op == "transpose":
        return replace(found, axes=tuple(found.axes[i] for i in node.params["permutation"]))
    shape, matrix = node.output.shape, found.matrix.shape
    left = [axis for axis in found.axes if axis != ONE]
    if 1 in matrix or [n for n in shape if n != 1] != [matrix[axis] for axis in left]:
        return None
    rest = iter(left)
    return replace(found, axes=tuple(ONE if n == 1 else next(rest) for n in shape))


def declared(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    if not has_masks(graph):
        return graph
    return _declared(graph, machine, machine.chip.exchange.kind != "bound")


def declared_whole(graph: Graph, machine: Machine) -> Graph:
    """The same graph, of which all products are done whole."""
    return _declared(graph, machine, False) if has_masks(graph) else graph


def _declared(graph: Graph, machine: Machine, skips: bool) -> Graph:
    found = _Skipping(machine, skips).graph(graph, {})
    return masked_reads(found) if machine.chip.exchange.apart else found


def unmasked(graph: Graph, machine: Machine) -> Graph:
    """The same graph with a `select` in the place of each mask."""
    return _Skipping(machine, False).graph(graph, {}) if has_masks(graph) else graph


def has_masks(graph: Graph) -> bool:
    return any(node.op == "masked" or any(map(has_masks, node.bodies)) for node in graph.nodes)


@frozen
class _Skipping:
    machine: Machine
    skips: bool

    def graph(self, graph: Graph, given: Mapping[Value, _Known]) -> Graph:
        """`given` is what is known outside of what inputs stand for."""
        new, stay = Rebuilder(graph.inputs), self.machine.chip.exchange.apart
        known = {value: _of(new, value, outer.lines) for value, outer in given.items()}
        for old in graph.nodes:
            node = self._inside(new.renamed(old), known)
            new.source = node.source
            if node.op == "masked" and _keeps_all(node):
                new.replace(node.outputs, node.inputs)
            elif node.op == "masked":
                mask = new.op("masked", *node.inputs, **node.params) if stay else None
                result = mask or _select(new, node)
                new.replace(node.outputs, [result])
                if self.skips and result.type.size == prod(result.shape[-2:]):
                    known[result] = self._known(new, node, result)
            elif node.op == "dot" and (result := self._product(new, node, known)) is not None:
                new.replace(node.outputs, [result])
            else:
                new.keep(node)
                cut = node.op == "slice" and stay
                if not cut and (moved := _moved(new, node, known)) is not None:
                    known[node.output] = moved
        return replace(new.finish(graph.outputs), law=graph.law, state=graph.state)

    def _known(self, new: Rebuilder, node: Node, result: Value) -> _Known:
        """Of a mask; one that takes parts of lines is seen in its result alone."""
        lines = lines_of_mask(node)
        whole = np.array_equal(np.repeat(lines.T, LANES, 1)[:, : result.shape[-1]], _kept(node))
        return _of(new, result, lines, node.inputs[0] if whole else None)

    def _is_better_whole(self, rows: int, k: int, n: int) -> bool:
        """Rows that come from far are cut in strips."""
        far = rows * (k + n) * 4 > self.machine.tile.memory and k < DEEP
        return far and not self.machine.chip.exchange.apart

    def _inside(self, node: Node, known: Mapping[Value, _Known]) -> Node:
        """Bodies know what their constants are: those of loops, which no turn changes."""
        if node.op not in ("loop", "scan", "map"):
            return with_bodies(node, lambda body: self.graph(body, {}))
        consts = list(enumerate(node.inputs[: node.params["consts"]]))

        def inside(body: Graph) -> Graph:
            own = {body.inputs[i]: known[v] for i, v in consts if v in known and known[v].lies}
            return self.graph(body, own)

        return with_bodies(node, inside)

    def _product(self, new: Rebuilder, node: Node, known: Mapping[Value, _Known]) -> Value | None:
        """A product that skips; None where it is no such, or dense is cheaper."""
        sides = sides_of(node)
        mine = [i for i, side in enumerate(sides) if side.value in known]
        if len(mine) != 1 or is_lanes(sides) or leaf_of(node) != LEAF or node.params.get("pairs"):
            return None
        matrix, other = sides[mine[0]], folded(new, sides[1 - mine[0]])
        kinds = {matrix.value.dtype, other.value.dtype, node.output.dtype}
        found = known[matrix.value]
        if kinds != {"float32"} or matrix.batch:
            return None
        k, n = found.matrix.shape
        if n % LANES or self._is_better_whole(other.width, k, n):
            return None
        summed, result = found.summed(matrix.contract), None
        if len(summed) == 1:
            result = (self._along if summed == [K] else self._across)(new, other, found)
        if result is None:
            return None
        if mine[0] == 0:
            result = new.op("transpose", result, permutation=(1, 0))
        return _as(new, result, node.output.shape)

    def _along(self, new: Rebuilder, other: Side, found: _Known) -> Value | None:
        """(rows, k) times the matrix: (rows, n). Tiles that share no memory take some rows of a
        panel each: there must be enough of them, and they must fit."""
        k, n = found.matrix.shape
        apart = self.machine.chip.exchange.apart
        if apart and turns_of(other.width, k, n // LANES, self.machine) is None:
            return None
        lines = squares(found.lines, self.machine.tile, "float32")
        kind, dearer = found.matrix.type, _dearer(self.machine)
        pattern = best_pattern(other.width, lines, 1, kind, self.machine, dearer)
        if pattern is None:
            return None
        tables = [new.op("constant", value=table) for table in pattern.tables()]
        return new.op(
            "dot_blocks", _rows(new, other), self._read(found, pattern), *tables,
            columns=kind.shape[1], height=pattern.height,
        )  # fmt: skip

    def _across(self, new: Rebuilder, other: Side, found: _Known) -> Value | None:
        """(rows, n) times the transpose of the matrix: (rows, k). Where tiles share no memory, that
        is a matrix as any other."""
        if self.machine.chip.exchange.apart:
            turned = found.turned(new)
            return self._along(new, other, turned) if turned else None
        if other.width % LANES:
            return None
        kind = found.matrix.type
        pattern = best_pattern(other.width, found.lines, 1, kind, self.machine, ACROSS)
        if pattern is None:
            return None
        turned = Pattern(pattern.kept.T, LANES, 1)
        tables = [new.op("constant", value=table) for table in turned.tables()]
        read = self._read(found, pattern)
        return new.op("dot_across", _rows(new, other), read, *tables, height=pattern.height)

    def _read(self, found: _Known, pattern: Pattern) -> Value:
        """The matrix as it is, where blocks have nothing of it that the mask has not."""
        whole = np.array_equal(pattern.lines, found.lines)
        return found.matrix if whole and not self.machine.chip.exchange.apart else found.masked


def _rows(new: Rebuilder, side: Side) -> Value:
    """(rows, k)."""
    order, value = (*side.free, *side.contract), side.value
    if order != tuple(range(len(order))):
        value = new.op("transpose", value, permutation=order)
    return _as(new, value, (side.width, side.terms))


def _as(new: Rebuilder, value: Value, shape: tuple[int, ...]) -> Value:
    return value if value.shape == shape else new.op("reshape", value, shape=shape)


def _kept(node: Node) -> np.ndarray:
    """(k, n): which numbers may differ from zero."""
    return with_zeros(np.ones(node.output.shape[-2:], bool), **node.params)


def lines_of_mask(node: Node) -> np.ndarray:
    """(panels, k): which lines of 16 columns may differ from zero."""
    k, n = node.output.shape[-2:]
    padded = np.zeros((k, -(-n // LANES) * LANES), bool)
    padded[:, :n] = _kept(node)
    return np.any(padded.reshape(k, -1, LANES), 2).T


def _keeps_all(node: Node) -> bool:
    return bool(node.params["kept"].all())


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
