"""Elementwise operations: on operands of one shape, each element by itself.

What they mean on numbers is said in `graph/scalar.py`, whose tables are the list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.graph.floats import name_of
from tilewright.graph.ir import Builder, Node, Type, Value
from tilewright.graph.ops.in_strip import Strip
from tilewright.graph.ops.operation import Links, Operation, Params, Types, once
from tilewright.graph.scalar import BINARY, COMPARISONS, KEEPS_DENORMALS, SCALAR


def _dtype(op: str, dtypes: Sequence[str], params: Params) -> str:
    if op in COMPARISONS or op == "is_finite":
        return "bool"
    return params["dtype"] if op in ("convert", "bitcast") else dtypes[-1]


def _types(op: str, operands: Types, params: Params) -> list[Type]:
    return [Type(_dtype(op, [t.dtype for t in operands], params), operands[-1].shape)]


def _meaning(op: str) -> Callable[..., np.ndarray]:
    def meaning(*arrays: np.ndarray, **params: Any) -> np.ndarray:
        dtype = _dtype(op, [name_of(array) for array in arrays], params)
        return SCALAR[op](*arrays, **{**params, "dtype": dtype})

    return meaning


def _faults(node: Node) -> Iterator[str]:
    if len({v.shape for v in node.inputs}) != 1:
        yield "operands have different shapes"
    cases = node.inputs[1:] if node.op == "select" else node.inputs
    if len({v.dtype for v in cases}) != 1:
        yield "operands have different dtypes"
    if node.op == "select":
        if node.inputs[0].dtype not in ("bool", "int32"):
            yield "selects by bool or int32"
    elif node.op in BINARY or node.op in COMPARISONS:
        if len(node.inputs) != 2:
            yield "takes two operands"
    elif len(node.inputs) != 1:
        yield "takes one operand"


def _links(node: Node) -> Links:
    return [((v, i), (node.output, i)) for v in node.inputs for i in range(len(v.shape))]


def _in_strip(strip: Strip, builder: Builder, node: Node, operands: Sequence[Value]) -> Value:
    kind = Type(node.output.dtype, operands[0].shape)
    return builder.add(node.op, operands, [kind], **node.params)[0]


def priced(op: str, params: Params) -> str:
    """The name that an elementwise operation is priced under."""
    return f"{op}_approximate" if params.get("approximate") else op


ROWS = {
    op: Operation(
        partial(_types, op),
        _meaning(op),
        lambda node: once(node, priced(node.op, node.params)),
        faults=_faults,
        links=_links,
        keeps_rows=lambda node, rows: True,
        in_strip=_in_strip,
        folds=True,
        flushes=op not in KEEPS_DENORMALS,
    )
    for op in SCALAR
}
