"""Scopes over small graphs, as `lower` makes them, for tests."""

from collections.abc import Sequence

from tests.machines import STATED
from tilewright.graph.ir import Graph, Value
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Buffer
from tilewright.plan.lower import lower_units
from tilewright.plan.scope import Plan, Scope
from tilewright.plan.views import whole


def scope_of(
    graph: Graph,
    *,
    owned: Sequence[Value] = (),
    parallel: bool = False,
    padded: bool = False,
    machine: Machine = STATED,
) -> Scope:
    """Nothing is lowered yet; each input is a whole buffer of its own."""
    inputs = [
        whole(Buffer(v.dtype, v.type.size, "input", i), v.shape) for i, v in enumerate(graph.inputs)
    ]
    plan = Plan(machine, lower_units)
    return Scope(plan, graph, inputs, parallel=parallel, owned=owned, padded=padded)
