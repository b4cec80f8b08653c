"""Which products read a matrix that stays in the order of their codelet, and how they are written.

In: a product whose one operand never changes, while a loop runs or from run to run. Out: the same
product, bit for bit, of the `pack`ed operand, or nothing where that would not pay. Panels of 16
columns (see `ops/packed.py`) are read one line after the other by any number of rows, on every
level: of 256 x 1024 in float32, one row takes 0.70 of the time that it takes over rows as they are,
64 rows 0.95 of it with AVX-512 and 0.8 with AVX2, where those rows meet in few sets of a cache.

What a product would widen first (bfloat16 to float32, int8 to int32) is packed as narrow as it was
and widened in registers, exactly: fewer bytes, the same bits. Integers stay narrow on both sides,
and so do bfloat16 in pairs (see `law.py`), which one instruction multiplies where there is it.
"""

from __future__ import annotations

from collections import defaultdict
from math import inf

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import Graph, Node, Value, numpy_dtype
from tilewright.graph.law import LANES
from tilewright.graph.ops.packed import QUAD
from tilewright.graph.rewrite import Rebuilder
from tilewright.graph.sides import Side, folded, is_lanes, sides_of
from tilewright.machine.machine import Tile

WORTH_TRIPS, WORTH_ROWS, WORTH_NARROW = 8, 128, 16
"""Products that read it, or rows of them, until packing has paid for itself; rows of what would be
widened else: 20 rows times 200 x 800 take a sixth of the time in 8 bits, half of it in pairs."""
SMALL = 1 / 4
"""A share of the nearest memory, up to which an operand is read as fast as it lies."""
DEEP = 128
"""Terms from which on rows may come from far: 16 a cycle then take 25 times as long as an output
takes to go there and back (8 bytes, 25 a cycle)."""
WIDE = 4 * LANES
"""Columns from which on the last panel may be partly filled."""
KINDS = {
    ("float32", "float32", "float32"),
    ("float32", "bfloat16", "float32"),
    ("int16", "int8", "int32"),
    ("int8", "int8", "int32"),
}
"""Rows, panels and sums that can be packed."""
UNSIGNED = ("uint8", "int8")
"""Operands of the unit that multiplies bytes: one of them has no sign."""
IN_PLANES = 4
"""Rows of 16 bits up to which they meet that unit as two rows of bytes each. That takes as long as
the unit of 16 bits does, whose panels are widened: of few rows it counts (one times 256 x 1024 and
an LSTM's gates: 2.97 us for 4.19 on Zen 4)."""


PAIRS, AS_THEY_ARE = ("int16", "int16"), 4
"""Where there is a unit for pairs but none for bytes, rows of bytes up to which they meet panels of
four neighbours: no byte is widened, but of many rows the panels were widened once for all."""


@frozen
class Packing:
    """For the products of one graph, run `trips` times before an operand that stays changes.

    `turned` operands are read along two ways.
    """

    tile: Tile
    trips: float
    turned: frozenset[Value]

    @classmethod
    def of(cls, graph: Graph, tile: Tile, trips: float = inf) -> Packing:
        return cls(tile, trips, frozenset(_read_two_ways(graph)))

    def product(self, new: Rebuilder, node: Node, sides: list[Side], mine: int) -> Value | None:
        """`mine` is the position of the operand that stays."""
        if sides[mine].value in self.turned:
            return None
        pairs = bool(node.params.get("pairs"))
        sides = sides if pairs else _narrow(new, node, sides, mine)
        matrix, other = sides[mine], sides[1 - mine]
        if not self._pays(node, sides, mine):
            return None
        rows = _as_matrix(new, other, (*other.free, *other.contract), (other.width, other.terms))
        order, shape = (*matrix.contract, *matrix.free), (matrix.terms, matrix.width)
        panels = _as_matrix(new, matrix, order, shape)
        if pairs:
            result = _times_in_pairs(new, rows, panels, node.output.dtype)
        else:
            columns, wanted = (panels.shape[1],), node.output.shape
            lead = wanted[:-1] if mine == 1 and wanted[-1:] == columns else rows.shape[:1]
            result = self._times(new, rows, panels, node.output.dtype, (*lead, *columns))
        if mine == 0:
            result = new.op("transpose", result, permutation=(1, 0))
        shape = node.output.shape
        return result if result.shape == shape else new.op("reshape", result, shape=shape)

    def _times(
        self, new: Rebuilder, rows: Value, matrix: Value, sums: str, shape: tuple[int, ...]
    ) -> Value:
        """(m, k) times what is packed of (k, n): (m, n), or already `shape`, (..., n)."""
        columns = matrix.shape[1]
        units = {unit.operands for unit in self.tile.units}
        bytes_ = UNSIGNED in units
        few = rows.dtype == "int16" and rows.shape[0] <= IN_PLANES
        if bytes_ and (few or rows.dtype == "int8"):
            return _without_sign(new, rows, matrix, shape)
        signed = rows.dtype == "int8" and rows.shape[0] <= AS_THEY_ARE and PAIRS in units
        if rows.dtype == "int8" and not signed:
            rows = new.op("convert", rows, dtype="int16")
        panels = new.op("pack", matrix, **({"depth": QUAD} if signed else {}))
        given = {} if rows.dtype == sums else {"dtype": sums}
        return new.op("dot_packed", rows, panels, columns=columns, **given)

    def _pays(self, node: Node, sides: list[Side], mine: int) -> bool:
        matrix, other = sides[mine], sides[1 - mine]
        kind = other.value.dtype, matrix.value.dtype, node.output.dtype
        pairs = bool(node.params.get("pairs"))
        known = kind in KINDS or pairs
        if not known or matrix.batch or is_lanes(sides):
            return False
        rows, terms, columns = other.width, matrix.terms, matrix.width
        worth = WORTH_NARROW if pairs or matrix.value.dtype == "int8" else WORTH_ROWS
        if self.trips < WORTH_TRIPS and self.trips * rows < worth:
            return False
        if not rows or (mine == 0 and rows >= LANES):
            return False  # in the last case lanes run along the other
        if pairs:
            return terms > 1  # elsewhere they are copied, turned, at each call: see `pairs.py`
        if terms < LANES or not (columns % LANES == 0 or columns >= WIDE):
            return False
        near, own = self.tile.memories[0].size, self.tile.memory
        moved = rows * (terms + columns) * 4
        if moved > own and terms < DEEP:
            return False  # it is cut in strips instead
        return matrix.value.type.nbytes > SMALL * near


def _times_in_pairs(new: Rebuilder, rows: Value, matrix: Value, dtype: str) -> Value:
    columns = matrix.shape[1]
    given = {"columns": columns, "dtype": "float32", "pairs": True}
    result = new.op("dot_packed", rows, new.op("pack", matrix), **given)
    return result if dtype == "float32" else new.op("convert", result, dtype=dtype)


def _narrow(new: Rebuilder, node: Node, sides: list[Side], mine: int) -> list[Side]:
    """The operands before they were widened, where there is a codelet for them."""
    narrow = [_before_widening(new, side) for side in sides]
    for other in (sides[1 - mine], narrow[1 - mine]):
        kind = other.value.dtype, narrow[mine].value.dtype, node.output.dtype
        if kind in KINDS:
            pair = [narrow[mine], other]
            return pair if mine == 0 else pair[::-1]
    return sides


def _before_widening(new: Rebuilder, side: Side) -> Side:
    maker = new.producer(side.value)
    if maker is None or maker.op != "convert":
        return side
    return folded(new, Side(maker.inputs[0], side.batch, side.contract))


def _without_sign(new: Rebuilder, rows: Value, matrix: Value, shape: tuple[int, ...]) -> Value:
    """x W = (x + c) W - c times the sums of W's columns, c 128 or 32768; what it wraps to, too.

    In the shape in which it is read: what follows then goes on in the same vertex.
    """
    wide = f"u{rows.dtype}"
    columns, half = matrix.shape[1], numpy_dtype(wide).type(-np.iinfo(rows.dtype).min)
    moved = new.op("convert", rows, dtype=wide)
    moved = new.op("add", moved, _everywhere(new, half, rows.shape))
    panels = new.op("pack", matrix, depth=QUAD)
    product = new.op("dot_packed", moved, panels, columns=columns, dtype="int32")
    product = product if product.shape == shape else new.op("reshape", product, shape=shape)
    wide = new.op("convert", matrix, dtype="int32")
    total = new.op("reduce", wide, kind="sum", axes=(0,))
    extra = new.op("mul", total, _everywhere(new, np.int32(half), total.shape))
    extra = new.op("broadcast", extra, shape=shape, dimensions=(len(shape) - 1,))
    return new.op("sub", product, extra)


def _everywhere(new: Rebuilder, number: np.generic, shape: tuple[int, ...]) -> Value:
    constant = new.op("constant", value=number)
    return new.op("broadcast", constant, shape=shape, dimensions=())


def _as_matrix(new: Rebuilder, side: Side, order: tuple[int, ...], shape: tuple[int, int]) -> Value:
    value = side.value
    if order != tuple(range(len(order))):
        value = new.op("transpose", value, permutation=order)
    return value if value.shape == shape else new.op("reshape", value, shape=shape)


def _read_two_ways(graph: Graph) -> set[Value]:
    """Operands that products contract along different dimensions: data, of which a gradient and a
    prediction are made. Their rows are many, and are cut in strips."""
    ways: dict[Value, set[tuple[int, ...]]] = defaultdict(set)
    producers = graph.producers()
    for node in graph.nodes:
        for side in sides_of(node) if node.op == "dot" else ():
            value, contract = side.value, side.contract
            while (maker := producers.get(value)) is not None and maker.op == "transpose":
                order = maker.params["permutation"]
                value, contract = maker.inputs[0], tuple(order[i] for i in contract)
            ways[value].add(contract)
    return {value for value, found in ways.items() if len(found) > 1}
