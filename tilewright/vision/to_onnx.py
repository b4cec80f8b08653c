"""A model as ONNX: from images (n, size, size, 3), values from 0 to 255, to logits.

In: a `Model`. Out: the bytes of an ONNX file (opset 17). Norms are folded into kernels, as they are
in our own programs. The input is NHWC float32, *not* normalised (0 to 255): mean and deviation are
part of the graph, and the rest of the preprocessing, with the classes, is in the metadata.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.models.convolutional import Layer, Norm, Normed, Plain, Statistics
from tilewright.models.efficientnet import EfficientNet
from tilewright.vision.model import Model

OPSET, IR = 17, 9
PRODUCER = "tilewright"


def to_onnx(model: Model) -> bytes:
    """Raises `ArgumentError` for a net whose norms keep no statistics."""
    import onnx
    from onnx import TensorProto, helper

    if model.net.norm.kind != "batch":
        raise ArgumentError("Only nets with batch norms can be written as ONNX.")
    writer = _Writer(model.net.norm, model.preprocessing.size)
    flow = writer.normalised("images", model)
    flow = (
        _efficientnet(writer, model, flow)
        if isinstance(model.net, EfficientNet)
        else _resnext(writer, model, flow)
    )
    flow = writer.node("GlobalAveragePool", flow)
    flow = writer.node("Flatten", flow, axis=1)
    layer = model.weights.classes
    kernel, shift = writer.array(layer.kernel), writer.array(layer.shift)
    writer.nodes.append(helper.make_node("Gemm", [flow, kernel, shift], ["logits"]))
    size = model.preprocessing.size
    graph = helper.make_graph(
        writer.nodes,
        "tilewright",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", size, size, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", model.net.classes])],
        writer.arrays,
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=PRODUCER
    )
    made.ir_version = IR
    for name, value in (
        ("preprocessing", json.dumps(model.preprocessing.fields())),
        ("labels", json.dumps(model.labels)),
        ("source", model.source),
    ):
        entry = made.metadata_props.add()
        entry.key, entry.value = name, value
    onnx.checker.check_model(made)
    return made.SerializeToString()


class _Writer:
    """Nodes and arrays of a graph as they are made; a value is its name."""

    def __init__(self, norm: Norm, size: int):
        self.norm, self.size = norm, size
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def array(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def normalised(self, images: str, model: Model) -> str:
        """(n, 3, h, w) as the net reads them."""
        prepared = model.preprocessing
        scale = self.array(1 / (255 * np.array(prepared.std)))
        shift = self.array(-np.array(prepared.mean) / np.array(prepared.std))
        flow = self.node("Add", self.node("Mul", images, scale), shift)
        return self.node("Transpose", flow, perm=[0, 3, 1, 2])

    def layer(self, of: Layer, weights: Normed, kept: Statistics, flow: str, size: int) -> str:
        """A convolution with its norm folded in, and its activation, on size x size places."""
        scale = np.asarray(weights.scale) / np.sqrt(np.asarray(kept.variance) + self.norm.epsilon)
        kernel = (np.asarray(weights.kernel) * scale).transpose(3, 2, 0, 1)
        shift = np.asarray(weights.shift) - np.asarray(kept.mean) * scale
        before, after = of.padding(size)
        flow = self.node(
            "Conv", flow, self.array(kernel), self.array(shift),
            kernel_shape=[of.kernel] * 2, strides=[of.stride] * 2, group=of.groups,
            pads=[before, before, after, after],
        )  # fmt: skip
        return self.activated(of.activation, flow)

    def activated(self, name: str, flow: str) -> str:
        if name == "linear":
            return flow
        if name == "relu":
            return self.node("Relu", flow)
        if name == "relu6":
            return self.node("Clip", flow, self.array(0.0), self.array(6.0))
        return self.node("Mul", flow, self.node("Sigmoid", flow))

    def tap(self, weights: Plain, flow: str) -> str:
        """A dense layer on one place."""
        kernel = np.asarray(weights.kernel).T[:, :, None, None]
        return self.node("Conv", flow, self.array(kernel), self.array(weights.shift))


def _efficientnet(writer: _Writer, model: Model, flow: str) -> str:
    net, weights, kept = model.net, model.weights, model.kept
    assert isinstance(net, EfficientNet)
    size = writer.size
    flow = writer.layer(net.stem, weights.stem, kept.stem, flow, size)
    size = net.stem.places(size)
    for of, block, old in zip(net.blocks, weights.blocks, kept.blocks, strict=True):
        given = flow
        for layer, own, seen in zip(of.convolutions, block.convolutions, old, strict=True):
            if layer is of.project and block.excite:
                squeezed = writer.tap(block.excite[0], writer.node("GlobalAveragePool", flow))
                inner = writer.tap(block.excite[1], writer.activated(net.activation, squeezed))
                flow = writer.node("Mul", flow, writer.node("Sigmoid", inner))
            flow = writer.layer(layer, own, seen, flow, size)
            size = layer.places(size)
        flow = writer.node("Add", flow, given) if of.adds_input else flow
    return writer.layer(net.head, weights.head, kept.head, flow, size)


def _resnext(writer: _Writer, model: Model, flow: str) -> str:
    net: Any = model.net
    weights, kept, size = model.weights, model.kept, writer.size
    flow = writer.layer(net.stem, weights.stem, kept.stem, flow, size)
    size = net.stem.places(size)
    flow = writer.node("MaxPool", flow, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    size = -(-size // 2)
    for of, block, old in zip(net.blocks, weights.blocks, kept.blocks, strict=True):
        given, places = flow, size
        parts = zip(of.convolutions, block.convolutions, old.convolutions, strict=True)
        for layer, own, seen in parts:
            flow = writer.layer(layer, own, seen, flow, size)
            size = layer.places(size)
        if of.around:
            given = writer.layer(of.around, block.around, old.around, given, places)
        flow = writer.node("Relu", writer.node("Add", flow, given))
    return flow
