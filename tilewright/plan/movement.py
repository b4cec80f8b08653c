"""Movement that is work: copies, padding, putting arrays together. `views.py` has the rest."""

from __future__ import annotations

from tilewright.plan import views
from tilewright.plan.gathered import windows
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope


def lower_copy(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    view = scope.view(node.inputs[0])
    padded, scope.padded = scope.padded, True
    scope.copy(view, scope.target(node.output))
    scope.padded = padded


def lower_pad(scope: Scope, unit: Unit) -> None:
    """Fill, then copy the operand into its place; negative padding crops."""
    (node,) = unit.nodes
    operand_view, fill = scope.view(node.inputs[0]), scope.view(node.inputs[1])
    target = scope.target(node.output)
    fill = views.broadcast(fill, target.shape, ())
    scope.copy(fill, target)
    start, shape, place, step = [], [], [], []
    for n, low, interior, length in zip(
        operand_view.shape,
        node.params["low"],
        node.params["interior"],
        target.shape,
        strict=True,
    ):
        pitch = interior + 1
        first = max(0, -(low // pitch))
        after = min(n, (length - 1 - low) // pitch + 1)
        start.append(first)
        shape.append(max(0, after - first))
        place.append(low + first * pitch)
        step.append(pitch)
    if not all(shape):
        return
    part = views.window(operand_view, start, tuple(shape))
    scope.copy(part, views.window(target, place, tuple(shape), step))


def lower_concatenate(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    place = scope.gathered.get(node.output)
    target = scope.target(node.output) if place is None else scope.put(node.output, place)
    for value, part in windows(node, target):
        scope.copy(scope.view(value), part)


KINDS = {"copy": lower_copy, "pad": lower_pad, "concatenate": lower_concatenate}
