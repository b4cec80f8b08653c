"""What the law says of a product over a concatenation: it is the sum of the parts' products.

In: a graph as it is traced. Out: the graph that it stands for. A product whose operand is a
concatenation along its one contracted axis, of 2 to 8 parts of 16 terms or more, becomes the
products of the parts, added one after the other; 16-bit floats are added in float32 and rounded
once. So `concatenate([x, h]) @ w` and `x @ w[:n] + h @ w[n:]` have the same bits, and each part may
be computed where it is known. Always: run before any rewrite, on what the user wrote: later nothing
is split, so that no choice of a rewrite changes a bit.

However it is spelled: what lies between a concatenation and its product, and only places elements
or gives them another type (`concatenate([x, h])[None]`, a transpose, a row that `vmap` made a
matrix), is done to the parts. A concatenation outside of a loop is an array to a product inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from itertools import accumulate, pairwise
from math import prod
from typing import Any

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LANES, accumulation_dtype
from tilewright.graph.rewrite import Rebuilder, with_bodies

MOST_PARTS = 8


def split_concatenations(graph: Graph) -> Graph:
    """The same graph, in all bodies too, with such products split."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), split_concatenations)
        new.source = node.source
        side, parts = _parts(new, node)
        if parts:
            new.replace(node.outputs, [_sum_of_parts(new, node, side, parts)])
        else:
            new.keep(node)
    return new.finish(graph.outputs)


def _parts(new: Rebuilder, node: Node) -> tuple[int, Sequence[Value]]:
    """Which operand is such a concatenation, and of what; of nothing where none is."""
    if node.op == "dot" and len(node.params["contract"][0]) == 1:
        for side, value in enumerate(node.inputs):
            (axis,) = node.params["contract"][side]
            lengths = _lengths(new, value, axis)
            if 2 <= len(lengths) <= MOST_PARTS and min(lengths) >= LANES:
                return side, _pieces(new, value, axis)
    return 0, ()


def _lengths(new: Rebuilder, value: Value, axis: int) -> list[int]:
    """Of the parts that `axis` of a value is a concatenation of, if it is one."""
    maker = new.producer(value)
    if maker is None:
        return []
    if maker.op == "concatenate":
        same = maker.params["dimension"] == axis
        return [part.shape[axis] for part in maker.inputs] if same else []
    before = _before(maker, axis)
    return [] if before is None else _lengths(new, maker.inputs[0], before)


def _pieces(new: Rebuilder, value: Value, axis: int) -> Sequence[Value]:
    """Those parts, each moved as their concatenation is."""
    maker = new.producer(value)
    assert maker is not None
    if maker.op == "concatenate":
        return maker.inputs
    before = _before(maker, axis)
    assert before is not None
    return [
        new.op(maker.op, piece, **_of_piece(maker, axis, piece.shape[before]))
        for piece in _pieces(new, maker.inputs[0], before)
    ]


def _of_piece(maker: Node, axis: int, length: int) -> dict[str, Any]:
    """The parameters of a move, for a part that is so long."""
    params = dict(maker.params)
    if "shape" in params:
        shape = maker.output.shape
        params["shape"] = (*shape[:axis], length, *shape[axis + 1 :])
    return params


def _before(maker: Node, axis: int) -> int | None:
    """Which dimension of what a node moves becomes `axis` of its result, whole and in its order."""
    if maker.op == "convert":
        return axis
    if maker.op == "transpose":
        return maker.params["permutation"][axis]
    if maker.op == "broadcast":
        dimensions = maker.params["dimensions"]
        return dimensions.index(axis) if axis in dimensions else None
    if maker.op == "reshape":
        given, shape = maker.inputs[0].shape, maker.output.shape
        same = (
            i
            for i, n in enumerate(given)
            if n == shape[axis] and prod(given[:i]) == prod(shape[:axis])
        )
        return next(same, None)
    return None


def _sum_of_parts(new: Rebuilder, node: Node, side: int, parts: Sequence[Value]) -> Value:
    (own,), (axis,) = node.params["contract"][side], node.params["contract"][1 - side]
    params = dict(node.params) | {"dtype": accumulation_dtype(node.params["dtype"])}
    bounds = pairwise(accumulate((part.shape[own] for part in parts), initial=0))
    cuts = [_slice(new, node.inputs[1 - side], axis, start, stop) for start, stop in bounds]
    sides = zip(parts, cuts, strict=True)
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
