"""Graph -> Program: every unit of the schedule becomes steps, then buffers get their places.

In: a verified graph. Out: a `Program` whose "shared" and "tile" buffers have offsets at which live
ones never overlap, with a `Sync` wherever one tile reads what another wrote.
"""

from __future__ import annotations

import numpy as np

from tilewright.graph.ir import Graph
from tilewright.machine.machine import Machine
from tilewright.plan import control, linalg, packed, vertices
from tilewright.plan.back_and_forth import back_and_forth
from tilewright.plan.ir import Buffer, Program
from tilewright.plan.memory import place_buffers
from tilewright.plan.scope import Plan, Scope
from tilewright.plan.strips import lower_strips
from tilewright.plan.synchronise import synchronise
from tilewright.plan.views import whole

KINDS = {
    "fused": vertices.lower_fused,
    "reduce": vertices.lower_reduce,
    "copy": vertices.lower_copy,
    "pack": packed.lower_pack,
    "pad": vertices.lower_pad,
    "concatenate": vertices.lower_concatenate,
    "dot": vertices.lower_dot,
    "dot_packed": vertices.lower_dot,
    "dynamic_slice": vertices.lower_dynamic_slice,
    "dynamic_update_slice": vertices.lower_dynamic_update_slice,
    "gather": vertices.lower_gather,
    "scatter": vertices.lower_scatter,
    "sort": vertices.lower_sort,
    "argreduce": vertices.lower_argreduce,
    "cumulative": vertices.lower_cumulative,
    "cholesky": linalg.lower_cholesky,
    "triangular_solve": linalg.lower_triangular_solve,
    "lu": linalg.lower_lu,
    "scan": lambda scope, unit: control.lower_scan(scope, unit.nodes[-1]),
    "map": lambda scope, unit: control.lower_scan(scope, unit.nodes[-1]),
    "loop": lambda scope, unit: control.lower_loop(scope, unit.nodes[-1]),
    "branch": lambda scope, unit: control.lower_branch(scope, unit.nodes[-1], unit),
    "strips": lambda scope, unit: lower_strips(scope, unit.nodes[-1]),
}


def lower(graph: Graph, machine: Machine) -> tuple[Program, list[np.ndarray]]:
    """The program of a graph on a machine, and the data of its "constant" buffers, in order."""
    plan = Plan(machine, lower_units)
    inputs = [Buffer(v.dtype, v.type.size, "input", i) for i, v in enumerate(graph.inputs)]
    outputs = [Buffer(v.dtype, v.type.size, "output", i) for i, v in enumerate(graph.outputs)]
    steps = control.lower_body(
        plan,
        graph,
        [whole(b, v.shape) for b, v in zip(inputs, graph.inputs, strict=True)],
        [whole(b, v.shape) for b, v in zip(outputs, graph.outputs, strict=True)],
        parallel=True,
    )
    steps = synchronise(back_and_forth(steps, machine))
    placed = place_buffers(steps)
    constants = [buffer for buffer, _ in plan.constants]
    program = Program(
        buffers=(*inputs, *outputs, *constants, *placed.offsets),
        inputs=(*constants, *inputs),
        outputs=tuple(outputs),
        steps=steps,
        offsets=placed.offsets,
        shared_bytes=placed.shared_bytes,
        tile_bytes=placed.tile_bytes,
    )
    return program, [data for _, data in plan.constants]


def lower_units(scope: Scope) -> None:
    """Append the steps of every unit of a scope, in order."""
    for number, unit in enumerate(scope.units):
        scope.now = number
        KINDS[unit.kind](scope, unit)
    scope.now = len(scope.units)
