"""Products of matrices, plain and packed, and convolutions, with elementwise nodes that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from tilewright.graph.by_law import leaf_of
from tilewright.graph.ir import Node
from tilewright.plan.cells import parts_of
from tilewright.plan.contraction import lower_contraction, lower_with_epilogue
from tilewright.plan.convolution import lower_conv, lower_conv_with_epilogue
from tilewright.plan.elementwise import ExpressionBuilder, lower_fused
from tilewright.plan.packed import (
    lower_dot_packed,
    lower_packed_with_cell,
    lower_packed_with_epilogue,
)
from tilewright.plan.schedule import CHEAP, Unit
from tilewright.plan.scope import Scope

FORMS = {
    "dot": (lower_contraction, lower_with_epilogue),
    "dot_packed": (lower_dot_packed, lower_packed_with_epilogue),
    "dot_blocks": (lower_dot_packed, lower_packed_with_epilogue),
    "conv": (lower_conv, lower_conv_with_epilogue),
}
"""How a product becomes a vertex, alone and with what follows it."""


ENOUGH_REGISTERS = 32
"""For functions between sums. With 16 (AVX2) an LSTM's cell takes 4 to 9 % longer than its parts
one by one, and a depthwise convolution with a swish 18 %."""


def lower_convolution(scope: Scope, unit: Unit) -> None:
    """With the elementwise nodes that follow; functions only where there are registers for them."""
    node, *after = unit.nodes
    if scope.plan.machine.tile.features.registers < ENOUGH_REGISTERS:
        first = _cheap_front(scope, node, after)
        lower_dot(scope, replace(unit, nodes=[node, *after[:first]]))
        if after[first:]:
            lower_fused(scope, replace(unit, kind="fused", nodes=after[first:]))
        return
    lower_dot(scope, unit)


def _cheap_front(scope: Scope, node: Node, after: Sequence[Node]) -> int:
    """How many of the nodes cost little and leave one value."""
    count = 0
    for number, last in enumerate(after, 1):
        if last.op not in CHEAP:
            break
        front = Unit("conv", last.output.shape, 0, 0, [node, *after[:number]])
        made = [inner.output for inner in front.nodes]
        if [v for v in made if scope.leaves_unit(v, front)] == [last.output]:
            count = number
    return count


def lower_dot(scope: Scope, unit: Unit) -> None:
    """To batch x m x n x k (see `codelets/contract/`), with the elementwise nodes that follow."""
    node, *after = unit.nodes
    plain, with_epilogue = FORMS[node.op]
    if not after:
        plain(scope, node)
        return
    builder, sums = ExpressionBuilder(scope, unit.shape), node.output
    if after[0].op == "reshape":
        sums = after.pop(0).output
    builder.give(sums)
    for inner in after:
        builder.add(inner)
    outputs = [n.output for n in unit.nodes if scope.leaves_unit(n.output, unit)]
    if not outputs:
        return
    expression = builder.build(outputs)
    targets = [scope.free_destination(v, unit) or scope.new(v.type) for v in outputs]
    joined = not _is_cut(scope, node)
    if joined and with_epilogue(scope, node, expression, builder.leaves[1:], targets):
        for value, target in zip(outputs, targets, strict=True):
            scope.put(value, target)
        return
    plain(scope, node)
    lower_fused(scope, replace(unit, kind="fused", shape=sums.shape, nodes=after))


def _is_cut(scope: Scope, node: Node) -> bool:
    """Whether tiles that share no memory may each take some terms of the sums: what follows must
    then wait for all of them."""
    if not scope.plan.machine.chip.exchange.apart or not scope.parallel:
        return False
    if node.op in ("conv", "dot_blocks"):  # whose pieces are rows, and columns
        return False
    shape = node.inputs[0].shape
    contracted = node.params["contract"][0] if node.op == "dot" else (len(shape) - 1,)
    return prod(shape[i] for i in contracted) > leaf_of(node)


def lower_cell(scope: Scope, unit: Unit) -> None:
    """A product whose columns are gates, and all that is made of them; see `cells.py`.

    As one vertex, where registers hold the functions' constants beside the sums.
    """
    node, chain, inside = parts_of(unit)
    registers = scope.plan.machine.tile.features.registers
    whole = registers >= ENOUGH_REGISTERS and not _is_cut(scope, node)
    if not whole or not lower_packed_with_cell(scope, unit):
        shape = (chain or [node])[-1].output.shape
        lower_dot(scope, replace(unit, kind=node.op, shape=shape, nodes=[node, *chain]))
        lower_fused(scope, replace(unit, kind="fused", nodes=inside))


KINDS = dict.fromkeys(FORMS, lower_dot) | {"conv": lower_convolution, "cell": lower_cell}
