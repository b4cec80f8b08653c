"""Graph -> Program: every unit of the schedule becomes steps, then buffers get their places.

In: a verified graph. Out: a `Program` whose "shared" and "tile" buffers have offsets at which live
ones never overlap, with a `Sync` wherever one tile reads what another wrote. Outputs that take the
place of inputs are computed there, as carries of a loop are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tilewright.graph.blocks import depth_of
from tilewright.graph.ir import Graph
from tilewright.graph.made_twice import made_twice
from tilewright.graph.pairs import without_pairs
from tilewright.machine.machine import Machine
from tilewright.plan import (
    across,
    control,
    convolution,
    elementwise,
    indexed,
    linalg,
    movement,
    packed,
    products,
    sampled,
    strips,
)
from tilewright.plan.alternating import alternating
from tilewright.plan.apart.place import place
from tilewright.plan.asked import asked_ahead
from tilewright.plan.back_and_forth import back_and_forth
from tilewright.plan.gathered import gather
from tilewright.plan.ir import Buffer, Program
from tilewright.plan.memory import place_buffers
from tilewright.plan.past import stored_past
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Plan, Scope
from tilewright.plan.side_by_side import side_by_side
from tilewright.plan.sources import sourced
from tilewright.plan.stages import lower_scans
from tilewright.plan.strip_blocks import in_strip_blocks
from tilewright.plan.synchronise import synchronise
from tilewright.plan.views import whole
from tilewright.plan.walks.image_by_image import image_by_image
from tilewright.plan.walks.once import computed_once
from tilewright.plan.walks.run_by_run import run_by_run

KINDS: dict[str, Callable[[Scope, Unit], None]] = {
    **elementwise.KINDS,
    **movement.KINDS,
    **indexed.KINDS,
    **across.KINDS,
    **products.KINDS,
    **packed.KINDS,
    **sampled.KINDS,
    **convolution.KINDS,
    **linalg.KINDS,
    **control.KINDS,
    **strips.KINDS,
}
"""How a unit of each kind becomes steps."""


def lower(
    graph: Graph, machine: Machine, even: bool = False, sparing: bool = False
) -> tuple[Program, list[np.ndarray]]:
    """The program of a graph on a machine, and the data of its "constant" buffers, in order.

    `even`: inputs lie evenly over tiles that share no memory, not where they are wanted. `sparing`:
    on tiles that do, less is stored, and more computed anew; the same bits.
    """
    graph = without_pairs(graph, machine)
    if machine.chip.exchange.kind == "coherent":
        graph = made_twice(graph, machine)
    panels = (value.type for value in graph.inputs if depth_of(value.type))
    plan = Plan(machine, lower_units, sum(kind.nbytes for kind in panels), sparing)
    inputs = [Buffer(v.dtype, v.type.size, "input", i) for i, v in enumerate(graph.inputs)]
    results = [Buffer(v.dtype, v.type.size, "output", i) for i, v in enumerate(graph.results)]
    outputs = [*(inputs[position] for position in graph.state), *results]
    steps = control.lower_body(
        plan,
        graph,
        [whole(b, v.shape) for b, v in zip(inputs, graph.inputs, strict=True)],
        [whole(b, v.shape) for b, v in zip(outputs, graph.outputs, strict=True)],
        parallel=True,
        owned=[graph.inputs[position] for position in graph.state],
    )
    constants = [buffer for buffer, _ in plan.constants]
    if machine.chip.exchange.kind == "coherent":
        steps = computed_once(run_by_run(image_by_image(steps, machine), machine), machine)
        steps = back_and_forth(in_strip_blocks(steps, machine), machine)
        steps = stored_past(side_by_side(alternating(steps)), machine)
        steps = synchronise(asked_ahead(steps, machine))
    else:
        steps = place(steps, (*constants, *inputs), outputs, machine, even)
    placed = place_buffers(steps)
    program = Program(
        buffers=(*inputs, *results, *constants, *placed.offsets),
        inputs=(*constants, *inputs),
        outputs=tuple(outputs),
        steps=steps,
        offsets=placed.offsets,
        shared_bytes=placed.shared_bytes,
        tile_bytes=placed.tile_bytes,
        tiles=0 if machine.chip.exchange.kind == "coherent" else machine.tiles,
    )
    return program, [data for _, data in plan.constants]


def lower_units(scope: Scope) -> None:
    """Append the steps of every unit of a scope, in order."""
    number, apart = 0, scope.plan.machine.chip.exchange.apart
    if not apart:
        gather(scope)
    while number < len(scope.units):
        scope.now, unit, known = number, scope.units[number], len(scope.steps)
        if unit.kind == "scan":
            number += lower_scans(scope, number)
        else:
            KINDS[unit.kind](scope, unit)
            number += 1
        if apart:
            source = next((node.source for node in unit.nodes if node.source), "")
            scope.steps[known:] = sourced(scope.steps[known:], source)
    scope.now = len(scope.units)
