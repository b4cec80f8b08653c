"""One graph body on its way to steps: where each value lives, and the steps so far.

A `Scope` is made for every body (the whole graph, a loop's step, an instance of a map). It keeps
the views of values, decides which values may be overwritten, and collects steps. What each kind of
node becomes is said elsewhere: `vertices.py` for codelets, `control.py` for loops, branches and
maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.codelets.transpose import Transpose
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.basic import copy_codelet, is_transposition, operand
from tilewright.plan.ir import Buffer, Call, Step, View, dense_strides
from tilewright.plan.schedule import ALIASES, Unit, alias_root, schedule
from tilewright.plan.spread import spread_call

FOREVER = 1 << 60
COPIES_AT_ONCE = 8
CACHE_LINE = 64


@dataclass
class Plan:
    """What all scopes of one program share: machine, constants by buffer, how units are lowered."""

    machine: Machine
    lower_units: Callable[[Scope], None]
    constants: list[tuple[Buffer, np.ndarray]] = field(default_factory=list)

    def constant(self, value: np.ndarray) -> View:
        buffer = Buffer(value.dtype.name, value.size, "constant", len(self.constants))
        self.constants.append((buffer, np.ascontiguousarray(value).reshape(-1)))
        return views.whole(buffer, value.shape)


class Scope:
    """`parallel`: steps run once, all tiles at hand; otherwise inside one tile's share.

    `destinations` says where outputs are wanted. A value is written only to memory in which nothing
    lies that is still to be read; see `is_free`.
    """

    def __init__(
        self,
        plan: Plan,
        graph: Graph,
        inputs: Sequence[View],
        *,
        parallel: bool,
        owned: Iterable[Value] = (),
        padded: bool = False,
    ):
        self.plan = plan
        self.graph = graph
        self.parallel = parallel
        self.padded = padded
        self.views: dict[Value, View] = {}
        self.occupants: dict[Buffer, list[Value]] = {}
        self.steps: list[Step] = []
        self.destinations: dict[Value, View] = {}
        self.producers = graph.producers()
        self.units = schedule(graph)
        self.now = 0
        self.owned = set(owned)
        self.last_read = self._last_reads()
        self.consumers = self._consumers()
        for value, view in zip(graph.inputs, inputs, strict=True):
            self.put(value, view)

    def root(self, value: Value) -> Value:
        return alias_root(value, self.producers)

    def _last_reads(self) -> dict[Value, int]:
        """The last unit that reads a value's memory, seen through views; outputs live forever."""
        last: dict[Value, int] = {}
        for number, unit in enumerate(self.units):
            for node in unit.nodes:
                for value in node.inputs:
                    last[self.root(value)] = number
        for value in self.graph.outputs:
            last[self.root(value)] = FOREVER
        return last

    def _consumers(self) -> dict[Value, list[Node | None]]:
        """Who reads each value; None stands for the graph's outputs."""
        consumers: dict[Value, list[Node | None]] = {}
        for node in self.graph.nodes:
            for value in node.inputs:
                consumers.setdefault(value, []).append(node)
        for value in self.graph.outputs:
            consumers.setdefault(value, []).append(None)
        return consumers

    def leaves_unit(self, value: Value, unit: Unit) -> bool:
        """Whether anything outside of the unit reads the value."""
        return any(reader not in unit.nodes for reader in self.consumers.get(value, ()))

    def new(self, kind: Type) -> View:
        """A fresh buffer: in the shared arena, or in the tile's own."""
        space = "shared" if self.parallel else "tile"
        strides = self._strides(kind)
        size = kind.size if kind.size == 0 else _extent(kind.shape, strides)
        return views.whole(Buffer(kind.dtype, size, space), kind.shape, strides)

    def _strides(self, kind: Type) -> tuple[int, ...]:
        """Row-major; rows of strips start on whole cache lines, an odd number of them apart.

        With an even number, equal columns of many rows would meet in few sets of the cache.
        """
        if not self.padded or len(kind.shape) < 2:
            return dense_strides(kind.shape)
        line = CACHE_LINE // kind.numpy.itemsize
        lines = -(-kind.shape[-1] // line)
        return dense_strides((*kind.shape[:-1], (lines | 1) * line))

    def view(self, value: Value) -> View:
        """Where the value is; movement is resolved to a view here, at its first reader."""
        if value not in self.views:
            self.put(value, self._resolve(self.producers[value]))
        return self.views[value]

    def put(self, value: Value, view: View) -> View:
        """Note where a value lives."""
        self.views[value] = view
        self.occupants.setdefault(view.buffer, []).append(value)
        return view

    def _resolve(self, node: Node) -> View:
        if node.op == "constant":
            return self.plan.constant(node.params["value"])
        assert node.op in ALIASES, f"{node.op} was read before it was computed"
        view = self.view(node.inputs[0])
        if node.op == "broadcast":
            return views.broadcast(view, node.params["shape"], node.params["dimensions"])
        if node.op == "transpose":
            return views.transpose(view, node.params["permutation"])
        if node.op == "slice":
            return views.window(
                view, node.params["start"], node.output.shape, node.params["stride"]
            )
        if node.op == "reverse":
            return views.reverse(view, node.params["dimensions"])
        reshaped = views.reshape(view, node.params["shape"])
        if reshaped is None:
            dense = self.dense(view)
            reshaped = views.reshape(dense, node.params["shape"])
            assert reshaped is not None
        return reshaped

    def target(self, value: Value, unit: Unit | None = None) -> View:
        """Where to compute a value: where it is wanted if that is free by now, else afresh."""
        return self.put(value, self.free_destination(value, unit) or self.new(value.type))

    def free_destination(self, value: Value, unit: Unit | None = None) -> View | None:
        """Where the value is wanted, if what lies there is read no more (`unit` reads last)."""
        place = self.destinations.get(value)
        return place if place is not None and self.is_free(place, unit) else None

    def is_free(self, place: View, unit: Unit | None = None, but: Value | None = None) -> bool:
        """Whether the unit at hand may write to `place`: no value in that buffer is read later.

        Nor by the unit itself, unless it is given and minds for itself: a branch hands over what
        lies there to its cases; an elementwise unit may read the very elements that it writes.
        `but` is a value (an alias root) that does not count.
        """
        roots = {self.root(value) for value in self.occupants.get(place.buffer, ())}
        return all(root is but or self._is_read(root, place, unit) for root in roots)

    def _is_read(self, root: Value, place: View, unit: Unit | None) -> bool:
        last = self.last_read.get(root, -1)
        if last != self.now or unit is None:
            return last < self.now
        if unit.kind == "fused":
            readers = [v for node in unit.nodes for v in node.inputs if self.root(v) is root]
            return all(self.view(v) == place for v in readers)
        return unit.kind == "branch"

    def may_overwrite(self, value: Value) -> bool:
        """Whether the value's memory is ours and the unit at hand is the last to read it."""
        root, view = self.root(value), self.view(value)
        reads = [v for node in self.units[self.now].nodes for v in node.inputs]
        producer = self.producers.get(root)
        ours = root in self.owned or (producer is not None and producer.op != "constant")
        return (
            ours
            and sum(self.root(v) is root for v in reads) == 1
            and self.last_read.get(root) == self.now
            and views.is_dense(view)
            and view.size == self.view(root).size
            and self.is_free(view, but=root)
        )

    def call(self, codelet: Codelet, inputs: Sequence[View], outputs: Sequence[View]) -> None:
        """Append a vertex, with scratch memory where the codelet asks for it."""
        if outputs and not any(view.size for view in outputs):
            return
        arguments = [*inputs, *outputs]
        spread = spread_call(codelet, arguments, self.plan.machine) if self.parallel else None
        if spread is None and codelet.scratch:
            arguments.append(self.new(Type("uint8", (codelet.scratch,))))
        self.steps += spread or [Call(codelet, tuple(arguments))]

    def copy(self, source: View, target: View) -> None:
        if source == target or not source.size:
            return
        if is_transposition(source, target):
            source, target = (views.transpose(view, (1, 0)) for view in (source, target))
            self.call(Transpose(operand(source), operand(target)), [source], [target])
        else:
            self.call(copy_codelet([source], [target]), [source], [target])

    def copy_all(self, pairs: Sequence[tuple[View, View]]) -> None:
        """Many copies; those of one shape and dtype share a vertex."""
        alike: dict[tuple[str, tuple[int, ...]], list[tuple[View, View]]] = {}
        for source, target in pairs:
            if source.size:
                alike.setdefault((source.dtype, source.shape), []).append((source, target))
        for group in alike.values():
            for start in range(0, len(group), COPIES_AT_ONCE):
                sources, targets = zip(*group[start : start + COPIES_AT_ONCE], strict=True)
                self.call(copy_codelet(sources, targets), sources, targets)

    def dense(self, view: View) -> View:
        """The view itself where it is row-major without gaps, else a copy that is."""
        if views.is_dense(view):
            return view
        target = self.new(Type(view.dtype, view.shape))
        if not views.is_dense(target):
            target = views.whole(Buffer(view.dtype, view.size, target.buffer.space), view.shape)
        self.copy(view, target)
        return target


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return shape[0] * strides[0] if shape else 1
