"""Sums over the same large array are taken in one pass.

In: units in running order. Out: the same, where a reduction took others of its shape that read what
it reads; their totals lie beside each other. Always: all that they read is computed by then, and
the bits are those of each sum alone.

A batch norm sums an array and its square, and on the way back a gradient and its product with the
array: what is read twice otherwise comes from far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tilewright.graph.ir import Node, Value

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit

MOST = 4
"""Totals of a pass."""
MOST_NODES = 6
"""Elementwise nodes on the way: longer expressions are written one vector at a time."""


def at_once(units: Sequence[Unit], far: int, root: Callable[[Value], Value]) -> list[Unit]:
    """`far` is how many bytes an array has at least; `root` sees through views."""
    units = list(units)
    home = {value: unit for unit in units for node in unit.nodes for value in node.outputs}
    for number, unit in enumerate(units):
        if not _is_large(unit, far, root):
            continue
        before = set(map(id, units[:number]))
        for other in units[number + 1 :]:
            if not (_is_large(other, far, root) and _fit(unit, other, far, root)):
                continue
            makers = (home.get(root(value)) for value in _read(other))
            if all(maker is None or id(maker) in before for maker in makers):
                _take(unit, other)
                home |= {value: unit for node in other.nodes for value in node.outputs}
                other.nodes = []
    return [unit for unit in units if unit.nodes]


def _is_large(unit: Unit, far: int, root: Callable[[Value], Value]) -> bool:
    """Whether it sums a large array, and its columns are kept."""
    if unit.kind != "reduce" or not unit.nodes or unit.elementwise:
        return False
    node = unit.nodes[-1]
    kept = len(node.inputs[0].shape) - 1 not in node.params["axes"]
    return kept and node.params["kind"] == "sum" and bool(_large(unit, far, root))


def _fit(unit: Unit, other: Unit, far: int, root: Callable[[Value], Value]) -> bool:
    """Whether both go over the same array in the same way."""
    one, two = unit.nodes[-1], other.nodes[-1]
    alike = _way(one) == _way(two) and one.output.type == two.output.type
    nodes = sum(node.op != "reduce" for node in (*unit.nodes, *other.nodes))
    few = unit.totals + other.totals <= MOST and nodes <= MOST_NODES
    return alike and few and not _large(unit, far, root).isdisjoint(_large(other, far, root))


def _way(node: Node) -> tuple:
    params = {name: str(value) for name, value in node.params.items()}
    return node.inputs[0].type, tuple(sorted(params.items()))


def _read(unit: Unit) -> list[Value]:
    made = {node.output for node in unit.nodes}
    return [value for node in unit.nodes for value in node.inputs if value not in made]


def _large(unit: Unit, far: int, root: Callable[[Value], Value]) -> set[Value]:
    """What it reads of as many places as it sums."""
    shape = unit.nodes[-1].inputs[0].shape
    return {
        root(value)
        for value in _read(unit)
        if value.shape == shape and root(value).type.nbytes >= far
    }


def _take(unit: Unit, other: Unit) -> None:
    """Elementwise nodes first, then the reductions, in order."""
    count = unit.totals
    both = [*unit.nodes[:-count], *other.nodes[: -other.totals]]
    unit.nodes = [*both, *unit.nodes[-count:], *other.nodes[-other.totals :]]
    unit.totals += other.totals
