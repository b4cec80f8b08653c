"""Rewrite: which way operands of products lie, however they were spelled.

In: a graph. Out: the same function, bit for bit. Transposes of operands become dimension numbers
of the product, also those made outside of a loop that reads them. An operand that never changes
inside a loop (or from run to run: `pack_fixed`) and does not lie as the product's codelet reads it
best is packed: as panels (see `packing.py`), or as a dense `copy` in the order that the codelet
states. Packs are operations like others: they hoist out of loops, equal ones are shared, and `bind`
does them once. Kernels of convolutions: see `kernels.py`.

What codelets state (see `codelets/contract/codelet.py`): lanes run along the free dimensions of one
operand, which should lie (batch, contracted, free); of a matrix that meets a vector, along the
contracted ones, and it should lie (batch, free, contracted).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import replace
from functools import partial
from math import prod

from tilewright.graph.by_law import leaf_of
from tilewright.graph.fixed import known_from
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.kernels import packed_kernel
from tilewright.graph.law import LANES, LEAF
from tilewright.graph.packing import Packing
from tilewright.graph.rewrite import Rebuilder
from tilewright.graph.sides import Side, folded, is_lanes, lies, sides_of
from tilewright.machine.cost import LIKELY_TRIPS
from tilewright.machine.machine import Machine

LOOPS = ("loop", "scan", "map")
CROWDED = 2048
"""Bytes: rows that lie a multiple of it apart share few sets of a cache, and are packed apart."""
OFTEN = 64
"""Turns that pay for a copy of what lies as it should, but may begin anywhere in a cache line.

Arrays of NumPy begin 16 bytes into one, so that each vector of 64 is read from two: loops over
products with a vector took 10 to 26 % longer (Zen 4, matrices of 64 to 512 rows)."""
LINE = 64
"""Bytes; only rows of whole lines all begin with one."""

Inside = Callable[[Rebuilder, Node], Node]
"""What becomes of a node's bodies."""


def layout(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""

    def inside(new: Rebuilder, node: Node) -> Node:
        if node.op in LOOPS:
            return _with_loop_bodies(_with_transposes_inside(new, node), machine)
        if node.op == "branch":
            bodies = tuple(layout(body, machine) for body in node.bodies)
            return replace(node, bodies=bodies)
        return node

    return _laid(graph, frozenset(), inside, None)


def pack_fixed(graph: Graph, fixed: Set[Value], machine: Machine) -> Graph:
    """The same graph, its products reading `fixed` operands packed; in bodies of scans and maps,
    those that read panels."""
    known = known_from(graph, fixed)
    inside = partial(_with_panels_inside, known, machine)
    return _laid(graph, fixed, inside, Packing.of(graph, machine.tile))


def _with_panels_inside(known: Set[Value], machine: Machine, new: Rebuilder, node: Node) -> Node:
    """What turned too seldom for panels, as they were made in each run."""
    if node.op not in ("scan", "map"):
        return node
    (body,) = node.bodies
    given = zip(body.inputs[: node.params["consts"]], node.inputs, strict=False)
    own = {value for value, source in given if source in known}
    if not own:
        return node
    inner, packing = Rebuilder(body.inputs), Packing.of(body, machine.tile)
    for original in body.nodes:
        turned = _with_panels_inside(own, machine, inner, inner.renamed(original))
        panels = _panels(inner, turned, own, packing) if turned.op == "dot" else None
        if panels is None:
            inner.keep(turned)
        else:
            inner.replace(turned.outputs, [panels])
    return replace(node, bodies=(inner.finish(body.outputs),))


def _panels(new: Rebuilder, node: Node, still: Set[Value], packing: Packing) -> Value | None:
    """The product of panels, which are summed in the host's leaves; None where they do not pay."""
    sides = [folded(new, side) for side in sides_of(node)]
    fixed = [side.value in still for side in sides]
    if fixed[0] == fixed[1] or leaf_of(node) != LEAF:
        return None
    return packing.product(new, node, sides, fixed.index(True))


def _as_it_is(new: Rebuilder, node: Node) -> Node:
    return node


def _laid(
    graph: Graph,
    fixed: Set[Value],
    inside: Inside,
    packing: Packing | None,
    often: bool = False,
) -> Graph:
    new = Rebuilder(graph.inputs)
    still = set(fixed)
    turned = _met_both_ways(graph) if often else set()
    for original in graph.nodes:
        node = inside(new, new.renamed(original))
        new.source = node.source
        if node.op == "dot":
            here = often and original not in turned
            new.replace(node.outputs, [_product(new, node, still, packing, here)])
        elif node.op == "conv" and packing is not None:
            new.keep(_convolution(new, node, still))
        else:
            new.keep(node)
        if still.issuperset(node.inputs) and (node.inputs or (fixed and node.op == "constant")):
            still.update(new.read_all(node.outputs))
    return new.finish(graph.outputs)


def _met_both_ways(graph: Graph) -> set[Node]:
    """Products of a matrix that others contract along its other dimensions.

    Such a matrix becomes strips, which lay it once for all of them; another copy would be read from
    further away.
    """
    makers, ways, met = graph.producers(), defaultdict(set), defaultdict(list)
    for node in graph.nodes:
        for side in sides_of(node) if node.op == "dot" else ():
            value, contract = side.value, side.contract
            while (maker := makers.get(value)) is not None and maker.op == "transpose":
                value = maker.inputs[0]
                contract = tuple(maker.params["permutation"][i] for i in contract)
            matrix = _matrix(value, makers)
            ways[matrix].add(contract)
            met[node].append(matrix)
    return {node for node, read in met.items() if any(len(ways[m]) > 1 for m in read)}


def _matrix(value: Value, makers: Mapping[Value, Node]) -> Hashable:
    """What a value is: itself, or a part of another; equal parts are the same."""
    maker = makers.get(value)
    if maker is None or maker.op != "slice":
        return value
    return maker.inputs[0], *(maker.params[name] for name in ("start", "limit", "stride"))


def _convolution(new: Rebuilder, node: Node, still: Set[Value]) -> Node:
    """A convolution whose kernel alone is still reads it packed."""
    image, kernel = node.inputs
    if kernel not in still or image in still:
        return node
    return replace(node, inputs=(image, packed_kernel(new, kernel)))


def _with_loop_bodies(node: Node, machine: Machine) -> Node:
    """Constants of a loop that turns more than once are fixed inside."""
    trips = node.params.get("length", LIKELY_TRIPS)
    consts = node.params["consts"] if trips > 1 else 0

    def laid(body: Graph) -> Graph:
        apart = machine.chip.exchange.apart  # no lanes of registers to pack for
        packing = None if apart else Packing.of(body, machine.tile, trips)
        fixed = set(body.inputs[:consts])
        return _laid(layout(body, machine), fixed, _as_it_is, packing, trips >= OFTEN)

    return replace(node, bodies=tuple(map(laid, node.bodies)))


def _with_transposes_inside(new: Rebuilder, node: Node) -> Node:
    """The loop, reading what constants are transposes of; its bodies transpose them."""
    for i in range(node.params["consts"]):
        while (maker := new.producer(node.inputs[i])) is not None and maker.op == "transpose":
            source = maker.inputs[0]
            inputs = (*node.inputs[:i], source, *node.inputs[i + 1 :])
            bodies = tuple(map(partial(_transposing, i, maker), node.bodies))
            node = replace(node, inputs=inputs, bodies=bodies)
    return node


def _transposing(position: int, maker: Node, body: Graph) -> Graph:
    given = Value(maker.inputs[0].type)
    inside = replace(maker, inputs=(given,), outputs=(body.inputs[position],))
    inputs = (*body.inputs[:position], given, *body.inputs[position + 1 :])
    return Graph(inputs, (inside, *body.nodes), body.outputs)


def _product(
    new: Rebuilder, node: Node, still: set[Value], packing: Packing | None, often: bool
) -> Value:
    """The product with transposes folded and what is still packed."""
    sides = [folded(new, side) for side in sides_of(node)]
    fixed = [side.value in still for side in sides]
    if fixed[0] != fixed[1]:
        mine = fixed.index(True)
        if packing and (panels := _panels(new, node, still, packing)):
            return panels
        order = _wanted(sides[mine], sides[1 - mine], is_lanes(sides), often)
        if order is not None:
            sides[mine] = _packed(new, sides[mine], order)
            still.add(sides[mine].value)
    contract = tuple(side.contract for side in sides)
    batch = tuple(side.batch for side in sides)
    params = dict(node.params) | {"contract": contract, "batch": batch}
    return new.op("dot", *(side.value for side in sides), **params)


def _wanted(mine: Side, other: Side, lanes: bool, often: bool) -> tuple[int, ...] | None:
    """The order of dimensions that a fixed operand should lie in; None where it may stay."""
    if lanes:
        order = (*mine.batch, *mine.free, *mine.contract)
        stays = lies(mine, order) and not (often and _is_of_lines(mine))
        return None if stays or not mine.free else order
    order = (*mine.batch, *mine.contract, *mine.free)
    theirs = (*other.batch, *other.contract, *other.free)
    if lies(other, theirs) and other.width >= min(LANES, mine.width):
        return None  # lanes run along the other
    if mine.width < min(LANES, other.width):
        return None
    return None if lies(mine, order) and not _is_crowded(mine) else order


def _is_of_lines(side: Side) -> bool:
    width = prod(side.value.shape[i] for i in side.contract)
    return width * side.value.type.numpy.itemsize % LINE == 0


def _is_crowded(side: Side) -> bool:
    rows = prod(side.value.shape[i] for i in side.contract)
    return rows > LANES and side.width * side.value.type.numpy.itemsize % CROWDED == 0


def _packed(new: Rebuilder, side: Side, order: tuple[int, ...]) -> Side:
    value = side.value
    if order != tuple(range(len(order))):
        value = new.op("transpose", value, permutation=order)
    return side.ordered(order, new.op("copy", value))
