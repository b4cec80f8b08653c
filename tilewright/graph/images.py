"""Rewrite: a net over many images does one image after the other, from the first layer to the last.

In: a graph in which convolutions, and what stands between them, keep images apart. Out: the same,
with all of that as one `map` over the images, whose body is the net of a single one. Layer by
layer, each layer's images would outgrow the caches before the next layer reads them; one by one,
they stay near, and tiles that do an image each wait for nobody (8 images through EfficientNet-B0:
15.6 ms each before, 11 since, which is what one alone takes). Weights are read once more an image,
from the cache that tiles share.

Always: not a bit changes, as no sum runs over images (see `law.py`). What sums over them, or hangs
on such a sum (a batch norm in training), stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilewright.graph.ir import Builder, Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.strips import in_order
from tilewright.machine.machine import Machine

FEWEST_LAYERS = 2
"""Convolutions, from which on there is something between them to keep near."""
ROUNDS = 4
"""Images for each tile from which on it matters little that one tile may do one more."""
CONVOLUTIONS = ("conv", "conv_data")

Alone = tuple[tuple[int, ...], dict[str, Any]]
"""Which operands are an image each, and the parameters of the node for one image."""


def one_by_one(graph: Graph, machine: Machine) -> Graph:
    """The same graph (not its bodies) with a `map` over images where that pays."""
    for node in graph.nodes:
        if node.op in CONVOLUTIONS and _is_even(node.inputs[0].shape[0], machine):
            chain = _Chain(graph, node.inputs[0].shape[0])
            if chain.outgrows(machine.tile.memory):
                return chain.mapped()
    return graph


def _is_even(images: int, machine: Machine) -> bool:
    """Whether tiles get about as many images each."""
    tiles = machine.chip.tiles
    return images > 1 and (images % tiles == 0 or images >= ROUNDS * tiles)


class _Chain:
    """The nodes that keep `count` images apart, and hang on nothing that does not."""

    def __init__(self, graph: Graph, count: int):
        self.graph, self.count = graph, count
        self.producers = graph.producers()
        self.members: dict[Node, Alone] = {}
        self.images: set[Value] = set()
        later: set[Value] = set()
        for node in graph.nodes:
            alone = None if later.intersection(node.inputs) else self._member(node)
            if alone is not None:
                self.members[node] = alone
                self.images.add(node.output)
            elif self.images.intersection(node.inputs) or later.intersection(node.inputs):
                later.update(node.outputs)
        self._leave_the_end()

    def _leave_the_end(self) -> None:
        """Products of a row an image, which no layer of places reads again, take all rows at once:
        a classifier's matrix is then read once, not for each image (8 images through B0: 0.1 ms
        each of 9.3 in float32, 0.05 of 7.3 in bfloat16 on Zen 4)."""
        layers: set[Value] = set()  # what layers of places are made of
        for node in reversed(list(self.members)):
            if len(node.output.shape) > 2 or not layers.isdisjoint(node.outputs):
                layers.update(node.inputs)
        end: set[Value] = set()
        for node in list(self.members):
            last = len(node.output.shape) <= 2 and node.output not in layers
            if last and (node.op == "dot" or not end.isdisjoint(node.inputs)):
                end.add(node.output)
                self.images.discard(node.output)
                del self.members[node]

    def _member(self, node: Node) -> Alone | None:
        """None where the node mixes images, or has none."""
        begins = node.op in CONVOLUTIONS and node.inputs[0].shape[0] == self.count
        if not (begins or self.images.intersection(node.inputs)) or len(node.outputs) != 1:
            return None
        rule = _alone if node.op in ELEMENTWISE else RULES.get(node.op)
        alone = rule(node, self.count) if rule and node.output.shape[:1] == (self.count,) else None
        if alone is None:
            return None
        fixed = {v for i, v in enumerate(node.inputs) if i not in alone[0]}
        return None if fixed & self.images else alone

    def outgrows(self, memory: int) -> bool:
        """Whether layers are worth keeping near, and all images of them are more than that."""
        layers = sum(node.op in CONVOLUTIONS for node in self.members)
        return layers >= FEWEST_LAYERS and sum(v.type.nbytes for v in self.images) > memory

    def mapped(self) -> Graph:
        """The graph with the chain as one node."""
        rest = [node for node in self.graph.nodes if node not in self.members]
        read = {v for node in rest for v in node.inputs} | set(self.graph.outputs)
        results = [node.output for node in self.members if node.output in read]
        consts, xs = self._operands()
        outer = Builder()
        made = outer.add(
            "map",
            [*consts, *xs],
            [value.type for value in results],
            bodies=[self._body(consts, xs, results)],
            consts=len(consts),
            length=self.count,
        )
        renamed = dict(zip(results, made, strict=True))
        nodes = [
            Node(n.op, tuple(renamed.get(v, v) for v in n.inputs), n.outputs, n.params, n.bodies,
                 n.source)
            for n in [*rest, *outer.nodes]
        ]  # fmt: skip
        outputs = tuple(renamed.get(v, v) for v in self.graph.outputs)
        return Graph(self.graph.inputs, in_order(nodes), outputs, self.graph.law)

    def _operands(self) -> tuple[list[Value], list[Value]]:
        """What every image reads, and what each reads a part of."""
        consts: dict[Value, None] = {}
        xs: dict[Value, None] = {}
        for node, (positions, _) in self.members.items():
            for i, value in enumerate(node.inputs):
                if value in self.images or self._is_number(value):
                    continue
                repeated = self._repeated(value) if i in positions else None
                if repeated is not None:
                    more = (v for v in repeated.inputs if not self._is_number(v))
                    consts.update(dict.fromkeys(more))
                else:
                    (xs if i in positions else consts)[value] = None
        return list(consts), list(xs)

    def _is_number(self, value: Value) -> bool:
        """A constant that the body writes into itself."""
        node = self.producers.get(value)
        return node is not None and node.op == "constant" and value.type.size == 1

    def _repeated(self, value: Value) -> Node | None:
        """The broadcast that repeats something for every image; the body does it for one."""
        node = self.producers.get(value)
        return node if node and node.op == "broadcast" and 0 not in _dimensions(node) else None

    def _body(self, consts: list[Value], xs: list[Value], results: list[Value]) -> Graph:
        builder = Builder([v.type for v in consts] + [_part(v) for v in xs])
        here = dict(zip(consts, builder.inputs, strict=False))
        for value, given in zip(xs, builder.inputs[len(consts) :], strict=True):
            here[value] = builder.op("reshape", given, shape=(1, *value.shape[1:]))
        for node, (positions, params) in self.members.items():
            builder.source = node.source
            operands = []
            for i, value in enumerate(node.inputs):
                if value not in here or (i in positions and self._repeated(value)):
                    here[value] = self._once(builder, value, here)
                operands.append(here[value])
            here[node.output] = builder.op(node.op, *operands, **params)
        parts = [builder.op("reshape", here[v], shape=v.shape[1:]) for v in results]
        return builder.graph(parts)

    def _once(self, builder: Builder, value: Value, here: dict[Value, Value]) -> Value:
        """A number, or what is repeated for every image, for one."""
        if self._is_number(value):
            return builder.constant(self.producers[value].params["value"])
        node = self._repeated(value)
        assert node is not None
        (source,) = node.inputs
        if source not in here:
            here[source] = self._once(builder, source, here)
        params = dict(node.params) | {"shape": (1, *value.shape[1:])}
        return builder.op("broadcast", here[source], **params)


def _part(value: Value):
    return type(value.type)(value.dtype, value.shape[1:])


def _dimensions(node: Node) -> tuple[int, ...]:
    return tuple(node.params["dimensions"])


# Of one image: which operands are images, and the parameters. None where images are mixed.


def _alone(node: Node, count: int) -> Alone | None:
    """All operands, nothing else changes."""
    return tuple(range(len(node.inputs))), dict(node.params)


def _first(node: Node, count: int) -> Alone | None:
    return (0,), dict(node.params)


def _shaped(node: Node, count: int) -> Alone | None:
    """Of a reshape, or of a broadcast of images: their dimension is the first, before and after."""
    given = node.inputs[0].shape
    if given[:1] != (count,) or (node.op == "broadcast" and _dimensions(node)[0] != 0):
        return None
    return (0,), dict(node.params) | {"shape": (1, *node.output.shape[1:])}


def _transposed(node: Node, count: int) -> Alone | None:
    return None if node.params["permutation"][0] else _first(node, count)


def _reduced(node: Node, count: int) -> Alone | None:
    return None if 0 in node.params["axes"] else _first(node, count)


def _reversed(node: Node, count: int) -> Alone | None:
    return None if 0 in node.params["dimensions"] else _first(node, count)


def _cut(node: Node, count: int) -> Alone | None:
    start, limit, stride = (node.params[name] for name in ("start", "limit", "stride"))
    if (start[0], limit[0], stride[0]) != (0, count, 1):
        return None
    return (0,), dict(node.params) | {"limit": (1, *limit[1:])}


def _padded(node: Node, count: int) -> Alone | None:
    edges = (node.params[name][0] for name in ("low", "high", "interior"))
    return None if any(edges) else _first(node, count)


def _joined(node: Node, count: int) -> Alone | None:
    return None if node.params["dimension"] == 0 else _alone(node, count)


def _product(node: Node, count: int) -> Alone | None:
    """Of images with what is the same for all, or of batches with an image each."""
    (contracted, _), (left, right) = node.params["contract"], node.params["batch"]
    if not left:
        return None if 0 in contracted or node.inputs[0].shape[0] != count else _first(node, count)
    return _alone(node, count) if left[0] == right[0] == 0 else None


RULES: dict[str, Callable[[Node, int], Alone | None]] = {
    "conv": _first,
    "conv_data": _first,
    "window": _first,
    "window_scatter": _alone,
    "dot": _product,
    "reduce": _reduced,
    "broadcast": _shaped,
    "reshape": _shaped,
    "transpose": _transposed,
    "reverse": _reversed,
    "slice": _cut,
    "pad": _padded,
    "concatenate": _joined,
    "copy": _first,
}
