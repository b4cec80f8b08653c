"""The meaning of a graph: an interpreter in NumPy, to which every other way of running is held.

In: a graph and its input arrays. Out: its output arrays. Always: bit for bit what simulated and
native programs give, outside transcendental functions. Nothing is fused, nothing is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.graph import indexed, law, linalg
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.movement import MOVEMENT_MEANING
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.packed import dot_packed
from tilewright.graph.scalar import SCALAR, Array, flush

Arrays = list[np.ndarray]


def evaluate(graph: Graph, inputs: Sequence[Array]) -> Arrays:
    """The outputs of `graph`. Inputs of other dtypes or shapes raise ValueError."""
    arrays = [np.asarray(array) for array in inputs]
    if len(arrays) != len(graph.inputs):
        raise ValueError(f"{len(graph.inputs)} inputs expected, {len(arrays)} given")
    for value, array in zip(graph.inputs, arrays, strict=True):
        if array.shape != value.shape or array.dtype.name != value.dtype:
            raise ValueError(f"{value.type} expected, {array.dtype.name}{list(array.shape)} given")
    with np.errstate(all="ignore"):
        return [np.array(result) for result in _run(graph, arrays)]


def evaluate_node(node: Node, operands: Sequence[np.ndarray]) -> Arrays:
    """The outputs of one node."""
    with np.errstate(all="ignore"):
        return _apply(node, list(operands))


def _run(graph: Graph, inputs: Sequence[np.ndarray]) -> Arrays:
    values: dict[Value, np.ndarray] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        results = _apply(node, [values[v] for v in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
    return [values[v] for v in graph.outputs]


def _apply(node: Node, operands: Arrays) -> Arrays:
    if node.op in _CONTROL:
        return _CONTROL[node.op](node, operands)
    if node.op == "sort":
        return sort(*operands, **node.params)
    if node.op == "lu":
        return list(linalg.lu(*operands))
    return [np.asarray(meaning(node)(*operands))]


def meaning(node: Node) -> Callable[..., np.ndarray]:
    """The NumPy function of an operation with one result and no bodies."""
    if node.op in ELEMENTWISE:
        params = dict(node.params) | {"dtype": node.output.dtype}
        return lambda *operands: SCALAR[node.op](*operands, **params)
    function = MOVEMENT_MEANING.get(node.op) or _PLAIN[node.op]
    return lambda *operands: function(*operands, **node.params)


# Across elements.


def reduce(array: np.ndarray, *, kind: str, axes: Sequence[int]) -> np.ndarray:
    return law.reduce_ordered(kind, array, axes)


def argreduce(array: np.ndarray, *, kind: str, axis: int, dtype: str) -> np.ndarray:
    """The first position of the extreme; the first NaN wins; zeros and denormals are equal."""
    function = np.argmax if kind == "argmax" else np.argmin
    return function(flush(array), axis=axis).astype(dtype)


def cumulative(array: np.ndarray, *, kind: str, axis: int, reverse: bool) -> np.ndarray:
    return law.cumulative_ordered(kind, array, axis, reverse)


def dot(
    lhs: np.ndarray,
    rhs: np.ndarray,
    *,
    contract: Any,
    batch: Any,
    dtype: str,
) -> np.ndarray:
    return law.dot_ordered(lhs, rhs, contract, batch, dtype)


def sort(*operands: np.ndarray, dimension: int, keys: int) -> Arrays:
    """All operands in the lexicographic order of the first `keys`, stably."""
    places = np.lexsort(operands[:keys][::-1], axis=dimension)
    return [np.take_along_axis(operand, places, axis=dimension) for operand in operands]


_PLAIN: dict[str, Callable[..., np.ndarray]] = {
    "dynamic_slice": indexed.dynamic_slice,
    "dynamic_update_slice": indexed.dynamic_update_slice,
    "gather": indexed.gather,
    "scatter": indexed.scatter,
    "reduce": reduce,
    "argreduce": argreduce,
    "cumulative": cumulative,
    "dot": dot,
    "dot_packed": dot_packed,
    "cholesky": linalg.cholesky,
    "triangular_solve": linalg.triangular_solve,
}


# Control flow.


def _loop(node: Node, operands: Arrays) -> Arrays:
    count = node.params["consts"]
    consts, carry = operands[:count], operands[count:]
    condition, step = node.bodies
    while _run(condition, [*consts, *carry])[0]:
        carry = _run(step, [*consts, *carry])
    return carry


def _scan(node: Node, operands: Arrays) -> Arrays:
    count, width, length = (node.params[key] for key in ("consts", "carry", "length"))
    consts, carry = operands[:count], operands[count : count + width]
    xs, (body,) = operands[count + width :], node.bodies
    rows: list[Arrays] = []
    order_of_trips = range(length)[::-1] if node.params["reverse"] else range(length)
    for i in order_of_trips:
        results = _run(body, [*consts, *carry, *(x[i] for x in xs)])
        carry = results[:width]
        rows.append(results[width:])
    rows = rows[::-1] if node.params["reverse"] else rows
    return [*carry, *_stack(rows, node.outputs[width:])]


def _map(node: Node, operands: Arrays) -> Arrays:
    count, (body,) = node.params["consts"], node.bodies
    consts, xs = operands[:count], operands[count:]
    rows = [_run(body, [*consts, *(x[i] for x in xs)]) for i in range(node.params["length"])]
    return _stack(rows, node.outputs)


def _stack(rows: Sequence[Arrays], outputs: Sequence[Value]) -> Arrays:
    """One array of `outputs`' types for each column of `rows`."""
    stacked = [np.empty(v.shape, v.type.numpy) for v in outputs]
    for i, row in enumerate(rows):
        for array, part in zip(stacked, row, strict=True):
            array[i] = part
    return stacked


def _branch(node: Node, operands: Arrays) -> Arrays:
    case = min(max(int(operands[0]), 0), len(node.bodies) - 1)
    return _run(node.bodies[case], operands[1:])


def _strips(node: Node, operands: Arrays) -> Arrays:
    """Strips one after the other; their sums are nodes of the law's tree."""
    count, many, strip = (node.params[key] for key in ("consts", "ys", "strip"))
    consts, xs = operands[:count], operands[count:]
    rows: list[list[np.ndarray]] = [[] for _ in range(many)]
    parts: list[Arrays] = []
    for number in range(node.params["strips"]):
        places = np.arange(number * strip, min(node.params["rows"], (number + 1) * strip))
        here = [np.take(x, places, axis) for x, axis in zip(xs, node.params["axes"], strict=True)]
        results = _run(node.bodies[0 if len(places) == strip else -1], [*consts, *here])
        for pieces, result in zip(rows, results[:many], strict=True):
            pieces.append(result)
        parts.append(results[many:])
    sums = [law.combine_pairs("sum", np.stack(column)) for column in zip(*parts, strict=True)]
    axis = 0 if node.params["first"] else -1
    return [*(np.concatenate(pieces, axis=axis) for pieces in rows), *sums]


_CONTROL: dict[str, Callable[[Node, Arrays], Arrays]] = {
    "loop": _loop,
    "scan": _scan,
    "map": _map,
    "branch": _branch,
    "strips": _strips,
}
