"""Images that only the gradient of a kernel reads are made just before it.

In: units in running order. Out: the same, where such an elementwise unit waits for its reader. So
it is near when that reads it, and takes up no memory before. See `graph/made_twice.py`, which sees
to it that there are such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tilewright.graph.ir import Value
from tilewright.graph.made_twice import kernel_gradient

if TYPE_CHECKING:
    from tilewright.plan.schedule import Unit


def late(units: Sequence[Unit], root: Callable[[Value], Value]) -> list[Unit]:
    """`units` themselves change places, nothing of them changes; `root` sees through views."""
    units = list(units)
    readers: dict[Value, list[Unit]] = {}
    for unit in units:
        for value in {root(value) for node in unit.nodes for value in node.inputs}:
            readers.setdefault(value, []).append(unit)
    for unit in [unit for unit in units if unit.kind == "fused"]:
        made = {node.output for node in unit.nodes}
        outside = {(v, r) for v in made for r in readers.get(v, ()) if r is not unit}
        if len(outside) != 1:
            continue
        ((value, reader),) = outside
        (first, *_), images = reader.nodes, kernel_gradient(reader.nodes[0])
        if any(first.inputs[i] is value for i in images):
            units.remove(unit)
            units.insert(units.index(reader), unit)
    return units
