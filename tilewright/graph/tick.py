"""Split a step with a state by its input, the tick: what its answer waits for, and what not.

In: a graph that overwrites inputs (its state), and those of its other inputs that come with each
tick. Out: three graphs, which together do what the step does, bit for bit:

    prepare   before the tick: what hangs on the state alone and the answer reads (of an LSTM, U h)
    answer    from the tick to the step's results; and those parts of the new state that fall out
    settle    after the answer: the rest of the new state (of a sliding window, all other starts)

Like the step, each overwrites its part of the state. What one leaves for another lies in `carried`
inputs, which all three take after the first `leading` ones, and overwrite as they do a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from tilewright.frozen import frozen
from tilewright.graph.fixed import STAYS, needed
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.ops import VIEWS
from tilewright.graph.rewrite import Rebuilder, cone


@frozen
class Tick:
    """`settle` does nothing, and has no outputs, where the answer leaves nothing to be done."""

    answer: Graph
    settle: Graph
    prepare: Graph
    carried: tuple[Type, ...]


def split_tick(graph: Graph, ticks: Set[Value], leading: int) -> Tick:
    """The three graphs of a step; `ticks` are among its inputs behind the first `leading`."""
    return _Split(graph, ticks, leading).tick()


class _Split:
    """Parts of the state are numbered as in `graph.state`."""

    def __init__(self, graph: Graph, ticks: Set[Value], leading: int):
        self.graph, self.leading = graph, leading
        self.producers = graph.producers()
        self.old = [graph.inputs[position] for position in graph.state]
        self.new = graph.outputs[: len(graph.state)]
        self.moving = _following(graph, ticks)
        self.answering = self._moving_behind(graph.results)
        at_once = [i for i, value in enumerate(self.new) if self._is_answered(value)]
        self.answering |= self._moving_behind(self.new[i] for i in at_once)
        """Views of what the answer computes are nobody's work."""
        self.known, self.early = self._known_before(at_once)
        answered = {v for n in self.answering if n.op not in VIEWS for v in n.outputs}
        held = answered | set(ticks) | set(self.early)
        later = [i for i in range(len(self.new)) if i not in at_once and self._changes(i)]
        targets = [self.new[i] for i in later if self.new[i] not in held]
        self.settling, read = cone(self.producers, targets, held)
        read |= {self.new[i] for i in later if self.new[i] in held}
        self.in_place = [i for i in at_once if self.old[i] not in read]
        self.later = [*later, *(i for i in at_once if self.old[i] in read)]
        written = {self.new[i] for i in self.in_place}
        read |= {self.new[i] for i in self.later if self.new[i] in held}
        late = [v for v in self._in_order(held) if v in read and v not in {*self.early, *written}]
        self.late: list[Value] = late

    def tick(self) -> Tick:
        carried = tuple(value.type for value in (*self.early, *self.late))
        return Tick(self._answer(), self._settle(), self._prepare(), carried)

    def _answer(self) -> Graph:
        new = [self.new[i] for i in self.in_place]
        places = [self._carried(len(self.early) + i) for i in range(len(self.late))]
        return replace(
            self.graph,
            inputs=self._inputs([*self.early, *_fresh(self.late)]),
            nodes=self._nodes(self.answering | self.known),
            outputs=(*new, *self.late, *self.graph.results),
            state=(*map(self._place, self.in_place), *places),
        )

    def _prepare(self) -> Graph:
        nodes, _ = cone(self.producers, self.early)
        return replace(
            self.graph,
            inputs=self._inputs(_fresh([*self.early, *self.late])),
            nodes=self._nodes(nodes),
            outputs=tuple(self.early),
            state=tuple(map(self._carried, range(len(self.early)))),
        )

    def _settle(self) -> Graph:
        """Reading what is carried, and new parts of the state where the answer has put them."""
        carried = [*self.early, *self.late]
        stand_ins = _fresh(carried)
        graph = Rebuilder(self._inputs(stand_ins))
        graph.replace([self.new[i] for i in self.in_place], [self.old[i] for i in self.in_place])
        graph.replace(carried, stand_ins)
        for node in self._nodes(self.settling):
            graph.keep(graph.renamed(node))
        made = graph.finish(self.new[i] for i in self.later)
        return replace(made, law=self.graph.law, state=tuple(map(self._place, self.later)))

    def _moving_behind(self, values: Iterable[Value]) -> set[Node]:
        nodes, _ = cone(self.producers, values)
        return {node for node in nodes if not self.moving.isdisjoint(node.outputs)}

    def _is_answered(self, value: Value) -> bool:
        behind = self._moving_behind([value])
        work = {node for node in behind if node.op not in VIEWS}
        return value in self.moving and work <= self.answering

    def _changes(self, part: int) -> bool:
        return self.new[part] is not self.old[part]

    def _known_before(self, at_once: Sequence[int]) -> tuple[set[Node], list[Value]]:
        """Views that the answer repeats, and the values that are made beforehand for it."""
        wanted = [v for node in self._nodes(self.answering) for v in node.inputs]
        wanted += [*self.graph.results, *(self.new[i] for i in at_once)]
        known = {v for n in self.graph.nodes for v in n.outputs if v not in self.moving}
        kept, early = needed(wanted, known, self.producers, lambda value: True, STAYS)
        return kept, list(self._in_order(early))

    def _in_order(self, values: Iterable[Value]) -> list[Value]:
        """As they come in the graph: the same text each time."""
        wanted = set(values)
        made = (v for node in self.graph.nodes for v in node.outputs)
        return [v for v in (*self.graph.inputs, *made) if v in wanted]

    def _nodes(self, nodes: Set[Node]) -> tuple[Node, ...]:
        return tuple(node for node in self.graph.nodes if node in nodes)

    def _inputs(self, carried: Iterable[Value]) -> tuple[Value, ...]:
        inputs, leading = self.graph.inputs, self.leading
        return (*inputs[:leading], *carried, *inputs[leading:])

    def _carried(self, number: int) -> int:
        """The position of a carried input."""
        return self.leading + number

    def _place(self, part: int) -> int:
        """The position of a part of the state, behind what is carried."""
        return self.graph.state[part] + len(self.early) + len(self.late)


def _following(graph: Graph, values: Set[Value]) -> set[Value]:
    """These values, and all that hangs on any of them."""
    moving = set(values)
    for node in graph.nodes:
        if not moving.isdisjoint(node.inputs):
            moving.update(node.outputs)
    return moving


def _fresh(values: Sequence[Value]) -> list[Value]:
    return [Value(value.type) for value in values]
