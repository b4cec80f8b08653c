"""Sums take the elementwise vertex that makes what they sum: both are done on the way.

In: units in running order. Out: the same; a reduction that took a vertex's nodes runs in its place,
and stores what others read of them. Always: all that it reads beside is computed by then.

A sum alone reads again what has just been written, often from further away than it was computed.
Taken are sums of everything, and of rows (lanes along columns) of which a group of columns is all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from tilewright.graph.ir import Node, Value

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit

WORTH_TAKING = 256
"""Elements from which on a sum takes a vertex: small ones are written in place, without calls."""
COLUMNS = 1280
"""Of a matrix that is summed over its rows: as many as are summed in one go."""


def with_totals(units: Sequence[Unit], limit: int, root: Callable[[Value], Value]) -> list[Unit]:
    """`limit` is how many nodes a vertex may have; `root` sees through views."""
    units = list(units)
    home = {value: unit for unit in units for node in unit.nodes for value in node.outputs}
    for total in [unit for unit in units if unit.kind == "reduce"]:
        maker = _maker(total, home)
        if maker is None or len(maker.nodes) + len(total.nodes) > limit:
            continue
        at = units.index(maker)
        before = set(map(id, units[:at]))
        beside = (home.get(root(v)) for v in _read(total.nodes) if home.get(v) is not maker)
        if any(unit is not None and id(unit) not in before for unit in beside):
            continue
        _take(units, at, maker, total)
        home |= {value: total for node in total.nodes for value in node.outputs}
    return units


def _maker(total: Unit, home: Mapping[Value, Unit]) -> Unit | None:
    """The one vertex that makes some of what is summed, over the same domain."""
    (*_, node) = total.nodes
    shape = node.inputs[0].shape
    if not _is_taken(shape, node):
        return None
    makers = {home[v] for v in _read(total.nodes) if v in home and v.shape == shape}
    alike = [unit for unit in makers if unit.kind == "fused" and unit.shape == shape]
    return alike[0] if len(alike) == 1 else None


def _is_taken(shape: tuple[int, ...], node: Node) -> bool:
    axes = sorted(node.params["axes"])
    kept = prod(shape[len(axes) :])
    one = sum(shape[i] > 1 for i in axes) == 1
    leading = axes == [*range(len(axes))] and (one or kept > 1)
    return leading and kept <= COLUMNS and prod(shape) >= WORTH_TAKING


def _read(nodes: Sequence[Node]) -> list[Value]:
    """What nodes read of others."""
    made = {value for node in nodes for value in node.outputs}
    return [value for node in nodes for value in node.inputs if value not in made]


def _take(units: list[Unit], at: int, maker: Unit, total: Unit) -> None:
    units.remove(total)
    units[at] = total
    total.level, total.order = maker.level, maker.order
    total.elementwise = len(maker.nodes)
    total.nodes = [*maker.nodes, *total.nodes]
