"""Products of matrices take the cheap elementwise nodes that follow: a bias, a residual, a maximum.

In: units in running order. Out: the same; a product that took nodes runs just before the unit that
they were in, or in its place. Always: nothing else reads what lies between a product and the last
node that it took, and all that they read beside is computed by then.

What the product takes costs nothing: it is done between the last multiply-add and the store
(40 x 256 outputs of 22 terms and a bias: 4.3 us instead of 5.3). Functions such as tanh stay with
their unit, whose loop keeps their constants in registers; between a tile's sums there is no room
for these (8 % slower with 16 registers, no faster with 32).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import dot_order, dot_working_dtype

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit

WORTH_TAKING = 256
"""Outputs from which on a product takes nodes: loops of small vertices stay as they are."""

Readers = Mapping[Value, Sequence[Node | None]]
"""Who reads a value; None stands for the graph's outputs."""


def with_epilogues(
    units: Sequence[Unit], graph: Graph, cheap: frozenset[str], root: Callable[[Value], Value]
) -> list[Unit]:
    """`cheap` are the operations that are worth taking, `root` sees through views."""
    readers: dict[Value, list[Node | None]] = defaultdict(list)
    for node in graph.nodes:
        for value in node.inputs:
            readers[value].append(node)
    for value in graph.outputs:
        readers[value].append(None)
    home = {node: unit for unit in units for node in unit.nodes}
    units = list(units)
    for product in [unit for unit in units if unit.kind in ("dot", "dot_packed")]:
        chain = _chain(product.nodes[0], readers, home, cheap, root)
        if chain:
            _take(units, product, home[chain[-1]], chain)
            home |= dict.fromkeys(chain, product)
    return units


def _take(units: list[Unit], product: Unit, unit: Unit, chain: Sequence[Node]) -> None:
    units.remove(product)
    at = units.index(unit)
    product.nodes += chain
    product.level, product.order = unit.level, unit.order
    unit.nodes = [node for node in unit.nodes if node not in chain]
    units[at : at + (not unit.nodes)] = [product]


def _chain(
    product: Node,
    readers: Readers,
    home: Mapping[Node, Unit],
    cheap: frozenset[str],
    root: Callable[[Value], Value],
) -> list[Node]:
    """Nodes of one unit, each the only reader of the one before.

    A product of rows that stand for places of images (of a batch) is read through a `reshape`,
    which comes first in the chain.
    """
    chain: list[Node] = []
    value, unit = product.output, None
    shaped = _only_reader(product.output, readers)
    if shaped is not None and shaped.op == "reshape":
        value = shaped.output
    while _may_take(product) and len(set(readers[value])) == 1:
        (node, *_) = readers[value]
        if node is None or node.op not in cheap or node.output.shape != value.shape:
            break
        unit = unit or home[node]
        inside = [_computes(unit, root(v)) for v in node.inputs if v is not value]
        if unit.kind != "fused" or home.get(node) is not unit or any(inside):
            break
        chain.append(node)
        value = node.output
    return [shaped, *chain] if chain and shaped not in (None, chain[0]) else chain


def _only_reader(value: Value, readers: Readers) -> Node | None:
    found = set(readers[value])
    return found.pop() if len(found) == 1 else None


def _computes(unit: Unit, value: Value) -> bool:
    return any(value in node.outputs for node in unit.nodes)


def _may_take(node: Node) -> bool:
    large = node.output.type.size >= WORTH_TAKING
    if node.op == "dot_packed":
        return large
    lhs, rhs = node.inputs
    ranks = len(lhs.shape), len(rhs.shape)
    order = dot_order(*ranks, node.params["contract"], node.params["batch"])
    kept = dot_working_dtype(lhs.dtype, rhs.dtype, node.output.dtype)
    return order == "sequence" and kept == node.output.dtype and large
