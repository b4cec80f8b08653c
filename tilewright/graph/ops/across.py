"""Operations along an axis: reductions, positions of extremes, running sums, sorting.

    reduce kind=, axes=[, leaf=]        kind in sum prod max min and or xor
    argreduce kind=, axis=, dtype=      argmax argmin; the first of equals; a NaN wins
    cumulative kind=, axis=, reverse=   kind in sum prod max min
    sort (*operands) dimension=, keys=  lexicographic by the first `keys` operands, which are
                                        integers; stable; the others are carried along

The order of sums is that of `graph/law.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tilewright.graph import law
from tilewright.graph.floats import flush
from tilewright.graph.ir import Builder, Node, Type, Value
from tilewright.graph.ops.in_strip import Strip
from tilewright.graph.ops.operation import (
    Arrays,
    Links,
    Operation,
    Params,
    Rows,
    Types,
    once,
    rows_of_first,
    same,
    typed,
    without,
)
from tilewright.machine.cost import Count


def reduce(
    array: np.ndarray, *, kind: str, axes: Sequence[int], leaf: int = law.LEAF
) -> np.ndarray:
    return law.reduce_ordered(kind, array, axes, leaf)


def argreduce(array: np.ndarray, *, kind: str, axis: int, dtype: str) -> np.ndarray:
    """The first position of the extreme; the first NaN wins; zeros and denormals are equal."""
    function = np.argmax if kind == "argmax" else np.argmin
    return function(flush(array), axis=axis).astype(dtype)


def cumulative(array: np.ndarray, *, kind: str, axis: int, reverse: bool) -> np.ndarray:
    return law.cumulative_ordered(kind, array, axis, reverse)


def sort(*operands: np.ndarray, dimension: int, keys: int) -> Arrays:
    """All operands in the lexicographic order of the first `keys`, stably."""
    places = np.lexsort(operands[:keys][::-1], axis=dimension)
    return [np.take_along_axis(operand, places, axis=dimension) for operand in operands]


def combination(kind: str) -> str:
    """What a reduction or scatter of that kind does once an element."""
    return {"sum": "add", "prod": "mul", "set": "move"}.get(kind, kind)


def _combined(node: Node) -> Count:
    return once(node, combination(node.params["kind"]))


def _sorted(node: Node) -> Count:
    """As many comparisons of each element as a merge sort makes."""
    length = node.inputs[0].shape[node.params["dimension"]]
    return once(node, "move", max(1, (length - 1).bit_length()))


def _sort_types(operands: Types, params: Params) -> list[Type]:
    if not 0 < params["keys"] <= len(operands):
        raise ValueError(f"{params['keys']} keys of {len(operands)} operands")
    return list(operands)


def _reduce_links(node: Node) -> Links:
    kept = [i for i in range(len(node.inputs[0].shape)) if i not in node.params["axes"]]
    return [((node.inputs[0], i), (node.output, j)) for j, i in enumerate(kept)]


def _sums_rows(node: Node, rows: Rows) -> bool:
    """Any strip has whole leaves of the terms: rows outermost, and 2^j terms in a row."""
    source, axes = node.inputs[0], sorted(node.params["axes"])
    row = rows.get(source)
    if node.params["kind"] != "sum" or row not in axes:
        return False
    others = [axis for axis in axes if axis != row]
    before = any(source.shape[axis] != 1 for axis in others if axis < row)
    return not before and prod(source.shape[axis] for axis in others).bit_count() == 1


def _reduce_in_strip(
    strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]
) -> Value:
    (source,), (value,) = node.inputs, operands
    axes = node.params["axes"]
    rest = {name: value for name, value in node.params.items() if name != "axes"}
    if node.output in strip.rows:
        axes = tuple(sorted(strip.axis(source, a) for a in axes))
        return builder.op("reduce", value, axes=axes, **rest)
    # Over the rows: terms are numbered as the axes stand, so they are put back.
    wide = law.accumulation_dtype(value.dtype)
    if wide != value.dtype:
        value = builder.op("convert", value, dtype=wide)
    if axes != (strip.rows[source],):
        value = strip.row_back(builder, value, strip.rows[source])
        return builder.op("reduce", value, axes=axes, **rest)
    return builder.op("reduce", value, axes=(strip.axis(source, *axes),), **rest)


ROWS = {
    "reduce": Operation(
        typed(lambda operands, params: without(operands[0].shape, params["axes"])),
        reduce,
        _combined,
        links=_reduce_links,
        keeps_rows=rows_of_first,
        sums_rows=_sums_rows,
        in_strip=_reduce_in_strip,
        folds=True,
        flushes=True,
    ),
    "argreduce": Operation(
        typed(lambda operands, params: without(operands[0].shape, (params["axis"],))),
        argreduce,
        _combined,
        folds=True,
    ),
    "cumulative": Operation(typed(same), cumulative, _combined, folds=True),
    "sort": Operation(_sort_types, sort, _sorted),
}
