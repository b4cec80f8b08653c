"""The meaning of a graph: an interpreter in NumPy, to which every other way of running is held.

In: a graph and its input arrays. Out: its output arrays. Always: bit for bit what simulated and
native programs give, outside transcendental functions. Nothing is fused, nothing is fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.graph.floats import Array
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import CONTROL, OPERATIONS
from tilewright.graph.ops.operation import Arrays


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
    if node.op in CONTROL:
        return CONTROL[node.op].meaning(node, operands, _run)
    result = OPERATIONS[node.op].meaning(*operands, **node.params)
    return list(result) if isinstance(result, (list, tuple)) else [np.asarray(result)]
