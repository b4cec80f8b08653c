"""Instances of a map on chips of their own: each is planned as a program for all tiles of one chip.

In: a graph that is one map over some of its inputs, with what all instances share. Out: the graph
of an instance, to be planned for one chip; and, from that plan, the program of all: `Replicas`.
Always: an instance reads its rows of the inputs from the host, and gives its rows of the results
there; chips never wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.frozen import frozen
from tilewright.graph.ir import Graph, Node, Value
from tilewright.machine.machine import Machine
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Exchange,
    Loop,
    Move,
    Program,
    Replicas,
    Step,
    Var,
    View,
    While,
    new_var,
)
from tilewright.plan.memory import place_buffers


@frozen
class Instances:
    """`body` is the graph of one. `given` has, for each of its inputs, the input of the whole graph
    by position, and whether it is a row of that."""

    graph: Graph
    body: Graph
    count: int
    given: tuple[tuple[int, bool], ...]

    @property
    def shared(self) -> tuple[Value, ...]:
        """Inputs of the body that are the same for all."""
        pairs = zip(self.body.inputs, self.given, strict=True)
        return tuple(value for value, (_, is_row) in pairs if not is_row)


def one_instance(graph: Graph) -> Instances:
    """All of a graph."""
    return Instances(graph, graph, 1, tuple((i, True) for i in range(len(graph.inputs))))


def one_chip(machine: Machine) -> Machine:
    return replace(machine, chips_per_replica=1, replicas=1)


def instances(graph: Graph) -> Instances | None:
    """None where a graph is anything but a map over inputs."""
    maps = [node for node in graph.nodes if node.op == "map"]
    if len(maps) != 1 or graph.state:
        return None
    (node,), (body,) = maps, maps[0].bodies
    shared, cut = _split(node)
    direct = all(value in graph.inputs for value in cut) and not node.params.get("reverse")
    alone = set(graph.outputs) <= set(node.outputs) and len(set(graph.outputs)) == len(
        graph.outputs
    )
    if not direct or not alone or not cut or node.params["length"] < 2:
        return None
    renamed = dict(zip(body.inputs, shared, strict=False))
    nodes = [other for other in graph.nodes if other is not node]
    nodes += [_reading(inner, renamed) for inner in body.nodes]
    rows = body.inputs[len(shared) :]
    read = {value for inner in nodes for value in inner.inputs} | set(shared)
    whole = [value for value in graph.inputs if value in read]
    outputs = [body.outputs[node.outputs.index(value)] for value in graph.outputs]
    given = [(graph.inputs.index(value), False) for value in whole]
    given += [(graph.inputs.index(value), True) for value in cut]
    one = Graph((*whole, *rows), tuple(nodes), tuple(renamed.get(v, v) for v in outputs), graph.law)
    return Instances(graph, one, node.params["length"], tuple(given))


def _split(node: Node) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """What all instances read, and what each reads a row of."""
    consts = node.params["consts"]
    return node.inputs[:consts], node.inputs[consts:]


def _reading(node: Node, renamed: dict[Value, Value]) -> Node:
    return replace(node, inputs=tuple(renamed.get(v, v) for v in node.inputs))


def over_chips(one: Program, found: Instances, machine: Machine) -> Program:
    """The program of all instances, from that of one on a chip of the machine."""
    graph, var = found.graph, new_var()
    inputs = [Buffer(v.dtype, v.type.size, "input", i) for i, v in enumerate(graph.inputs)]
    outputs = [Buffer(v.dtype, v.type.size, "output", i) for i, v in enumerate(graph.outputs)]
    constants = one.inputs[: len(one.inputs) - len(found.given)]
    hosts = {
        mine: (inputs[position], is_row)
        for mine, (position, is_row) in zip(one.inputs[len(constants) :], found.given, strict=True)
    }
    hosts |= {mine: (whole, True) for mine, whole in zip(one.outputs, outputs, strict=True)}
    steps = _Rows(hosts, var).steps(one.steps)
    all_: tuple[Step, ...] = (
        Replicas(var, found.count, min(machine.chips, found.count), machine.chip.tiles, steps),
    )
    placed = place_buffers(all_)
    return Program(
        buffers=(*inputs, *outputs, *constants, *placed.offsets),
        inputs=(*constants, *inputs),
        outputs=tuple(outputs),
        steps=all_,
        offsets=placed.offsets,
        shared_bytes=0,
        tile_bytes=placed.tile_bytes,
        tiles=machine.tiles,
    )


class _Rows:
    """Steps of an instance, over its rows of the host's arrays."""

    def __init__(self, hosts: dict[Buffer, tuple[Buffer, bool]], var: Var):
        self.hosts, self.var = hosts, var

    def steps(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(map(self.step, steps))

    def step(self, step: Step) -> Step:
        match step:
            case Exchange(moves):
                return Exchange(tuple(map(self.move, moves)))
            case Loop(_, _, body):
                return replace(step, steps=self.steps(body))
            case While(condition, _, body):
                return replace(step, condition=self.steps(condition), steps=self.steps(body))
            case Branch(_, cases):
                return replace(step, cases=tuple(map(self.steps, cases)))
        return step

    def move(self, move: Move) -> Move:
        return replace(move, source=self.view(move.source), target=self.view(move.target))

    def view(self, view: View) -> View:
        if view.buffer not in self.hosts:
            return view
        whole, is_row = self.hosts[view.buffer]
        rows = ((self.var, view.buffer.size),) if is_row else ()
        return replace(view, buffer=whole, moves=(*view.moves, *rows))
