"""Split a graph in what hangs on fixed inputs alone, and the rest: so that it is computed once.

In: a graph and those of its inputs whose arrays will not change. Out: `(first, rest)`: `first`
takes the same inputs and gives arrays that `rest` takes as further inputs, before the others. What
is split off is work (products, packing, elementwise arithmetic on arrays); views stay where they
are.

`split_fixed` splits off all work on what a user binds. `split_constant` is for what a function
closes over, and for what hangs on nothing at all: only where it takes longer than reading its
result does, and within `MOST_BYTES`, since nobody asked for it. What has to be read for nothing
else is part of what it takes: indices that count from the end of an array are as long as they are
with the array's length added to them, and need not be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

from tilewright.graph.count import node_count
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import VIEWS
from tilewright.machine.cost import work
from tilewright.machine.machine import Machine

STAYS = VIEWS | {"constant", "iota"}
_WHOLE_VIEWS = STAYS - {"slice"}
"""Those after which there is no less to keep."""


Worth = Callable[[Value], bool]

MOST_BYTES = 64 << 20
"""What a program may keep of work done beforehand, unasked."""

BYTES_A_CYCLE = 2
"""How fast a result is read, at worst: from memory, by one tile of several."""

LEAST_CYCLES = 20_000
"""Some microseconds a call: compiling one more small program takes thousands of times as long."""


def split_fixed(graph: Graph, fixed: Set[Value], leading: int) -> tuple[Graph, Graph] | None:
    """The two graphs, or None where nothing is worth it; new inputs follow the first `leading`."""
    return _split(graph, known_from(graph, fixed), leading, lambda value: True, STAYS)


def split_constant(graph: Graph, hidden: int, machine: Machine) -> tuple[Graph, Graph] | None:
    """The same for the first `hidden` inputs, which are all that `first` takes.

    A map that gives the program's results stays: its instances can be followed and streamed. So
    does a program none of whose results hangs on an argument: its caller wants to see it run.
    """
    known = known_from(graph, set(graph.inputs[:hidden]))
    if known.issuperset(graph.outputs):
        return None
    cycles = _cycles(graph, known, machine, dict.fromkeys(graph.inputs, 0.0))
    reading = _cycles(graph, known, machine, _read_for_them_alone(graph, known))
    kept: dict[Value, None] = {}

    def worth(value: Value) -> bool:
        if value in kept:
            return True
        bytes_kept = sum(v.type.nbytes for v in kept) + value.type.nbytes
        if reading[value] * BYTES_A_CYCLE < value.type.nbytes or bytes_kept > MOST_BYTES:
            return False
        kept[value] = None
        return True

    halves = _split(graph, known, hidden, worth, _WHOLE_VIEWS)
    if halves is None or sum(cycles[value] for value in kept) < LEAST_CYCLES:
        return None
    first, rest = halves
    return replace(first, inputs=first.inputs[:hidden]), rest


def known_from(graph: Graph, fixed: Set[Value]) -> set[Value]:
    """What hangs on fixed values and on nothing else."""
    known = set(fixed)
    for node in graph.nodes:
        streams = node.op == "map" and not set(node.outputs).isdisjoint(graph.outputs)
        if not streams and all(value in known for value in node.inputs):
            known.update(node.outputs)
    return known


def _read_for_them_alone(graph: Graph, known: Set[Value]) -> dict[Value, float]:
    """Cycles to read each input, if only known values are made of it."""
    others = [node for node in graph.nodes if not known.issuperset(node.outputs)]
    read = {value for node in others for value in node.inputs}.union(graph.outputs)
    alone = {value: value.type.nbytes / BYTES_A_CYCLE for value in graph.inputs}
    return {value: 0.0 if value in read else cycles for value, cycles in alone.items()}


def _cycles(
    graph: Graph, known: Set[Value], machine: Machine, inputs: dict[Value, float]
) -> dict[Value, float]:
    """What the longest chain of work behind each known value takes on one tile, from `inputs` on.

    Those of other values mean nothing.
    """
    cycles = dict(inputs)
    for node in graph.nodes:
        if known.issuperset(node.outputs):
            before = max((cycles[value] for value in node.inputs), default=0.0)
            own = work(node_count(node), machine.tile).cycles
            if node.op == "pack":  # what is read packed is not read as it was, too
                own = max(own, node.output.type.nbytes / BYTES_A_CYCLE)
            cycles.update(dict.fromkeys(node.outputs, before + own))
    return cycles


def _split(
    graph: Graph, known: Set[Value], leading: int, worth: Worth, views: Set[str]
) -> tuple[Graph, Graph] | None:
    producers = graph.producers()
    rest_nodes = [node for node in graph.nodes if not set(node.outputs) <= known]
    wanted = [value for node in rest_nodes for value in node.inputs] + list(graph.outputs)
    kept, frontier = needed(wanted, known, producers, worth, views)
    if not frontier:
        return None
    behind, _ = needed(list(frontier), known, producers, lambda value: False, views)
    computed = tuple(n for n in graph.nodes if n in behind)
    first = replace(graph, nodes=computed, outputs=tuple(frontier), state=())
    inputs = (*graph.inputs[:leading], *frontier, *graph.inputs[leading:])
    stays = kept.union(rest_nodes)
    nodes = tuple(n for n in graph.nodes if n in stays)
    state = tuple(i + len(frontier) * (i >= leading) for i in graph.state)
    return first, replace(graph, inputs=inputs, nodes=nodes, state=state)


def needed(
    wanted: list[Value],
    known: Set[Value],
    producers: dict[Value, Node],
    worth: Worth,
    views: Set[str],
) -> tuple[set[Node], list[Value]]:
    """Nodes of the first part that the rest repeats, and the values that it is given."""
    kept: set[Node] = set()
    frontier: dict[Value, None] = {}
    while wanted:
        value = wanted.pop()
        node = producers.get(value)
        if value not in known or node is None or node in kept:
            continue
        if node.op in views or not worth(value):
            kept.add(node)
            wanted += node.inputs
        else:
            frontier[value] = None
    return kept, [value for value in frontier if producers[value] not in kept]
