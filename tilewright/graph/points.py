"""Rewrite: a gather of points by several numbers each reads them by one, where arrays lie whole.

`x[i, j]` is lax's gather at columns of numbers, put side by side. Where its windows have one
element along all dimensions that the numbers are for, and these are neighbours, the operand's
dimensions are merged and so are the numbers: that is arithmetic element by element, done in vectors
together with whatever made them, and nobody writes the columns down. What lies outside is moved
inside, or marked, beforehand and a number at a time, as `graph/ops/indexed.py` says.

On a machine whose tiles share no memory the operand stays as it is: its dimensions say which tiles
hold what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.machine.machine import Machine

_FAR_APART = frozenset("transpose slice reverse broadcast".split())
"""What makes its result a view: to merge dimensions of one would copy it."""


def by_points(graph: Graph, machine: Machine) -> Graph:
    """The same function, in bodies too."""
    return graph if machine.chip.exchange.apart else merged(graph)


def merged(graph: Graph) -> Graph:
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), merged)
        if node.op == "gather" and _may_merge(new, node):
            new.source = node.source
            new.replace(node.outputs, [_merged(new, node)])
        else:
            new.keep(node)
    return new.finish(graph.outputs)


def _may_merge(new: Rebuilder, node: Node) -> bool:
    operand, indices = node.inputs
    run = sorted(node.params["start_index_map"])
    sizes = [operand.shape[d] for d in run]
    producer = new.producer(operand)
    return (
        len(run) > 1
        and all(b - a == 1 for a, b in pairwise(run))
        and all(node.params["slice_sizes"][d] == 1 for d in run)
        and set(run) <= {*node.params["collapsed_slice_dims"]}
        and indices.dtype in ("int32", "int64")
        and 0 < prod(sizes) <= np.iinfo(indices.dtype).max
        and (producer is None or producer.op not in _FAR_APART)
    )


def _merged(new: Rebuilder, node: Node) -> Value:
    operand, indices = node.inputs
    run = sorted(node.params["start_index_map"])
    first, after = run[0], run[-1] + 1
    sizes = operand.shape[first:after]
    shape = (*operand.shape[:first], prod(sizes), *operand.shape[after:])
    order = [run.index(d) for d in node.params["start_index_map"]]
    columns = dict(zip(order, _columns(new, indices), strict=True))
    place = _place(new, [columns[i] for i in range(len(run))], sizes, node.params["mode"])
    return new.op(
        "gather",
        new.op("reshape", operand, shape=shape),
        new.op("reshape", place, shape=(*place.shape, 1)),
        **_numbers(node.params, first, len(run)),
    )


def _columns(new: Rebuilder, indices: Value) -> list[Value]:
    """The numbers for each dimension, without the axis that they are side by side along."""
    shape, axis = indices.shape[:-1], len(indices.shape) - 1
    producer = new.producer(indices)
    parts = [indices]
    if producer is not None and producer.op == "concatenate":
        parts = list(producer.inputs) if producer.params["dimension"] == axis else parts
    columns = []
    for part in parts:
        for i in range(part.shape[-1]):
            start, limit = (0,) * axis + (i,), (*shape, i + 1)
            column = new.op("slice", part, start=start, limit=limit, stride=(1,) * (axis + 1))
            columns.append(new.op("reshape", column, shape=shape))
    return columns


def _place(new: Rebuilder, columns: Sequence[Value], sizes: Sequence[int], mode: str) -> Value:
    """Where each point lies among the merged dimensions; -1 for one outside that is filled."""

    def number(value: int) -> Value:
        dtype, shape = columns[0].type.numpy, columns[0].shape
        return new.op("broadcast", new.constant(dtype.type(value)), shape=shape, dimensions=())

    place, outside = None, None
    for column, size in zip(columns, sizes, strict=True):
        zero, last = number(0), number(size - 1)
        if mode == "drop":
            below, above = new.op("lt", column, zero), new.op("gt", column, last)
            beyond = new.op("or", below, above)
            outside = beyond if outside is None else new.op("or", outside, beyond)
        else:
            column = new.op("min", new.op("max", column, zero), last)
        before = None if place is None else new.op("mul", place, number(size))
        place = column if before is None else new.op("add", before, column)
    assert place is not None
    return place if outside is None else new.op("select", outside, place, number(-1))


def _numbers(params: Mapping[str, Any], first: int, count: int) -> dict[str, Any]:
    """The gather's params after so many dimensions from `first` on became one."""

    def after(dims: Sequence[int]) -> tuple[int, ...]:
        gone = range(first + 1, first + count)
        return tuple(d - (count - 1) * (d > first) for d in dims if d not in gone)

    sizes = tuple(params["slice_sizes"])
    return dict(params) | {
        "collapsed_slice_dims": after(params["collapsed_slice_dims"]),
        "operand_batching_dims": after(params["operand_batching_dims"]),
        "start_index_map": (first,),
        "slice_sizes": sizes[: first + 1] + sizes[first + count :],
    }
