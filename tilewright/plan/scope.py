"""One graph body on its way to steps: its vertices, and the copies between them.

A `Scope` is made for every body (the whole graph, a loop's step, an instance of a map). When values
are read is said in `lives.py`, where they live in `places.py`; here steps are collected. What each
kind of node becomes is said in the files of their families (`lower.py` lists them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.basic import copy_call, copy_codelet, fill_codelet
from tilewright.plan.borders import (
    Border,
    Pads,
    bordered_values,
    edges_of,
    inside_of,
    strides_of,
    whole_shape,
    zero,
)
from tilewright.plan.ir import Buffer, Call, Step, View
from tilewright.plan.lives import FOREVER
from tilewright.plan.masked import in_vectors, masked, pattern, unmasked
from tilewright.plan.places import Places
from tilewright.plan.schedule import UPDATES, Unit
from tilewright.plan.spread import shares_memory, spread_call

COPIES_AT_ONCE = 8
PRODUCTS = ("dot", "dot_blocks", "dot_sampled", "conv", "strips")
FAR = 3 / 8
"""The share of the last cache from which on panels are far: other programs, and the other half of a
step with a state, want room there too."""


@dataclass
class Plan:
    """What all scopes of one program share: machine, constants by buffer, how units are lowered.

    `packed`: bytes of the panels that it is given. `sparing`: whether memory counts for more than
    time.
    """

    machine: Machine
    lower_units: Callable[[Scope], None]
    packed: int = 0
    sparing: bool = False
    constants: list[tuple[Buffer, np.ndarray]] = field(default_factory=list)

    @property
    def far(self) -> bool:
        """Whether panels come from beyond the caches."""
        *caches, _ = self.machine.tile.memories
        return bool(caches) and self.packed > FAR * caches[-1].size

    def constant(self, value: np.ndarray) -> View:
        buffer = Buffer(value.dtype.name, value.size, "constant", len(self.constants))
        self.constants.append((buffer, np.ascontiguousarray(value).reshape(-1)))
        return views.whole(buffer, value.shape)

    def known(self, view: View) -> np.ndarray | None:
        """All of a constant; None of what is none."""
        found = dict(self.constants).get(view.buffer)
        return None if found is None else found.reshape(view.shape)


class Scope(Places):
    """`parallel`: steps run once, all tiles at hand; otherwise inside one tile's share."""

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
        coherent = plan.machine.chip.exchange.kind == "coherent"
        far = plan.machine.tile.memory if coherent else FOREVER
        space = "shared" if parallel else "tile"
        super().__init__(graph, inputs, space, owned, padded, far, plan.sparing)
        self.plan = plan
        self.parallel = parallel
        self.steps: list[Step] = []
        self.padded_images = bordered_values(graph)
        self.borders: dict[View, Border] = {}
        self.stored: dict[Value, Node] = {}
        """Of products and strips that only a mask reads, that mask: its zeros are stored."""

    def want(self, output: Value, view: View) -> None:
        """An output is wanted there, unless it is wanted elsewhere already; what an update makes
        it of, too."""
        node = self.producers.get(output)
        self.destinations.setdefault(output, view)
        if node is None or self.destinations[output] is not view:
            return
        if node.op in UPDATES and views.is_dense(view):
            before = node.inputs[0]
            if before in self.producers and self.consumers[before] == [node]:
                self.want(before, view)
        if node.op != "masked":
            return
        product = self.producers.get(node.inputs[0])
        alone = self.consumers[node.inputs[0]] == [node]
        if product is not None and product.op in PRODUCTS and alone and masked(view, node):
            self.stored[node.inputs[0]] = node
            self.destinations[node.inputs[0]] = view

    def resolve(self, node: Node) -> View:
        """What movement is, over the memory of its operand where strides can say so."""
        if node.op == "constant":
            value = node.params["value"]
            if self._is_pattern(node):
                return views.whole(pattern(value), value.shape)
            return self.plan.constant(value)
        if node.op == "masked":
            view = self.view(node.inputs[0])
            if view.buffer.masked and node.inputs[0] in self.stored:
                return unmasked(view)
            return masked(view, node) or self._masked_copy(view, node)
        assert node.op in views.MOVEMENT, f"{node.op} was read before it was computed"
        view, moved = self.view(node.inputs[0]), views.MOVEMENT[node.op]
        result = moved(view, node) or moved(self.dense(view), node)
        assert result is not None, f"{node.op} of a dense array is no view"
        return result

    def _is_pattern(self, node: Node) -> bool:
        """Whether a constant does nothing but choose vectors, where that is part of a vertex."""
        value, readers = node.output, self.consumers.get(node.output, ())
        if not self.plan.machine.chip.exchange.apart or value.dtype != "bool":
            return False
        if not in_vectors(node.params["value"]):
            return False
        return all(
            reader is not None and reader.op == "select" and value not in reader.inputs[1:]
            for reader in readers
        )

    def _masked_copy(self, view: View, node: Node) -> View:
        copy = self.new(Type(view.dtype, view.shape))
        self.copy(view, copy)
        found = masked(copy, node)
        assert found is not None, "a fresh array is no mask's, and lies still"
        return found

    def kept(self) -> tuple:
        """What is known by now, for `restore`: a way to do something is tried, and priced."""
        occupants = {buffer: list(values) for buffer, values in self.occupants.items()}
        known = dict(self.views), occupants, dict(self.padded_images), dict(self.borders)
        return (
            *known,
            dict(self.destinations),
            len(self.steps),
            len(self.plan.constants),
            self.now,
        )

    def restore(self, kept: tuple) -> None:
        (
            self.views,
            self.occupants,
            self.padded_images,
            self.borders,
            self.destinations,
            steps,
            constants,
            self.now,
        ) = kept
        del self.steps[steps:]
        del self.plan.constants[constants:]

    def free_destination(self, value: Value, unit: Unit | None = None) -> View | None:
        """What a padded convolution reads is wanted inside a border, which is filled here."""
        pads = self.padded_images.pop(value, None)
        if pads is not None and value not in self.destinations:
            self.destinations[value] = self.bordered(value.type, pads, zero(value.dtype)).inside
        place = super().free_destination(value, unit)
        return masked(place, self.stored[value]) if place and value in self.stored else place

    def bordered(self, kind: Type, pads: Pads, fill: np.ndarray) -> Border:
        """A fresh place for an image, with `fill` around it."""
        shape = whole_shape(kind.shape, pads)
        strides = strides_of(shape, kind.dtype)
        buffer = Buffer(kind.dtype, shape[0] * strides[0], self.space)
        whole = View(buffer, shape, strides)
        border = Border(whole, inside_of(whole, kind.shape, pads), pads)
        for edge in edges_of(whole, kind.shape, pads):
            self.call(fill_codelet(fill, edge), [], [edge])
        self.borders[border.inside] = border
        return border

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
        if not shares_memory(self.plan.machine):  # turning rows round is for registers and caches
            self.call(copy_codelet([source], [target]), [source], [target])
            return
        call = copy_call(source, target)
        self.call(call.codelet, call.views[:1], call.views[1:])

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
        """The view itself where it is row-major without gaps, else a copy that is.

        For what no strides can say (a reshape of what lies across), and for codelets that read
        lanes side by side: images, kernels and matrices that are computed where they are read, of
        which `layout` has nothing to keep. What never changes in a loop lies well before.
        """
        if views.is_dense(view):
            return view
        target = self.new(Type(view.dtype, view.shape))
        if not views.is_dense(target):
            target = views.whole(Buffer(view.dtype, view.size, target.buffer.space), view.shape)
        self.copy(view, target)
        return target
