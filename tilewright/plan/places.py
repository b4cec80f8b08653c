"""Where the values of one graph body live, and which memory may be written.

In: units that ask for a place, in running order. Out: views. `destinations` says where outputs are
wanted. Always: a value is written only to memory in which nothing lies that is still to be read;
see `is_free`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.plan import views
from tilewright.plan.ir import Buffer, View, dense_strides
from tilewright.plan.lives import FOREVER, Lives
from tilewright.plan.masked import unmasked
from tilewright.plan.schedule import Unit

CACHE_LINE = 64
CROWDED = 2048
"""Rows a multiple of so many bytes apart meet in few sets of a cache."""


class Places(Lives, ABC):
    """`space` is where new buffers lie, "shared" or "tile"; their rows are `padded` apart or dense.

    The memory of inputs that are `owned` may be written once they are read no more.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[View],
        space: str,
        owned: Iterable[Value] = (),
        padded: bool = False,
        far: int = FOREVER,
        sparing: bool = False,
    ):
        super().__init__(graph, far, sparing)
        self.space = space
        self.padded = padded
        self.owned = set(owned)
        self.views: dict[Value, View] = {}
        self.occupants: dict[Buffer, list[Value]] = {}
        self.destinations: dict[Value, View] = {}
        self.gathered: dict[Value, View] = {}
        for value, view in zip(graph.inputs, inputs, strict=True):
            self.put(value, view)

    def new(self, kind: Type) -> View:
        """A fresh buffer."""
        strides = self._strides(kind)
        size = kind.size if kind.size == 0 else _extent(kind.shape, strides)
        return views.whole(Buffer(kind.dtype, size, self.space), kind.shape, strides)

    def new_apart(self, kind: Type, apart: bool) -> View:
        """A fresh buffer; of which rows that would meet in few sets of the cache are `apart`."""
        padded, pitch = self.padded, kind.shape[-1] * kind.numpy.itemsize if kind.shape else 0
        self.padded |= apart and pitch % CROWDED == 0
        found, self.padded = self.new(kind), padded
        return found

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
            self.put(value, self.resolve(self.producers[value]))
        return self.views[value]

    @abstractmethod
    def resolve(self, node: Node) -> View:
        """The view that movement, or a constant, is."""

    def put(self, value: Value, view: View) -> View:
        """Note where a value lives."""
        self.views[value] = view
        self.occupants.setdefault(view.buffer, []).append(value)
        return view

    def target(self, value: Value, unit: Unit | None = None) -> View:
        """Where to compute a value: where it is wanted if that is free by now, else afresh."""
        return self.put(value, self.free_destination(value, unit) or self.new(value.type))

    def free_destination(self, value: Value, unit: Unit | None = None) -> View | None:
        """Where the value is wanted, if what lies there is read no more (`unit` reads last)."""
        place = self.destinations.get(value)
        return place if place is not None and self.is_free(place, unit) else None

    def is_free(self, place: View, unit: Unit | None = None, but: Value | None = None) -> bool:
        """Whether the unit at hand may write to `place`: no value there is read later.

        Nor by the unit itself, unless it is given and minds for itself: a branch hands over what
        lies there to its cases; an elementwise unit may read the very elements that it writes, and
        so may what follows a product.
        `but` is a value (an alias root) that does not count.
        """
        roots = {self.root(value) for value in self.occupants.get(place.buffer, ())}
        roots = {root for root in roots if not views.are_apart(self.view(root), place)}
        return all(root is but or self._is_read(root, place, unit) for root in roots)

    def _is_read(self, root: Value, place: View, unit: Unit | None) -> bool:
        last = self.last_read.get(root, -1)
        if last != self.now or unit is None:
            return last < self.now
        if unit.kind in ("fused", "cell", "dot", "dot_packed"):
            first = int(unit.kind != "fused")  # whose product reads all, whatever is written
            if any(self.root(v) is root for node in unit.nodes[:first] for v in node.inputs):
                return False
            read = (v for node in unit.nodes for v in self.read_by(node))
            readers = [v for v in read if self.root(v) is root]
            return all(unmasked(self.view(v)) == place for v in readers)
        return unit.kind == "branch"

    def changes(self, value: Value) -> bool:
        """Whether it is another one each time: made here, or by the turn before."""
        root = self.root(value)
        producer = self.producers.get(root)
        return root in self.owned or (producer is not None and producer.op != "constant")

    def may_overwrite(self, value: Value) -> bool:
        """Whether the value's memory is ours and the unit at hand is the last to read it."""
        root, view = self.root(value), self.view(value)
        reads = [v for node in self.units[self.now].nodes for v in self.read_by(node)]
        return (
            self.changes(value)
            and view.buffer.masked is None
            and sum(self.root(v) is root for v in reads) == 1
            and self.last_read.get(root) == self.now
            and views.is_dense(view)
            and view.size == self.view(root).size
            and self.is_free(view, but=root)
        )


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return shape[0] * strides[0] if shape else 1
