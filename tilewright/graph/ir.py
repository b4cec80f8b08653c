"""The graph: WHAT is computed, and nothing about where or when.

A `Graph` is a list of pure operations (`Node`) over statically shaped arrays (`Value`).

    Graph   = inputs: Value*, nodes: Node*, outputs: Value*
    Node    = op: str, inputs: Value*, outputs: Value*, params, bodies: Graph*
    Value   = a `Type` (dtype and shape) and an identity

Always true (see `verify.py`): every value is defined before it is used, by an input of its own
graph or by one node; bodies are closed (they see only their own inputs); every op is one of those
listed in `ops/`; operands of elementwise ops have one common shape (broadcasting is a node of its
own).

Structured control flow, all with `consts` first (values the bodies read but do not change):

    loop    (consts, carry) -> carry             bodies: condition, step; runs while it is true
    scan    (consts, carry, xs) -> (carry, ys)   body: (consts, carry, x) -> (carry, y)
    map     (consts, xs) -> ys                   body: (consts, x) -> y; instances are independent
    branch  (index, operands) -> results         bodies: one a case; the index is clamped
    strips  (consts, xs) -> (ys, sums)           body: see `strips.py`
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np

from tilewright.frozen import frozen

_ids = itertools.count()


@frozen
class Type:
    """A dtype by its NumPy name ("float32", "bfloat16", "bool", ...) and a static shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def numpy(self) -> np.dtype:
        return numpy_dtype(self.dtype)

    @property
    def nbytes(self) -> int:
        return self.size * self.numpy.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@cache
def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a dtype name; bfloat16 comes from ml_dtypes, a pattern has no bytes."""
    if name == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype("V0" if name == "pattern" else name)


@frozen(eq=False)
class Value:
    """One array of the graph. Two values are the same only if they are the same object."""

    type: Type
    id: int = field(default_factory=lambda: next(_ids))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype


@frozen(eq=False)
class Node:
    """One operation. `source` is the user's own line, for messages."""

    op: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    bodies: tuple[Graph, ...] = ()
    source: str = ""

    @property
    def output(self) -> Value:
        """The only output of a node that has one."""
        (output,) = self.outputs
        return output


@frozen(eq=False)
class Graph:
    """A straight line of nodes between inputs and outputs.

    `law` names the order of its sums (see `law.py`); bodies follow that of the outermost graph.
    `state` are positions of inputs that the first outputs, in this order, take the place of:
    whoever runs the graph may write those over these. Only an outermost graph has any.
    """

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    law: str = "host"
    state: tuple[int, ...] = ()

    @property
    def results(self) -> tuple[Value, ...]:
        """The outputs that take no input's place."""
        return self.outputs[len(self.state) :]

    def producers(self) -> dict[Value, Node]:
        """Which node defines each value that is not an input."""
        return {output: node for node in self.nodes for output in node.outputs}

    def readers(self) -> dict[Value, list[Node | None]]:
        """Which nodes read each value, as often as they do; None stands for who calls."""
        found: dict[Value, list[Node | None]] = {}
        for node in self.nodes:
            for value in node.inputs:
                found.setdefault(value, []).append(node)
        for value in self.outputs:
            found.setdefault(value, []).append(None)
        return found


class Builder:
    """Collects nodes in order; `graph()` closes the list."""

    def __init__(self, input_types: Iterable[Type] = ()):
        self.inputs = tuple(Value(t) for t in input_types)
        self.nodes: list[Node] = []
        self.source = ""

    def add(
        self,
        op: str,
        inputs: Iterable[Value],
        output_types: Iterable[Type],
        *,
        bodies: Iterable[Graph] = (),
        **params: Any,
    ) -> tuple[Value, ...]:
        """Append a node and return its outputs."""
        outputs = tuple(Value(t) for t in output_types)
        node = Node(
            op, tuple(inputs), outputs, MappingProxyType(params), tuple(bodies), self.source
        )
        self.nodes.append(node)
        return outputs

    def op(self, op: str, *inputs: Value, **params: Any) -> Value:
        """Append a node with one output whose type follows from `result_type`."""
        from tilewright.graph.ops import result_type

        output_type = result_type(op, [v.type for v in inputs], params)
        return self.add(op, inputs, [output_type], **params)[0]

    def constant(self, value: np.ndarray | np.generic) -> Value:
        """Append a small constant; data belongs in inputs, not here."""
        value = np.asarray(value)
        output_type = Type(value.dtype.name, value.shape)
        return self.add("constant", (), [output_type], value=value)[0]

    def graph(self, outputs: Iterable[Value]) -> Graph:
        return Graph(self.inputs, tuple(self.nodes), tuple(outputs))
