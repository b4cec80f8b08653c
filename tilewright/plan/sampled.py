"""Products of which some blocks are wanted (see `graph/ops/sampled.py`) to vertices."""

from __future__ import annotations

from tilewright.codelets.contract import ContractSampled
from tilewright.plan.basic import operand
from tilewright.plan.indexed import updated
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope


def lower_sampled(scope: Scope, unit: Unit) -> None:
    """A matrix of its own, or blocks added to one where it lies."""
    (node,) = unit.nodes
    onto = node.op == "add_sampled"
    target = updated(scope, node) if onto else scope.target(node.output)
    lhs, rhs, places, starts = (scope.view(value) for value in node.inputs[-4:])
    given = [lhs, rhs if rhs.strides[1] == 1 else scope.dense(rhs), places, starts]
    codelet = ContractSampled(
        *map(operand, (*given, target)), tall=node.params["height"], onto=onto
    )
    scope.call(codelet, given, [target])


KINDS = dict.fromkeys(("dot_sampled", "add_sampled"), lower_sampled)
