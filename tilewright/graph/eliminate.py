"""Rewrite: everything that no output hangs on goes, and what is computed twice is computed once.

Dead nodes; results, constants, carries and elements of control flow that nobody reads, through any
depth of bodies; carries that never change (they become constants); cases' results that are just an
operand. `strips` nodes keep their results, and one operand with rows at least. The graph's own
inputs and outputs stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.graph.share import share

Positions = frozenset[int]


def eliminate(graph: Graph) -> Graph:
    """The same function without idle parts."""
    graph = share(unchanged(graph))
    return _Pruner().pruned(graph, frozenset(range(len(graph.outputs))))


# Carries that never change.


def unchanged(graph: Graph) -> Graph:
    """Carries that a body hands on as they are become constants of the node."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), unchanged)
        if node.op in ("loop", "scan"):
            node = _fix_carries(new, node)
        if node.op == "strips":
            node = _distinct_rows(new, node)
        new.keep(node)
        if node.op == "branch":
            _pass_operands(new, node)
    return new.finish(graph.outputs)


def _fix_carries(new: Rebuilder, node: Node) -> Node:
    consts, step = node.params["consts"], node.bodies[-1]
    count = node.params.get("carry", len(node.inputs) - consts)
    fixed = [i for i in range(count) if step.outputs[i] is step.inputs[consts + i]]
    if not fixed:
        return node
    new.replace([node.outputs[i] for i in fixed], [node.inputs[consts + i] for i in fixed])
    first = [consts + i for i in fixed]
    order = [*range(consts), *first]
    order += [i for i in range(consts, len(node.inputs)) if i not in set(first)]
    results = [i for i in range(len(node.outputs)) if i not in set(fixed)]
    bodies = [Graph(_pick(body.inputs, order), body.nodes, body.outputs) for body in node.bodies]
    bodies[-1] = replace(bodies[-1], outputs=_pick(step.outputs, results))
    params = dict(node.params) | {"consts": consts + len(fixed)}
    if node.op == "scan":
        params["carry"] = count - len(fixed)
    return replace(
        node,
        inputs=_pick(node.inputs, order),
        outputs=_pick(node.outputs, results),
        params=params,
        bodies=tuple(bodies),
    )


def _distinct_rows(new: Rebuilder, node: Node) -> Node:
    """Rows that strips give twice are given once, and those that they read are not given at all."""
    ys, consts = node.params["ys"], node.params["consts"]
    end = 0 if node.params["first"] else -1
    first: dict[tuple[Value, ...], Value] = {}
    for value, axis, *inside in zip(
        node.inputs[consts:], node.params["axes"], *(b.inputs[consts:] for b in node.bodies),
        strict=True,
    ):  # fmt: skip
        if axis in (end, end % len(value.shape)):
            first[tuple(inside)] = value
    kept = []
    for i, output in enumerate(node.outputs):
        inside = tuple(body.outputs[i] for body in node.bodies)
        if i < ys and inside in first:
            new.replace([output], [first[inside]])
        else:
            first.setdefault(inside, output)
            kept.append(i)
    if len(kept) == len(node.outputs):
        return node
    bodies = tuple(replace(body, outputs=_pick(body.outputs, kept)) for body in node.bodies)
    params = dict(node.params) | {"ys": sum(i < ys for i in kept)}
    return replace(node, outputs=_pick(node.outputs, kept), params=params, bodies=bodies)


def _pass_operands(new: Rebuilder, node: Node) -> None:
    """What every case hands on from the same operand is that operand."""
    for i, output in enumerate(node.outputs):
        found = {
            body.inputs.index(body.outputs[i]) if body.outputs[i] in body.inputs else -1
            for body in node.bodies
        }
        if len(found) == 1 and -1 not in found:
            new.replace([output], [node.inputs[1 + found.pop()]])


def _pick(values: tuple[Value, ...], positions: Iterable[int]) -> tuple[Value, ...]:
    return tuple(values[i] for i in positions)


# Dead parts.


class _Pruner:
    """Finds, once for each body and set of wanted outputs, which values are live."""

    def __init__(self) -> None:
        self._live: dict[tuple[Graph, Positions], set[Value]] = {}

    def live(self, graph: Graph, wanted: Positions) -> set[Value]:
        """The values that the wanted outputs hang on."""
        key = (graph, wanted)
        if key not in self._live:
            live = set(_pick(graph.outputs, wanted))
            for node in reversed(graph.nodes):
                if live.isdisjoint(node.outputs):
                    continue
                if node.bodies or node.op == "sort":
                    stay, _ = self.operands(node, _used(node, live))
                    live.update(node.inputs[i] for i in stay)
                else:
                    live.update(node.inputs)
            self._live[key] = live
        return self._live[key]

    def read(self, body: Graph, wanted: Positions) -> Positions:
        """The positions of the body's inputs that the wanted outputs hang on."""
        live = self.live(body, wanted)
        return frozenset(i for i, value in enumerate(body.inputs) if value in live)

    def operands(self, node: Node, used: Positions) -> tuple[Positions, Positions]:
        """Which operands and results of control flow (or a sort) stay if `used` are wanted."""
        if node.op == "sort":
            stay = used | frozenset(range(node.params["keys"]))
            return stay, stay
        if node.op == "strips":
            return self._striped(node)
        if node.op == "branch":
            read = frozenset().union(*(self.read(body, used) for body in node.bodies))
            return frozenset({0, *(i + 1 for i in read)}), used
        if node.op == "map":
            return self.read(node.bodies[0], used), used
        return self._carried(node, used)

    def _striped(self, node: Node) -> tuple[Positions, Positions]:
        """What a strip reads; the first x if it reads none, for the number of its rows."""
        results, consts = frozenset(range(len(node.outputs))), node.params["consts"]
        read = frozenset().union(*(self.read(body, results) for body in node.bodies))
        if all(i < consts for i in read):
            read |= {i for i in range(len(node.inputs)) if i == consts}
        return read, results

    def _carried(self, node: Node, used: Positions) -> tuple[Positions, Positions]:
        """A carry is wanted if its result is, or if the condition or a wanted result reads it."""
        consts, step = node.params["consts"], node.bodies[-1]
        count = node.params.get("carry", len(node.inputs) - consts)
        always: Positions = frozenset()
        if node.op == "loop":
            always = self.read(node.bodies[0], frozenset({0}))
        while True:
            read = always | self.read(step, used)
            carried = frozenset(i - consts for i in read if consts <= i < consts + count)
            if carried <= used:
                break
            used = used | carried
        return read | {consts + i for i in used if i < count}, used

    def pruned(self, graph: Graph, wanted: Positions) -> Graph:
        """The graph with the wanted outputs and all its inputs."""
        live = self.live(graph, wanted)
        nodes = []
        for node in graph.nodes:
            if not live.isdisjoint(node.outputs):
                nodes.append(self._pruned_node(node, live))
        return Graph(graph.inputs, tuple(nodes), _pick(graph.outputs, sorted(wanted)))

    def _pruned_node(self, node: Node, live: set[Value]) -> Node:
        if not (node.bodies or node.op == "sort"):
            return node
        kept = self.operands(node, _used(node, live))
        stay, results = (sorted(positions) for positions in kept)
        offset = 1 if node.op == "branch" else 0
        params = dict(node.params)
        if node.op == "strips":
            count, axes = node.params["consts"], node.params["axes"]
            params["axes"] = tuple(axes[i - count] for i in stay if i >= count)
        if "consts" in params:
            params["consts"] = sum(i < node.params["consts"] for i in stay)
        if "carry" in params:
            params["carry"] = sum(i < node.params["carry"] for i in results)
        bodies = []
        for i, body in enumerate(node.bodies):
            is_condition = node.op == "loop" and i == 0
            wanted = frozenset({0}) if is_condition else frozenset(results)
            small = self.pruned(body, wanted)
            inputs = _pick(body.inputs, [i - offset for i in stay if i >= offset])
            bodies.append(replace(small, inputs=inputs))
        return replace(
            node,
            inputs=_pick(node.inputs, stay),
            outputs=_pick(node.outputs, results),
            params=params,
            bodies=tuple(bodies),
        )


def _used(node: Node, live: set[Value]) -> Positions:
    return frozenset(i for i, value in enumerate(node.outputs) if value in live)
