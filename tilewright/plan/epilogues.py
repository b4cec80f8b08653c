"""Products of matrices take the cheap elementwise nodes that follow: a bias, a residual, a maximum;
convolutions take all.

In: units in running order. Out: the same; a product that took nodes runs just before the unit that
they were in, or in its place. Always: nothing else reads what lies between a product and the last
node that it took; all that they read beside is computed by then, or cheap and theirs alone, as in
the derivative of a tanh, g (1 - h) + (g (1 - h)) h. Where a result is narrowed to be kept, and read
as it is as well (`graph/widened.py`), a product stores both.

What the product takes costs nothing: it is done between the last multiply-add and the store
(40 x 256 outputs of 22 terms and a bias: 4.3 us instead of 5.3). Functions such as tanh stay with
their unit, whose loop keeps their constants in registers; between a tile's sums there is no room
for these (8 % slower with 16 registers, no faster with 32). Nor do convolutions run functions with
16 (see `products.py`). With 32 they spare each layer a pass over memory, and a net 1 % of its time:
both parts are bound by arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import dot_order, dot_working_dtype
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.widened import widens_again

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit

TAKERS = ("dot", "dot_packed", "dot_blocks", "conv")
WORTH_TAKING = 256
"""Outputs from which on a product takes nodes: loops of small vertices stay as they are."""

Readers = Mapping[Value, Sequence[Node | None]]
"""Who reads a value; None stands for the graph's outputs."""


def with_epilogues(
    units: Sequence[Unit], graph: Graph, cheap: frozenset[str], root: Callable[[Value], Value]
) -> list[Unit]:
    """`cheap` are the operations that are worth taking by a product, `root` sees through views."""
    readers: dict[Value, list[Node | None]] = defaultdict(list)
    for node in graph.nodes:
        for value in node.inputs:
            readers[value].append(node)
    for value in graph.outputs:
        readers[value].append(None)
    home = {node: unit for unit in units for node in unit.nodes}
    units, makers = list(units), graph.producers()
    takers = [unit for unit in units if unit.kind in TAKERS]
    for product in sorted(takers, key=_read, reverse=True):
        ops = ELEMENTWISE if product.kind == "conv" else cheap
        chain = _chain(product.nodes[0], readers, home, ops, root)
        if chain:
            _take(units, product, home[chain[-1]], chain)
            home |= dict.fromkeys(chain, product)
        if narrowing := _narrowing(units, product, ops, readers, makers, home, root):
            units.remove(narrowing)
            product.nodes += narrowing.nodes
            home |= dict.fromkeys(narrowing.nodes, product)
    return units


def _read(product: Unit) -> int:
    """Bytes: where two products meet in a sum, the longer one takes what follows."""
    return sum(value.type.nbytes for value in product.nodes[0].inputs)


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
    """Nodes of one unit, as many as leave a single value to be read by others.

    A product of rows that stand for places of images (of a batch) is read through a `reshape`,
    which comes first in the chain.
    """
    if not _may_take(product):
        return []
    shaped = _only_reader(product.output, readers)
    shaped = shaped if shaped is not None and shaped.op == "reshape" else None
    value = shaped.output if shaped else product.output
    homes = [home.get(node) if node else None for node in readers[value]]
    unit = homes[0] if homes else None
    if unit is None or unit.kind != "fused" or any(other is not unit for other in homes):
        return []
    chain = _following(value, unit, readers, cheap, root)
    return [shaped, *chain] if shaped and chain else chain


def _narrowing(
    units: Sequence[Unit],
    product: Unit,
    cheap: frozenset[str],
    readers: Readers,
    makers: Mapping[Value, Node],
    home: Mapping[Node, Unit],
    root: Callable[[Value], Value],
) -> Unit | None:
    """What narrows its result to be kept, while others read that as it is: it makes both."""
    node, early = product.nodes[-1], set(map(id, units[: units.index(product)]))
    for reader in readers[node.output] if _may_take(product.nodes[0]) else ():
        unit = home.get(reader) if reader else None
        if unit is None or unit.kind != "fused" or not cheap.issuperset(n.op for n in unit.nodes):
            continue
        made = {node.output, *(inner.output for inner in unit.nodes)}
        beside = (makers.get(root(v)) for n in unit.nodes for v in n.inputs if v not in made)
        known = all(n is None or n not in home or id(home[n]) in early for n in beside)
        if known and _is_kept(unit.nodes[-1], readers, makers):
            return unit
    return None


def _is_kept(node: Node, readers: Readers, makers: Mapping[Value, Node]) -> bool:
    return any(reader and widens_again(reader, makers) for reader in readers[node.output])


def _following(
    value: Value,
    unit: Unit,
    readers: Readers,
    cheap: frozenset[str],
    root: Callable[[Value], Value],
) -> list[Node]:
    """The nodes of a unit that read a value, or what is made of it, with what is beside."""
    made, chain, count = {value}, [], 0
    for node in unit.nodes:
        if made.isdisjoint(node.inputs):
            continue
        more = [*_beside(node, made, unit, root), node]
        if any(one.op not in cheap or one.output.shape != value.shape for one in more):
            continue
        chain += more
        made |= {one.output for one in more}
        inside = set(chain)
        if [v for v in made if not inside.issuperset(readers[v])] == [node.output]:
            count = len(chain)
    return chain[:count]


def _only_reader(value: Value, readers: Readers) -> Node | None:
    found = set(readers[value])
    return found.pop() if len(found) == 1 else None


def _beside(node: Node, made: set[Value], unit: Unit, root: Callable[[Value], Value]) -> list[Node]:
    """What else the unit computes for a node, in the unit's order."""
    makers = {inner.output: inner for inner in unit.nodes}
    found: set[Node] = set()
    waiting = list(node.inputs)
    while waiting:
        value = waiting.pop()
        maker = makers.get(root(value))
        if value not in made and maker is not None and maker not in found:
            found.add(maker)
            waiting += maker.inputs
    return [inner for inner in unit.nodes if inner in found]


def _may_take(node: Node) -> bool:
    large = node.output.type.size >= WORTH_TAKING
    if node.op in ("dot_packed", "dot_blocks"):
        return large
    lhs, rhs = node.inputs
    kept = dot_working_dtype(lhs.dtype, rhs.dtype, node.output.dtype)
    if node.op == "conv":
        return kept == node.output.dtype and large
    ranks = len(lhs.shape), len(rhs.shape)
    order = dot_order(*ranks, node.params["contract"], node.params["batch"])
    return order == "sequence" and kept == node.output.dtype and large
