"""A line of operations cut into parts for chips of their own: what each computes and passes on.

In: the graph of one instance, which of its inputs are the same for all, how many parts, the
machine. Out: `Part`s, in order. Always: each node is in one part, in its old order, but for those
that hang on nothing or on shared inputs alone, which are in every part that reads them; so no bit
changes.

Parts are cut where the dearest is cheapest: each by its arithmetic, and what it is given by the
link that it comes through; `recut` takes what parts took once they were planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.graph.count import node_count
from tilewright.graph.ir import Graph, Node, Value
from tilewright.machine.cost import work
from tilewright.machine.machine import Machine


@frozen
class Part:
    """`graph` takes inputs of the whole graph, then what is `given` by the part before it; its
    results are those of the whole graph that it makes, then what it leaves to the next."""

    graph: Graph
    given: tuple[Value, ...]
    leaves: tuple[Value, ...]
    costs: tuple[float, ...] = ()
    """Cycles that each of its nodes was taken to need."""


def recut(parts: Sequence[Part], took: Sequence[float]) -> list[float]:
    """Costs of all nodes in line, from the cycles that parts took: each node's share as before."""
    found: list[float] = []
    for part, cycles in zip(parts, took, strict=True):
        whole, size = sum(part.costs), len(part.costs)
        found += [cycles * cost / whole if whole else cycles / size for cost in part.costs]
    return found


def parts_of(
    graph: Graph,
    shared: Sequence[Value],
    number: int,
    machine: Machine,
    costs: Sequence[float] | None = None,
) -> list[Part]:
    """`costs`, if known, are cycles of each node in line.

    Raises `ArgumentError` where there are fewer operations than parts.
    """
    standing = _standing(graph, shared)
    line = [node for node in graph.nodes if node not in standing]
    if len(line) < number:
        raise ArgumentError(
            f"stages must be at most the operations of one instance, {len(line)}, not {number}."
        )
    crossing = _crossing(graph, line)
    costs = costs or [_cycles(node, machine) for node in line]
    ends = _cut(costs, _ways(crossing, machine), number)
    pieces = [line[a:b] for a, b in zip((0, *ends[:-1]), ends, strict=True)]
    made = {value for node in line for value in node.outputs}
    others = tuple(value for value in graph.outputs if value not in made)
    found = []
    for piece, begin, end in zip(pieces, (0, *ends[:-1]), ends, strict=True):
        part = _part(
            graph, piece, standing, crossing[begin], crossing[end], () if begin else others
        )
        found.append(replace(part, costs=tuple(costs[begin:end])))
    return found


def _standing(graph: Graph, shared: Sequence[Value]) -> set[Node]:
    """Nodes that give the same in every instance."""
    known, found = set(shared), set()
    for node in graph.nodes:
        if known.issuperset(node.inputs):
            known.update(node.outputs)
            found.add(node)
    return found


def _cycles(node: Node, machine: Machine) -> float:
    return work(node_count(node), machine.tile).cycles / machine.chip.tiles


def _crossing(graph: Graph, line: Sequence[Node]) -> list[tuple[Value, ...]]:
    """Before each node of the line, and after the last: values made that are read later."""
    last: dict[Value, int] = {}
    for number, node in enumerate(line):
        last.update(dict.fromkeys(node.inputs, number))
    found: list[tuple[Value, ...]] = [()]
    for number, node in enumerate(line):
        made = (*found[-1], *node.outputs)
        found.append(tuple(value for value in made if last.get(value, -1) > number))
    return found


def _ways(crossing: Sequence[Sequence[Value]], machine: Machine) -> list[float]:
    """Cycles that a link takes for what crosses there."""
    exchange, clock = machine.chip.exchange, machine.chip.clock
    rate = exchange.bytes_per_second_between_chips * exchange.link_efficiency / clock
    return [sum(v.type.nbytes for v in some) / (rate or 1.0) for some in crossing]


def _cut(costs: Sequence[float], ways: Sequence[float], number: int) -> list[int]:
    """Where each of so many parts ends: none is empty, the dearest as cheap as can be."""
    total = np.concatenate([[0.0], np.cumsum(costs)])
    size = len(costs)
    best, choices = np.where(np.arange(size + 1) > 0, total, np.inf), []
    for _ in range(number - 1):
        inside = total[None, :] - total[:, None] + np.asarray(ways)[:, None]
        later = np.triu(np.ones((size + 1, size + 1), bool), 1)
        dearest = np.where(later, np.maximum(best[:, None], inside), np.inf)
        choices.append(np.argmin(dearest, axis=0))
        best = np.min(dearest, axis=0)
    ends = [size]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return ends[::-1]


def _part(
    graph: Graph,
    piece: Sequence[Node],
    standing: set[Node],
    given: tuple[Value, ...],
    leaves: tuple[Value, ...],
    others: tuple[Value, ...],
) -> Part:
    """`others` are results that no piece makes: shared inputs, and what hangs on them alone."""
    made = {value for node in piece for value in node.outputs}
    results = (*(value for value in graph.outputs if value in made), *others)
    wanted = {value for node in piece for value in node.inputs}.union(others)
    nodes: list[Node] = list(piece)
    for node in reversed(graph.nodes):
        if node in standing and wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            nodes.insert(0, node)
    inputs = tuple(value for value in graph.inputs if value in wanted)
    outputs = tuple(dict.fromkeys((*results, *leaves)))
    return Part(Graph((*inputs, *given), tuple(nodes), outputs, graph.law), given, leaves)
