"""Products of which some blocks are wanted (see `graph/ops/sampled.py`) to vertices."""

from __future__ import annotations

import numpy as np

from tilewright.codelets.contract import ContractSampled
from tilewright.graph.ops.sampled import kept_of
from tilewright.plan.apart.sampled_grid import sampled_grid
from tilewright.plan.basic import fill_codelet, operand
from tilewright.plan.indexed import updated
from tilewright.plan.ir import Call
from tilewright.plan.masked import unmasked
from tilewright.plan.packed import counts_of
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope
from tilewright.plan.spread import shares_memory


def lower_sampled(scope: Scope, unit: Unit) -> None:
    """A matrix of its own, or blocks added to one where it lies."""
    (node,) = unit.nodes
    if not shares_memory(scope.plan.machine):
        _lower_apart(scope, unit)
        return
    onto = node.op == "add_sampled"
    target = updated(scope, node) if onto else scope.target(node.output)
    lhs, rhs, places, starts = (scope.view(value) for value in node.inputs[-4:])
    given = [lhs, rhs if rhs.strides[1] == 1 else scope.dense(rhs), places, starts]
    codelet = ContractSampled(
        *map(operand, (*given, target)), tall=node.params["height"], onto=onto
    )
    scope.call(codelet, given, [target])


def _lower_apart(scope: Scope, unit: Unit) -> None:
    """A matrix of its own: zeros, and cells of it over all tiles; or by one."""
    (node,) = unit.nodes
    given, target = [scope.view(value) for value in node.inputs], scope.target(node.output)
    places, starts = map(scope.plan.known, given[2:])
    assert places is not None, "tables are constants"
    assert starts is not None, "tables are constants"
    codelet = ContractSampled(
        *map(operand, (*given, target)), tall=node.params["height"], counts=counts_of(starts)
    )
    kept = kept_of(places, starts, codelet.tall, codelet.m)
    steps = None
    if scope.parallel:
        lhs, rhs, *_ = node.inputs
        anew, plan = (scope.changes(lhs), scope.changes(rhs)), scope.plan
        steps = sampled_grid(codelet, [*given, target], kept, plan.machine, plan.constant, anew)
    if steps is None:
        scope.call(codelet, given, [target])
        return
    place = unmasked(target)
    zeros = fill_codelet(np.zeros((), place.dtype), place)
    scope.steps += [Call(zeros, (place,)), *steps]


KINDS = dict.fromkeys(("dot_sampled", "add_sampled"), lower_sampled)
