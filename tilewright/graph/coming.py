"""Masks that inputs come with, where tiles share no memory: as they are brought, at no cost.

In: a graph with `masked` (see `ops/blocks.py`). Out: which of those may stay, as nothing but
products reads them, of inputs as they lie (`plan/masked.py`); and, before, the same graph with
masks before the loops that they were in. Of what a program computes itself a mask is a `select`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies

LOOPS = ("loop", "scan", "map")


def coming(graph: Graph, computed: Collection[Value] = ()) -> frozenset[Node]:
    """Masks of inputs that only products read; but for inputs that are `computed` elsewhere."""
    producers, given = graph.producers(), {*graph.inputs} - {*computed}
    return frozenset(
        node
        for node in graph.nodes
        if node.op == "masked"
        and _input(producers, node.inputs[0]) in given
        and _meets_products(graph, node.output)
    )


def _input(producers: Mapping[Value, Node], value: Value) -> Value | None:
    """What a value is, as it is; or reshaped, then turned: the other way round it would not lie as
    the input does."""
    reshaped = False
    while (node := producers.get(value)) is not None:
        if node.op not in ("reshape", "transpose") or (reshaped and node.op == "transpose"):
            return None
        reshaped, value = reshaped or node.op == "reshape", node.inputs[0]
    return value


def _meets_products(graph: Graph, value: Value) -> bool:
    """Whether products and convolutions read it, here or in loops, as it is, moved or in another
    dtype, and nothing else does."""
    return all(
        node is not None and _is_product(graph, node, value) for node in _readers(graph, value)
    )


def _readers(graph: Graph, value: Value) -> list[Node | None]:
    return graph.readers().get(value, [])


def _is_product(graph: Graph, node: Node, value: Value) -> bool:
    if node.op in ("reshape", "transpose", "convert"):
        return _meets_products(graph, node.output)
    if node.op in LOOPS:
        places = [i for i, read in enumerate(node.inputs) if read is value]
        bodies = [(body, body.inputs[i]) for body in node.bodies for i in places]
        stays = all(_stays(node, i) for i in places)
        return stays and all(_meets_products(*pair) for pair in bodies)
    return node.op in ("dot", "conv")


def _stays(node: Node, position: int) -> bool:
    """Whether turns read an operand of a loop, all of it or a row each, and do not change it."""
    consts, carry = node.params["consts"], node.params.get("carry", 0)
    return position < consts or (node.op != "loop" and position >= consts + carry)


def before_loops(graph: Graph) -> Graph:
    """The same graph; what a loop masks of an operand in every turn is masked before it. But for
    what each instance of a map has a row of: a map that nothing comes before has more ways."""
    new = Rebuilder(graph.inputs)
    for old in graph.nodes:
        node = with_bodies(new.renamed(old), before_loops)
        new.source = node.source
        new.keep(_raised(new, node) if node.op in LOOPS else node)
    return replace(new.finish(graph.outputs), law=graph.law, state=graph.state)


def _raised(new: Rebuilder, node: Node) -> Node:
    inputs, bodies = list(node.inputs), list(node.bodies)
    for position, value in enumerate(node.inputs):
        is_row = position >= node.params["consts"]
        raised = _stays(node, position) and not (is_row and node.op == "map")
        masks = _masks(bodies, position) if raised else []
        if masks:
            inputs[position] = new.op("masked", value, **masks[0].params)
            bodies = [_without(body, position) for body in bodies]
    return replace(node, inputs=tuple(inputs), bodies=tuple(bodies))


def _masks(bodies: Sequence[Graph], position: int) -> list[Node]:
    """All that reads an operand in some bodies, if that is one mask; else nothing."""
    found = [node for body in bodies for node in _readers(body, body.inputs[position])]
    masks = [node for node in found if node is not None and node.op == "masked"]
    alike = all(_same(node, masks[0]) for node in masks)
    return masks if alike and len(masks) == len(found) else []


def _same(one: Node, other: Node) -> bool:
    """Whether two masks are one."""
    mine, theirs = one.params, other.params
    sizes = all(mine[name] == theirs[name] for name in ("tall", "wide"))
    return sizes and np.array_equal(mine["kept"], theirs["kept"])


def _without(body: Graph, position: int) -> Graph:
    """A body without the masks of an input, which comes masked."""
    value, new = body.inputs[position], Rebuilder(body.inputs)
    for node in body.nodes:
        if node.op == "masked" and node.inputs[0] is value:
            new.replace(node.outputs, [value])
        else:
            new.keep(new.renamed(node))
    return replace(new.finish(body.outputs), law=body.law, state=body.state)
