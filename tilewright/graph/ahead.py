"""Rewrite: what a scan's body computes from its elements alone leaves the loop, a chunk at a time.

In: a graph. Out: the same function, bit for bit. Products of elements with constants (the inputs'
half of a recurrent cell), where reading the constant for the few rows of one trip takes longer than
multiplying, are done for a chunk of trips at once, as one product with that many times the rows:
the constant is read once a chunk. So

    scan(T trips)  becomes  scan(T / c chunks): products of c elements each, then scan(c trips)

and memory does not grow with T. Elementwise work and movement around such a product goes with it.
Always: a product keeps its order of summation; one that the law takes in lanes would not, and
stays. Rows of a product have the same bits alone and among others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tilewright.frozen import frozen
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.rewrite import Rebuilder, cone, copy_nodes, fresh, with_bodies
from tilewright.graph.sides import is_lanes, sides_of
from tilewright.machine.cost import home, mac_rate, narrow
from tilewright.machine.machine import Machine, Tile

ROWS = 64
"""Of the products of a chunk: enough for multiplying to take much longer than reading."""
CHUNKS, LEAST = {16: 8, 32: 10}, 16
"""Chunks of a scan, by the registers of a core, for scans that follow each other to be at work at
once, each on its tile (see `plan/stages.py`); but of so many rows at least. (The talk's net, batch
1: 10 chunks for 8 take 0.94 to 0.97 of the time on two tiles with AVX-512, where a chunk's products
go among other reading, and as long on one; 1.02 on either in float32 with AVX2, as each chunk reads
all panels anew.)"""
SMALL = 1 / 4
"""A share of the nearest memory, up to which constants are read as fast as they are multiplied."""
ABOUT = 0.8
"""Reading and multiplying that take the same but for what figures are worth are taken as equal."""
KEPT = 1 / 2
"""The share of a tile's memory that a chunk's results may fill."""


def ahead(graph: Graph, machine: Machine) -> Graph:
    """The same function with such products before the trips that read them, in bodies too."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), partial(ahead, machine=machine))
        leaving = leaving_of(node, machine.tile) if node.op == "scan" else None
        if leaving is None:
            new.keep(node)
        else:
            new.source = node.source
            new.replace(node.outputs, _in_chunks(new, node, leaving))
    return new.finish(graph.outputs)


@frozen
class _Leaving:
    """Nodes of a body that leave it, the values that what stays reads, trips in a chunk."""

    nodes: tuple[Node, ...]
    frontier: tuple[Value, ...]
    trips: int


def leaving_of(node: Node, tile: Tile) -> _Leaving | None:
    """What leaves a scan; None if nothing is worth it."""
    (body,), consts = node.bodies, node.params["consts"]
    first = consts + node.params["carry"]
    fixed, moving = set(body.inputs[:consts]), set(body.inputs[first:])
    held = sum(value.type.nbytes for value in node.inputs[:consts])
    heavy: dict[Value, None] = {}
    before = {n.output: n.inputs[0] for n in body.nodes if n.op == "convert"}
    rows = 1
    for inner in body.nodes:
        if inner.bodies:
            continue
        if fixed.issuperset(inner.inputs):
            fixed.update(inner.outputs)
        elif inner.op in _STACKED and (fixed | moving).issuperset(inner.inputs):
            leaves = inner.op == "dot" and pays(inner, before, moving, tile, held)
            if inner.op == "dot" and not leaves:
                continue
            moving.update(inner.outputs)
            if leaves or not heavy.keys().isdisjoint(inner.inputs):
                heavy.update(dict.fromkeys(inner.outputs))
            rows = max(rows, _rows(inner, moving) if leaves else 1)
    stays = [n for n in body.nodes if not moving.issuperset(n.outputs)]
    read = {value for n in stays for value in n.inputs} | set(body.outputs)
    frontier = tuple(value for value in heavy if value in read)
    trips = _trips(node.params["length"], rows, frontier, tile) if frontier else 0
    if trips < 2:
        return None
    nodes, _ = cone(body.producers(), frontier)
    return _Leaving(tuple(n for n in body.nodes if n in nodes), frontier, trips)


def pays(node: Node, before: dict[Value, Value], moving: set[Value], tile: Tile, held: int) -> bool:
    """Whether a product of elements with a constant waits for the constant.

    `before` is what operands were before they were widened.
    """
    sides = sides_of(node)
    mine = [side for side in sides if side.value in moving]
    if len(mine) != 1 or is_lanes(sides):
        return False
    (constant,) = (side for side in sides if side is not mine[0])
    rows, matrix = (before.get(side.value, side.value) for side in (mine[0], constant))
    size = matrix.type.nbytes
    macs = node.output.type.size * constant.terms
    reading = size / (home(tile, held).read or 1e9)
    key = narrow(rows.dtype, matrix.dtype, node.output.dtype, node.params.get("pairs"))
    rate = mac_rate(tile, key)
    return size > SMALL * tile.memories[0].size and reading >= ABOUT * macs / rate


def _rows(node: Node, moving: set[Value]) -> int:
    return next(side.width for side in sides_of(node) if side.value in moving)


def _trips(length: int, rows: int, frontier: Sequence[Value], tile: Tile) -> int:
    """In a chunk: all, if they are few; else up to about `ROWS` rows, a divisor of the length if
    there is one near."""
    kept = sum(value.type.nbytes for value in frontier)
    most = int(min(2 * ROWS // rows, KEPT * tile.memory // kept))
    fewest = max(1, LEAST // rows)
    if length <= min(most, 2 * fewest):
        return length
    chunks = CHUNKS.get(tile.features.registers, min(CHUNKS.values()))
    wanted = min(most, max(1, ROWS // rows), max(fewest, length // chunks))
    divisors = [n for n in range(max(2, wanted // 2), min(most, 2 * wanted) + 1) if length % n == 0]
    return min(divisors, key=lambda n: abs(n - wanted), default=wanted)


def _in_chunks(new: Rebuilder, node: Node, leaving: _Leaving) -> list[Value]:
    """What stands for the scan's results."""
    length, trips = node.params["length"], leaving.trips
    consts, carry = node.params["consts"], node.params["carry"]
    fixed, state = node.inputs[:consts], node.inputs[consts : consts + carry]
    xs = node.inputs[consts + carry :]
    whole, rest = divmod(length, trips)
    runs = [(0, whole, trips)] + ([(whole * trips, 1, rest)] if rest else [])
    pieces: list[Sequence[Value]] = []
    for start, count, each in reversed(runs) if node.params["reverse"] else runs:
        elements = [_some(new, x, start, count * each) for x in xs]
        state, ys = _run(new, node, leaving, (fixed, state, elements), count, each)
        pieces.append(ys)
    if node.params["reverse"]:
        pieces.reverse()
    if len(pieces) == 1:
        return [*state, *pieces[0]]
    return [
        *state,
        *(new.op("concatenate", *parts, dimension=0) for parts in zip(*pieces, strict=True)),
    ]


def _some(new: Rebuilder, x: Value, start: int, count: int) -> Value:
    if count == x.shape[0]:
        return x
    begin = (start, *(0 for _ in x.shape[1:]))
    limit = (start + count, *x.shape[1:])
    return new.op("slice", x, start=begin, limit=limit, stride=(1,) * len(x.shape))


Operands = tuple[Sequence[Value], Sequence[Value], Sequence[Value]]
"""Constants, carries, elements."""


def _run(
    new: Rebuilder, node: Node, leaving: _Leaving, operands: Operands, count: int, each: int
) -> tuple[Sequence[Value], Sequence[Value]]:
    """Carries and stacked results of `count` chunks of `each` trips."""
    carry = len(operands[1])
    if count == 1:
        results = _chunk(new, node, leaving, operands, each)
        return results[:carry], results[carry:]
    fixed, state, xs = operands
    cut = [new.op("reshape", x, shape=(count, each, *x.shape[1:])) for x in xs]
    inputs = [*fixed, *state, *cut]
    types = [v.type for v in (*fixed, *state)]
    types += [Type(x.dtype, x.shape[1:]) for x in cut]
    inside = Builder(types)
    given = inside.inputs
    sorts = given[: len(fixed)], given[len(fixed) : len(fixed) + carry], given[len(fixed) + carry :]
    results = _chunk(inside, node, leaving, sorts, each)
    stacked = [Type(v.dtype, (count, *v.shape)) for v in results[carry:]]
    outputs = new.add(
        "scan",
        inputs,
        [*(v.type for v in results[:carry]), *stacked],
        bodies=[inside.graph(results)],
        **(dict(node.params) | {"length": count}),
    )
    ys = [new.op("reshape", v, shape=(count * each, *v.shape[2:])) for v in outputs[carry:]]
    return outputs[:carry], ys


def _chunk(
    builder: Builder, node: Node, leaving: _Leaving, operands: Operands, trips: int
) -> tuple[Value, ...]:
    """Carries and results of some trips: first what leaves, then the scan over the rest."""
    (body,), (fixed, state, xs) = node.bodies, operands
    consts, carry = len(fixed), len(state)
    stack = _Stack(builder, trips, dict(zip(body.inputs, fixed, strict=False)))
    stack.stacked.update(zip(body.inputs[consts + carry :], xs, strict=True))
    for inner in leaving.nodes:
        stack.add(inner)
    found = [stack.of(value) for value in leaving.frontier]
    gone = set(leaving.frontier)
    left = tuple(n for n in body.nodes if gone.isdisjoint(n.outputs))
    rest = fresh(Graph((*body.inputs, *leaving.frontier), left, body.outputs))
    types = [v.type for v in rest.outputs[:carry]]
    types += [Type(v.dtype, (trips, *v.shape)) for v in rest.outputs[carry:]]
    params = dict(node.params) | {"length": trips}
    return builder.add("scan", [*fixed, *state, *xs, *found], types, bodies=[rest], **params)


class _Stack:
    """Values of a body for some trips at once: `stacked` ones have a first dimension of trips."""

    def __init__(self, builder: Builder, trips: int, fixed: dict[Value, Value]):
        self.builder, self.trips, self.fixed = builder, trips, fixed
        self.stacked: dict[Value, Value] = {}

    def of(self, value: Value) -> Value:
        """With the dimension of trips, along which a constant repeats."""
        if value in self.stacked:
            return self.stacked[value]
        fixed = self.fixed[value]
        dimensions = tuple(range(1, len(fixed.shape) + 1))
        shape = (self.trips, *fixed.shape)
        return self.builder.op("broadcast", fixed, shape=shape, dimensions=dimensions)

    def add(self, node: Node) -> None:
        if not any(value in self.stacked for value in node.inputs):
            copy_nodes(self.builder, [node], self.fixed)
        else:
            self.stacked[node.output] = _STACKED[node.op](self, node)

    def op(self, node: Node, **params: Any) -> Value:
        """The node on stacked operands, with some parameters changed."""
        changed = dict(node.params) | params
        return self.builder.op(node.op, *map(self.of, node.inputs), **changed)


def _product(stack: _Stack, node: Node) -> Value:
    """The elements' rows of all trips, side by side, times the constant, in that order.

    So lanes run along the constant's columns, whichever side it was on. Trips come first.
    """
    sides = sides_of(node)
    mine = next(i for i, value in enumerate(node.inputs) if value in stack.stacked)
    element, constant = sides[mine], sides[1 - mine]
    params = dict(node.params) | {
        "contract": (_later(element.contract), constant.contract),
        "batch": (_later(element.batch), constant.batch),
    }
    rows, matrix = stack.of(element.value), stack.fixed[constant.value]
    result = stack.builder.op("dot", rows, matrix, **params)
    batch, own, other = (len(axes) for axes in (element.batch, element.free, constant.free))
    first = range(batch + 1, batch + 1 + own)
    second = range(batch + 1 + own, batch + 1 + own + other)
    order = (batch, *range(batch), *(first if mine == 0 else second))
    order += tuple(second if mine == 0 else first)
    if order == tuple(range(len(order))):
        return result
    return stack.builder.op("transpose", result, permutation=order)


def _sliced(stack: _Stack, node: Node) -> Value:
    start, limit, stride = (node.params[name] for name in ("start", "limit", "stride"))
    return stack.op(node, start=(0, *start), limit=(stack.trips, *limit), stride=(1, *stride))


def _later(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


_STACKED: dict[str, Callable[[_Stack, Node], Value]] = {
    **dict.fromkeys(ELEMENTWISE, lambda stack, node: stack.op(node)),
    "dot": _product,
    "slice": _sliced,
    "reduce": lambda stack, node: stack.op(node, axes=_later(node.params["axes"])),
    "concatenate": lambda stack, node: stack.op(node, dimension=node.params["dimension"] + 1),
    "reverse": lambda stack, node: stack.op(node, dimensions=_later(node.params["dimensions"])),
    "reshape": lambda stack, node: stack.op(node, shape=(stack.trips, *node.params["shape"])),
    "transpose": lambda stack, node: stack.op(
        node, permutation=(0, *_later(node.params["permutation"]))
    ),
    "broadcast": lambda stack, node: stack.op(
        node,
        shape=(stack.trips, *node.params["shape"]),
        dimensions=(0, *_later(node.params["dimensions"])),
    ),
}
"""The operations that leave a body, and what they become."""
