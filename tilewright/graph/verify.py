"""Checks that a graph is what `ir.py` says; for tests, and for the author of a rewrite.

In: any graph. Out: nothing, or a `GraphError` that names the first node that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.law import LAWS, LEAF
from tilewright.graph.ops import (
    ACROSS,
    BINARY,
    ELEMENTWISE,
    INDEXED,
    LINALG,
    MOVEMENT,
    OPS,
    result_type,
)


class GraphError(ValueError):
    """A graph breaks one of its invariants."""


def verify(graph: Graph) -> None:
    """Raise GraphError unless all invariants hold, in bodies too."""
    if graph.law not in LAWS:
        raise GraphError(f"{graph.law!r} is no law of sums; there is {', '.join(LAWS)}")
    defined: set[Value] = set()
    _define(defined, graph.inputs, "the inputs")
    for node in graph.nodes:
        for value in node.inputs:
            _require(value in defined, node, f"reads {value.type} before it is defined")
        _define(defined, node.outputs, describe(node))
        _check(node)
        for body in node.bodies:
            verify(body)
    for value in graph.outputs:
        if value not in defined:
            raise GraphError(f"an output, {value.type}, is never defined")


def describe(node: Node) -> str:
    """One line that lets a reader find the node."""
    operands = ", ".join(str(v.type) for v in node.inputs)
    results = ", ".join(str(v.type) for v in node.outputs)
    return f"{node.op}({operands}) -> {results}" + (f" at {node.source}" if node.source else "")


def _require(condition: bool, node: Node, message: str) -> None:
    if not condition:
        raise GraphError(f"{describe(node)}: {message}")


def _define(defined: set[Value], values: Sequence[Value], where: str) -> None:
    for value in values:
        if value in defined:
            raise GraphError(f"{where}: {value.type} is defined twice")
        defined.add(value)


def _check(node: Node) -> None:
    _require(node.op in OPS, node, "no such operation")
    if node.op in _CONTROL:
        _CONTROL[node.op](node)
    elif node.op in ELEMENTWISE | MOVEMENT | INDEXED | ACROSS | LINALG and node.op != "sort":
        _require(not node.bodies, node, "takes no bodies")
        if node.op in LINALG:
            _check_linalg(node)
        if node.op != "lu":
            _check_single(node)


def _check_single(node: Node) -> None:
    if node.op in ELEMENTWISE:
        _check_elementwise(node)
    if node.op == "constant":
        array = np.asarray(node.params["value"])
        expected = Type(array.dtype.name, array.shape)
    elif node.op == "gather":
        expected = Type(node.inputs[0].dtype, node.output.shape)
    else:
        try:
            expected = result_type(node.op, [v.type for v in node.inputs], node.params)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise GraphError(f"{describe(node)}: bad parameters: {error!r}") from error
    expected = Type(expected.dtype, tuple(expected.shape))
    _require(node.output.type == expected, node, f"should give {expected}")
    if node.op == "reshape":
        _require(node.inputs[0].type.size == expected.size, node, "changes the number of elements")


def _check_elementwise(node: Node) -> None:
    shapes = {v.shape for v in node.inputs}
    _require(len(shapes) == 1, node, "operands have different shapes")
    cases = node.inputs[1:] if node.op == "select" else node.inputs
    _require(len({v.dtype for v in cases}) == 1, node, "operands have different dtypes")
    if node.op == "select":
        _require(node.inputs[0].dtype in ("bool", "int32"), node, "selects by bool or int32")
    elif node.op in BINARY:
        _require(len(node.inputs) == 2, node, "takes two operands")
    else:
        _require(len(node.inputs) == 1, node, "takes one operand")


def _check_linalg(node: Node) -> None:
    matrix, *others = node.inputs
    _require(len(others) == (node.op == "triangular_solve"), node, "has other operands")
    _require(matrix.dtype in ("float32", "float64"), node, "factors float32 or float64")
    _require(len(matrix.shape) >= 2, node, "factors matrices")
    *batch, rows, columns = matrix.shape
    if node.op == "lu":
        steps = min(rows, columns)
        ints = [Type("int32", (*batch, n)) for n in (steps, rows)]
        expected = [matrix.type, *ints]
        text = ", ".join(map(str, expected))
        _require(_types(node.outputs) == expected, node, f"should give {text}")
        return
    _require(rows == columns, node, "factors square matrices")
    for target in others:
        _require(target.dtype == matrix.dtype, node, "operands have different dtypes")
        alike = target.shape[:-1] == matrix.shape[:-1]
        _require(alike, node, f"a right side for {matrix.type} has shape {target.shape}")


# Control flow: each body sees and gives what its node says.


def _types(values: Sequence[Value]) -> list[Type]:
    return [v.type for v in values]


def _elements(values: Sequence[Value]) -> list[Type]:
    return [Type(v.dtype, v.shape[1:]) for v in values]


def _signature(node: Node, body: Graph, inputs: list[Type], outputs: list[Type]) -> None:
    for what, found, expected in (
        ("takes", _types(body.inputs), inputs),
        ("gives", _types(body.outputs), outputs),
    ):
        text = f"a body {what} {list(map(str, found))}, not {list(map(str, expected))}"
        _require(found == expected, node, text)


def _check_loop(node: Node) -> None:
    _require(len(node.bodies) == 2, node, "has a condition and a step")
    carry = _types(node.inputs[node.params["consts"] :])
    _signature(node, node.bodies[0], _types(node.inputs), [Type("bool", ())])
    _signature(node, node.bodies[1], _types(node.inputs), carry)
    _require(_types(node.outputs) == carry, node, "gives its carry")


def _check_scan(node: Node) -> None:
    consts = node.params["consts"]
    carry = node.params["carry"] if node.op == "scan" else 0
    before, xs = node.inputs[: consts + carry], node.inputs[consts + carry :]
    ys = node.outputs[carry:]
    _require(len(node.bodies) == 1, node, "has one body")
    length = node.params["length"]
    stacked = all(v.shape[:1] == (length,) for v in (*xs, *ys))
    _require(stacked, node, f"an x or y has no leading dimension of {length}")
    inputs = [*_types(before), *_elements(xs)]
    results = [*_types(node.outputs[:carry]), *_elements(ys)]
    _signature(node, node.bodies[0], inputs, results)
    _require(_types(before[consts:]) == _types(node.outputs[:carry]), node, "gives its carry")


def _check_branch(node: Node) -> None:
    _require(bool(node.bodies), node, "has at least one case")
    for body in node.bodies:
        _signature(node, body, _types(node.inputs[1:]), _types(node.outputs))
    index = node.inputs[0]
    _require(index.shape == () and index.dtype in ("int32", "bool"), node, "the index is a scalar")


def _check_strips(node: Node) -> None:
    """`axes` says where the rows of xs are, `first` those of ys; bodies see a strip, the rest."""
    missing = {"consts", "ys", "rows", "axes", "first", "strip", "strips"} - set(node.params)
    _require(not missing, node, f"bad parameters: no {', '.join(sorted(missing))}")
    consts, many, rows, strip = (node.params[name] for name in ("consts", "ys", "rows", "strip"))
    _require(1 <= strip <= rows, node, f"a strip of {strip} rows out of {rows}")
    sizes = [strip, rows % strip] if rows % strip else [strip]
    count = -(-rows // strip)
    _require(node.params["strips"] == count, node, f"the rows make {count} strips")
    leaves, rest = divmod(strip, LEAF)
    node_of_tree = not rest and leaves.bit_count() == 1
    _require(count == 1 or node_of_tree, node, f"strips of 2^j times {LEAF} rows")
    _require(len(node.bodies) == len(sizes), node, f"has a body for {sizes} rows")
    xs, ys = node.inputs[consts:], node.outputs[:many]
    _require(bool(xs), node, "has at least one x")
    axes = node.params["axes"]
    _require(len(axes) == len(xs), node, f"{len(axes)} axes of rows for {len(xs)} xs")
    ends = [0 if node.params["first"] else len(v.shape) - 1 for v in ys]
    for value, axis in (*zip(xs, axes, strict=True), *zip(ys, ends, strict=True)):
        at_end = axis in (0, len(value.shape) - 1) and value.shape[axis] == rows
        _require(at_end, node, f"an x or y has no first or last dimension of {rows}")
    for body, size in zip(node.bodies, sizes, strict=True):
        inputs = _types(node.inputs[:consts])
        inputs += [_with_rows(x, axis, size) for x, axis in zip(xs, axes, strict=True)]
        results = [_with_rows(y, axis, size) for y, axis in zip(ys, ends, strict=True)]
        results += _types(node.outputs[many:])
        _signature(node, body, inputs, results)


def _with_rows(value: Value, axis: int, rows: int) -> Type:
    return Type(value.dtype, (*value.shape[:axis], rows, *value.shape[axis + 1 :]))


_CONTROL: dict[str, Callable[[Node], Any]] = {
    "loop": _check_loop,
    "scan": _check_scan,
    "map": _check_scan,
    "branch": _check_branch,
    "strips": _check_strips,
}
