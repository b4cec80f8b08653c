"""Products of few rows take whole cells: all that is made of their columns, cut in equal gates.

In: units in running order, products with what is cheap after them. Out: the same; where a product's
columns are read as 2 to 4 equal slices, by one vertex, both become one unit, "cell": the product,
the cheap chain after it on all columns, then the vertex's nodes on a gate's. Always: nothing else
reads the columns, and all that the vertex reads beside is computed by then.

Panels of all gates then advance together (`ContractPanels`, in parts). What a gate's functions cost
hides behind the panels that are on their way from a cache: of few rows, reading those is what takes
the time. Of many it is not, and registers have no room for more sums. (An LSTM's tick, of 256 units
after the product of its state: 0.95 of the time; a window over 64 units: 0.95, over 256: the same.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit

MOST_SUMS = 4
"""Rows times gates: 16 sums of each fit the registers of any level, with room for functions."""
MOST_NODES = 60


def with_cells(units: Sequence[Unit], graph: Graph) -> list[Unit]:
    """Units with those pairs as one, in the place of the vertex."""
    products = [unit for unit in units if unit.kind == "dot_packed"]
    if not products:
        return list(units)
    readers: dict[Value, set[Node | None]] = defaultdict(set)
    for node in graph.nodes:
        for value in node.inputs:
            readers[value].add(node)
    for value in graph.outputs:
        readers[value].add(None)
    home = {node: unit for unit in units for node in unit.nodes}
    units = list(units)
    for product in products:
        vertex = _vertex(product, readers, home)
        if vertex is None:
            continue
        units.remove(product)
        cell = replace(vertex, kind="cell", nodes=[*product.nodes, *vertex.nodes])
        units[units.index(vertex)] = cell
        home |= dict.fromkeys(cell.nodes, cell)
    return units


def parts_of(unit: Unit) -> tuple[Node, list[Node], list[Node]]:
    """Of a cell: the product, what follows on all of its columns, what follows on a gate's."""
    product, *rest = unit.nodes
    columns = product.output.shape[-1]
    chain = [node for node in rest if node.output.shape[-1] == columns]
    return product, chain, rest[len(chain) :]


def gates(value: Value, readers: set[Node | None]) -> list[Node] | None:
    """The equal slices that a value's columns are read as, in order; None if they are not."""
    slices = [node for node in readers if node is not None and node.op == "slice"]
    if not 2 <= len(slices) == len(readers):
        return None
    slices.sort(key=lambda node: node.params["start"][-1])
    *leading, columns = value.shape
    width, rest = divmod(columns, len(slices))
    for number, node in enumerate(slices):
        start = (*(0 for _ in leading), number * width)
        limit = (*leading, (number + 1) * width)
        plain = set(node.params["stride"]) == {1}
        if rest or not plain or (node.params["start"], node.params["limit"]) != (start, limit):
            return None
    return slices


def _vertex(
    product: Unit, readers: dict[Value, set[Node | None]], home: dict[Node, Unit]
) -> Unit | None:
    """The one that makes a cell of what a product gives, if it is such."""
    value = product.nodes[-1].output
    slices = gates(value, readers[value])
    if slices is None or value.dtype != "float32":
        return None
    width = slices[0].output.shape[-1]
    if prod(value.shape[:-1]) * len(slices) > MOST_SUMS or width % LANES:
        return None
    after = [home.get(node) if node else None for s in slices for node in readers[s.output]]
    vertex = after[0]
    if vertex is None or any(unit is not vertex for unit in after):
        return None
    if vertex.kind != "fused" or vertex.shape != slices[0].output.shape:
        return None
    nodes = [*product.nodes, *vertex.nodes]
    many = len(slices) * len(product.nodes) + len(vertex.nodes) > MOST_NODES
    return None if many or any(node.op == "iota" for node in nodes) else vertex
