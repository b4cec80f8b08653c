"""Movement: elements change places, or are repeated, and keep their bits.

constant value=                     iota dimension=, shape=, dtype=
broadcast shape=, dimensions=       operand dimension i becomes dimensions[i]
reshape shape=                      transpose permutation=
slice start=, limit=, stride=       reverse dimensions=
pad (operand, value) low=, high=, interior=   (negative low / high crop, as in lax.pad)
concatenate dimension=              copy  (a dense, aligned copy: a decision about layout)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.graph.ir import Builder, Node, Type, Value, numpy_dtype
from tilewright.graph.ops.in_strip import Strip
from tilewright.graph.ops.operation import (
    Links,
    Operation,
    Params,
    Rows,
    Shape,
    Types,
    free,
    moves,
    rows_of_first,
    same,
    told,
    typed,
)

Sizes = Sequence[int]

# What they mean.


def constant(*, value: np.ndarray) -> np.ndarray:
    return np.asarray(value)


def iota(*, dimension: int, shape: Sizes, dtype: str) -> np.ndarray:
    """The index along a dimension."""
    index = np.arange(shape[dimension]).astype(numpy_dtype(dtype))
    along = [1] * len(shape)
    along[dimension] = -1
    return np.broadcast_to(index.reshape(along), tuple(shape))


def broadcast(array: np.ndarray, *, shape: Sizes, dimensions: Sizes) -> np.ndarray:
    """Operand dimension i becomes dimensions[i], which may come in any order."""
    order = sorted(range(array.ndim), key=lambda i: dimensions[i])
    aligned = [1] * len(shape)
    for i in order:
        aligned[dimensions[i]] = array.shape[i]
    return np.broadcast_to(array.transpose(order).reshape(aligned), tuple(shape))


def reshape(array: np.ndarray, *, shape: Sizes) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(tuple(shape))


def transpose(array: np.ndarray, *, permutation: Sizes) -> np.ndarray:
    return array.transpose(tuple(permutation))


def slice_(array: np.ndarray, *, start: Sizes, limit: Sizes, stride: Sizes) -> np.ndarray:
    return array[tuple(map(slice, start, limit, stride))]


def reverse(array: np.ndarray, *, dimensions: Sizes) -> np.ndarray:
    return np.flip(array, tuple(dimensions))


def pad(
    array: np.ndarray, value: np.ndarray, *, low: Sizes, high: Sizes, interior: Sizes
) -> np.ndarray:
    """Spread by `interior`, then pad or crop each end."""
    spread = tuple(
        n + max(n - 1, 0) * inner for n, inner in zip(array.shape, interior, strict=True)
    )
    grown = [max(0, a) + n + max(0, b) for a, n, b in zip(low, spread, high, strict=True)]
    result = np.full(grown, value, array.dtype)
    inside = [
        slice(max(0, a), max(0, a) + n, i + 1)
        for a, n, i in zip(low, spread, interior, strict=True)
    ]
    result[tuple(inside)] = array
    return result[
        tuple(
            slice(max(0, -a), max(0, n + min(0, b)))
            for a, n, b in zip(low, grown, high, strict=True)
        )
    ]


def concatenate(*arrays: np.ndarray, dimension: int) -> np.ndarray:
    return np.concatenate(arrays, axis=dimension)


def copy(array: np.ndarray) -> np.ndarray:
    return array


# Their results.


def _constant_types(operands: Types, params: Params) -> list[Type]:
    array = np.asarray(params["value"])
    return [Type(array.dtype.name, array.shape)]


def _transpose_shape(operands: Types, params: Params) -> Shape:
    return tuple(operands[0].shape[i] for i in params["permutation"])


def _slice_shape(operands: Types, params: Params) -> Shape:
    bounds = zip(params["start"], params["limit"], params["stride"], strict=True)
    return tuple(max(0, -(-(limit - start) // stride)) for start, limit, stride in bounds)


def _pad_shape(operands: Types, params: Params) -> Shape:
    rows = zip(operands[0].shape, params["low"], params["high"], params["interior"], strict=True)
    return tuple(max(0, low + n + max(n - 1, 0) * inner + high) for n, low, high, inner in rows)


def _concatenate_shape(operands: Types, params: Params) -> Shape:
    shape = list(operands[0].shape)
    shape[params["dimension"]] = sum(t.shape[params["dimension"]] for t in operands)
    return tuple(shape)


def _reshape_faults(node: Node) -> Iterator[str]:
    if node.inputs[0].type.size != node.output.type.size:
        yield "changes the number of elements"


# Dimensions that run through them.


def _broadcast_links(node: Node) -> Links:
    (operand,), out = node.inputs, node.output
    pairs = enumerate(node.params["dimensions"])
    return [((operand, i), (out, j)) for i, j in pairs if operand.shape[i] == out.shape[j]]


def _transpose_links(node: Node) -> Links:
    pairs = enumerate(node.params["permutation"])
    return [((node.inputs[0], i), (node.output, j)) for j, i in pairs]


def _reshape_links(node: Node) -> Links:
    """Dimensions with the same number of elements before and inside."""
    old, new = node.inputs[0].shape, node.output.shape
    before: dict[tuple[int, int], int] = {}
    size = 1
    for i, n in enumerate(old):
        if n != 1:
            before[size, n] = i
        size *= n
    links, size = [], 1
    for j, n in enumerate(new):
        if n != 1 and (size, n) in before:
            links.append(((node.inputs[0], before[size, n]), (node.output, j)))
        size *= n
    return links


def _reshape_keeps_rows(node: Node, rows: Rows) -> bool:
    """Not where both sides have rows by other ways alone: those are other rows."""
    source, out = node.inputs[0], node.output
    return source in rows and ((source, rows[source]), (out, rows[out])) in _reshape_links(node)


def _slice_links(node: Node) -> Links:
    operand, out = node.inputs[0], node.output
    return [((operand, i), (out, i)) for i, n in enumerate(operand.shape) if n == out.shape[i]]


def _slice_keeps_rows(node: Node, rows: Rows) -> bool:
    return node.inputs[0] in rows and node.params["stride"][rows[node.output]] == 1


def _concatenate_links(node: Node) -> Links:
    dimension = node.params["dimension"]
    return [
        ((v, i), (node.output, i))
        for v in node.inputs
        for i in range(len(v.shape))
        if i != dimension
    ]


# In strips.


def _broadcast_in_strip(
    strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]
) -> Value:
    (source,), (value,) = node.inputs, operands
    target = [strip.axis(node.output, j) for j in node.params["dimensions"]]
    if source in strip.rows:
        target = [target[i] for i in strip.order(source)]
    row = strip.rows[node.output]
    if source not in strip.rows and row in node.params["dimensions"]:
        narrow = node.params["dimensions"].index(row)
        shape = tuple(n for i, n in enumerate(source.shape) if i != narrow)
        value = builder.op("reshape", value, shape=shape)
        target.pop(narrow)
    shape = strip.shape(node.output)
    return builder.op("broadcast", value, shape=shape, dimensions=tuple(target))


def _reshape_in_strip(
    strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]
) -> Value:
    return builder.op("reshape", operands[0], shape=strip.shape(node.output))


def _transpose_in_strip(
    strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]
) -> Value:
    source, out = node.inputs[0], node.output
    order = [0] * len(out.shape)
    for j, i in enumerate(node.params["permutation"]):
        order[strip.axis(out, j)] = strip.axis(source, i)
    return builder.op("transpose", operands[0], permutation=tuple(order))


def _slice_in_strip(strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]) -> Value:
    source = node.inputs[0]
    row = strip.rows[source]
    order = strip.order(source)
    start, limit, stride = (
        tuple(whole if i == row else node.params[name][i] for i in order)
        for name, whole in (("start", 0), ("limit", strip.size), ("stride", 1))
    )
    return builder.op("slice", operands[0], start=start, limit=limit, stride=stride)


def _concatenate_in_strip(
    strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]
) -> Value:
    dimension = strip.axis(node.output, node.params["dimension"])
    return builder.op("concatenate", *operands, dimension=dimension)


ROWS = {
    "constant": Operation(_constant_types, constant, free),
    "iota": Operation(typed(told), iota, moves),
    "broadcast": Operation(
        typed(told),
        broadcast,
        free,
        links=_broadcast_links,
        in_strip=_broadcast_in_strip,
        keeps_rows=lambda node, rows: True,
        is_view=True,
    ),
    "reshape": Operation(
        typed(told),
        reshape,
        free,
        faults=_reshape_faults,
        links=_reshape_links,
        in_strip=_reshape_in_strip,
        keeps_rows=_reshape_keeps_rows,
        is_view=True,
        folds=True,
    ),
    "transpose": Operation(
        typed(_transpose_shape),
        transpose,
        free,
        links=_transpose_links,
        in_strip=_transpose_in_strip,
        keeps_rows=rows_of_first,
        is_view=True,
        folds=True,
    ),
    "slice": Operation(
        typed(_slice_shape),
        slice_,
        free,
        links=_slice_links,
        in_strip=_slice_in_strip,
        keeps_rows=_slice_keeps_rows,
        is_view=True,
        folds=True,
    ),
    "reverse": Operation(typed(same), reverse, free, is_view=True, folds=True),
    "pad": Operation(typed(_pad_shape), pad, moves, folds=True),
    "concatenate": Operation(
        typed(_concatenate_shape),
        concatenate,
        moves,
        links=_concatenate_links,
        in_strip=_concatenate_in_strip,
        keeps_rows=lambda node, rows: all(value in rows for value in node.inputs),
        folds=True,
    ),
    "copy": Operation(typed(same), copy, moves),
}
