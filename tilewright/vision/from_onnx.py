"""A convolutional net in ONNX as a JAX function of its input.

In: an ONNX file with one input. Out: a `Graph` whose call answers as the file does; `compile` makes
a program of it. Operators are those that EfficientNets, ResNeXts and nets for reading text use; any
other is refused by its name before anything runs. Values that hang on shapes alone (Shape, Slice,
Concat, Reshape of them) are computed in NumPy as shapes are known then.

Images are NCHW in ONNX. Convolutions are written in that order, and the compiler lays values out
as it likes.
"""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from tilewright import onnx_file
from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.frozen import frozen
from tilewright.vision.onnx_operators import RULES, Own, RefusedError
from tilewright.vision.preprocessing import Preprocessing, from_fields
from tilewright.vision.to_onnx import PRODUCER

SMALL = 16
"""Elements of shapes, factors and bounds, at most."""


@frozen(eq=False)
class Graph:
    """`weights` by name; `shape` of the input, 0 where the file leaves a dimension open.

    Of a file that was written here, `preprocessing` and `labels` are those of its `Model`; others
    do not say (None, and no labels).
    """

    name: str
    shape: tuple[int, ...]
    weights: dict[str, np.ndarray] = field(repr=False)
    nodes: tuple[Any, ...] = field(repr=False)
    outputs: tuple[str, ...] = field(repr=False)
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, weights: dict[str, Any], x: Any) -> Any:
        """The first output for an input, in JAX. Raises `UnsupportedError` that names a node."""
        values = {**self.weights, **weights, self.name: x}
        for node, own in self.nodes:
            given = [values[name] if name else None for name in node.input]
            try:
                found = RULES[node.op_type](own, *given)
            except RefusedError as error:
                raise onnx_file.refused(node, str(error)) from None
            values |= zip(
                node.output, found if isinstance(found, tuple) else (found,), strict=False
            )
        return values[self.outputs[0]]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a program takes as its weights; what is small may have to be known beforehand."""
        return {k: v for k, v in self.weights.items() if v.dtype.kind == "f" and v.size > SMALL}

    def compile(self, example: Any, **options: Any) -> Any:
        """A program of the input alone, for inputs of the example's shape."""
        import tilewright

        return tilewright.compile(self, self.arrays, example, **options).bind(self.arrays)


def read_onnx(path: str | Path) -> Graph:
    """Raises `UnsupportedError` for an operator that does not map, `ArgumentError` for damage."""
    from onnx import numpy_helper

    file = onnx_file.read(path)
    graph = file.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise UnsupportedError(f"{path} has {len(inputs)} inputs, and nets of one are read.")
    nodes = []
    for node in graph.node:
        own = onnx_file.attributes(node) | {"opset": onnx_file.opset(file)}
        if node.domain not in ("", "ai.onnx"):
            raise onnx_file.refused(node, f"of {node.domain} does not map")
        if node.op_type == "Constant":
            weights[node.output[0]] = _constant(node, own)
        elif node.op_type not in RULES:
            raise onnx_file.refused(node)
        else:
            nodes.append((node, own))
    names = tuple(value.name for value in graph.output)
    shape, said = tuple(onnx_file.sizes(inputs[0])), _said(path, file)
    return Graph(inputs[0].name, shape, weights, tuple(nodes), names, *said)


def _said(path: str | Path, file: Any) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """What `to_onnx` left of a model beside its graph."""
    if file.producer_name != PRODUCER:
        return None, ()
    entries = {entry.key: entry.value for entry in file.metadata_props}
    try:
        prepared = from_fields(json.loads(entries["preprocessing"]))
        return prepared, tuple(map(str, json.loads(entries["labels"])))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArgumentError(f"{path} has metadata that cannot be read: {error}.") from None


def _constant(node: Any, own: Own) -> np.ndarray:
    from onnx import numpy_helper

    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in own:
            value = own[name]
            return numpy_helper.to_array(value) if name == "value" else np.asarray(value)
    raise onnx_file.refused(node, "of text or of a sparse tensor does not map")
