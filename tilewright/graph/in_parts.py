"""Rewrite: a matrix that products read in parts is read in the same parts by all of them.

In: a graph. Out: the same function, bit for bit: how many free columns a product has decides none
(`law.py`). `x @ concatenate([v, w])` is two products, of x's left and right columns (see
`concatenated.py`), and its gradient `e @ x` one, of all. Packed in a loop, x would be packed twice,
whole and in parts, and both read in every turn; as parts alone, both products read one copy. Done
where the matrix does not fit a tile's memory, so that its bytes are what counts.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, users
from tilewright.graph.sides import is_lanes, sides_of
from tilewright.machine.machine import Machine


def in_parts(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    new, readers = Rebuilder(graph.inputs), users(graph)
    for node in graph.nodes:
        parts = _parts(node, readers, machine.tile.memory)
        if node.bodies:
            bodies = tuple(in_parts(body, machine) for body in node.bodies)
            node = replace(node, bodies=bodies)
        node = new.renamed(node)
        if parts is None:
            new.keep(node)
        else:
            new.source = node.source
            new.replace(node.outputs, [_joined(new, node, *parts)])
    return new.finish(graph.outputs)


def _parts(
    node: Node, readers: dict[Value, list[Node]], memory: int
) -> tuple[int, list[Node]] | None:
    """Which operand of a matrix times a vector others read in parts, and the slices of it."""
    if node.op != "dot" or len(node.output.shape) != 1:
        return None
    sides = sides_of(node)
    if not is_lanes(sides) or any(side.batch for side in sides):
        return None
    mine = 0 if sides[0].free else 1
    matrix, (axis,) = sides[mine].value, sides[mine].free
    if matrix.type.nbytes <= memory:
        return None
    slices = [other for other in readers[matrix] if _is_part(other, axis, readers)]
    slices.sort(key=lambda part: part.params["start"][axis])
    ends = [0, *(part.params["limit"][axis] for part in slices)]
    starts = [part.params["start"][axis] for part in slices]
    whole = ends[:-1] == starts and ends[-1] == matrix.shape[axis]
    rising = all(low < high for low, high in pairwise(ends))
    return (mine, slices) if len(slices) > 1 and whole and rising else None


def _is_part(node: Node, axis: int, readers: dict[Value, list[Node]]) -> bool:
    """Whether it is a slice along an axis alone, for a product."""
    if node.op != "slice" or set(node.params["stride"]) != {1}:
        return False
    if not any(reader.op == "dot" for reader in readers.get(node.output, ())):
        return False
    shape = node.inputs[0].shape
    return all(
        i == axis or (start, limit) == (0, extent)
        for i, (start, limit, extent) in enumerate(
            zip(node.params["start"], node.params["limit"], shape, strict=True)
        )
    )


def _joined(new: Rebuilder, node: Node, mine: int, slices: list[Node]) -> Value:
    """The vectors of all parts, one after the other; parts may be made later, so they are again."""
    products = []
    for part in slices:
        operand = new.op("slice", node.inputs[mine], **part.params)
        pair = [operand if side == mine else value for side, value in enumerate(node.inputs)]
        products.append(new.op("dot", *pair, **node.params))
    return new.op("concatenate", *products, dimension=0)
