"""Parts of a concatenation are computed where it will lie.

In: a body's scope, before its first unit. Out: a place for each concatenation, and of its parts
those that a vertex of arithmetic makes are wanted there; the others are copied. Always: no bit
changes, and a part is wanted in one place.

(The gradient of an LSTM's gates, 64 x 4 x 128: four copies less a step, and where a product reads
its lines, these lie so that they do not meet in few sets of a cache.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tilewright.graph.ir import Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.plan import views
from tilewright.plan.ir import View

if TYPE_CHECKING:
    from tilewright.plan.scope import Scope

MAKERS = frozenset(("fused", "dot", "dot_packed", "dot_blocks"))
"""Units whose vertices store to any strides."""
WORTH_GATHERING = 1024
"""Elements of a part from which on: small vertices stay as they are."""
LINE_BY_LINE = ELEMENTWISE | {"dot", "dot_across", "dot_sampled", "add_sampled", "reduce"}
"""Readers that do not care how far apart lines are."""


def gather(scope: Scope) -> None:
    """Say where the concatenations of a body, and their parts, are to lie."""
    for node in scope.graph.nodes:
        if node.op != "concatenate" or node.output in scope.destinations:
            continue
        parts = [value for value in dict.fromkeys(node.inputs) if _is_made(scope, node, value)]
        if not parts:
            continue
        apart = all(reader.op in LINE_BY_LINE for reader in scope.consumers[node.output] if reader)
        place = scope.gathered[node.output] = scope.new_apart(node.output.type, apart)
        for value, part in windows(node, place):
            if value in parts:
                scope.destinations[value] = part


def windows(node: Node, place: View) -> Iterator[tuple[Value, View]]:
    """The parts of a concatenation, and where in it each lies."""
    dimension, at = node.params["dimension"], 0
    for value in node.inputs:
        start = [at if i == dimension else 0 for i in range(len(place.shape))]
        yield value, views.window(place, start, value.shape)
        at += value.shape[dimension]


def _is_made(scope: Scope, node: Node, value: Value) -> bool:
    """Whether a part is made by a vertex that can store it anywhere, for this place."""
    if value.type.size < WORTH_GATHERING or node.inputs.count(value) > 1:
        return False
    if value in scope.destinations:
        return False
    maker = scope.producers.get(value)
    return maker is not None and any(
        maker in unit.nodes and unit.kind in MAKERS for unit in scope.units
    )
