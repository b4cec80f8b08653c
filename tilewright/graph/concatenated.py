"""What the law says of a product over a concatenation: it is the sum of the parts' products.

In: a graph as it is traced. Out: the graph that it stands for. A product whose operand is a
concatenation along its one contracted axis, of 2 to 8 parts of 16 terms or more, becomes the
products of the parts, added one after the other; 16-bit floats are added in float32 and rounded
once. So `concatenate([x, h]) @ w` and `x @ w[:n] + h @ w[n:]` have the same bits, and each part may
be computed where it is known. Always: run before any rewrite, on what the user wrote: later nothing
is split, so that no choice of a rewrite changes a bit.
"""

from __future__ import annotations

from functools import partial, reduce
from itertools import accumulate, pairwise

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES, accumulation_dtype
from tilewright.graph.rewrite import Rebuilder, with_bodies

MOST_PARTS = 8


def split_concatenations(graph: Graph) -> Graph:
    """The same graph, in all bodies too, with such products split."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), split_concatenations)
        side = _side(new, node)
        if side is None:
            new.keep(node)
        else:
            new.source = node.source
            new.replace(node.outputs, [_sum_of_parts(new, node, side)])
    return new.finish(graph.outputs)


def _side(new: Rebuilder, node: Node) -> int | None:
    """Which operand is such a concatenation."""
    if node.op != "dot" or len(node.params["contract"][0]) != 1:
        return None
    for side, value in enumerate(node.inputs):
        maker = new.producer(value)
        if maker is None or maker.op != "concatenate":
            continue
        axis = maker.params["dimension"]
        lengths = [part.shape[axis] for part in maker.inputs]
        few = 2 <= len(lengths) <= MOST_PARTS and min(lengths) >= LANES
        if few and node.params["contract"][side] == (axis,):
            return side
    return None


def _sum_of_parts(new: Rebuilder, node: Node, side: int) -> Value:
    maker = new.producer(node.inputs[side])
    assert maker is not None
    other, (axis,) = node.inputs[1 - side], node.params["contract"][1 - side]
    lengths = [part.shape[maker.params["dimension"]] for part in maker.inputs]
    params = dict(node.params) | {"dtype": accumulation_dtype(node.params["dtype"])}
    bounds = pairwise(accumulate(lengths, initial=0))
    cuts = [_slice(new, other, axis, start, stop) for start, stop in bounds]
    sides = zip(maker.inputs, cuts, strict=True)
    products = [new.op("dot", *(pair if side == 0 else pair[::-1]), **params) for pair in sides]
    total = reduce(partial(new.op, "add"), products)
    same = total.dtype == node.output.dtype
    return total if same else new.op("convert", total, dtype=node.output.dtype)


def _slice(new: Rebuilder, value: Value, axis: int, start: int, stop: int) -> Value:
    rank = len(value.shape)
    return new.op(
        "slice",
        value,
        start=tuple(start if i == axis else 0 for i in range(rank)),
        limit=tuple(stop if i == axis else n for i, n in enumerate(value.shape)),
        stride=(1,) * rank,
    )
