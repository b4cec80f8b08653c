"""State dicts of PyTorch's EfficientNets as weights of `models/efficientnet.py`.

In: names and arrays as the packages efficientnet-pytorch and efficientnet-lite-pytorch write them
(`_conv_stem.weight`, `_blocks.0._bn1.running_mean`, ...). Out: weights and statistics. Always:
every array is used, and has the shape that the net asks for. Those nets pad as TensorFlow does and
keep statistics with an epsilon of 1e-3, which is what `efficientnet.named` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.models.convolutional import Layer, Normed, Plain, Statistics
from tilewright.models.efficientnet import Block, BlockWeights, EfficientNet, Kept, Weights

IGNORED = "num_batches_tracked"


def efficientnet_weights(net: EfficientNet, tensors: Mapping[str, Any]) -> tuple[Weights, Kept]:
    """Weights and statistics of `net` from a state dict (arrays or tensors by name).

    Raises `ArgumentError` that names the first array that is missing, or has another shape, or that
    the net has no place for.
    """
    source = _Source(tensors)
    stem = source.normed("_conv_stem", "_bn0", net.stem)
    blocks = [_block(source, f"_blocks.{i}.", of) for i, of in enumerate(net.blocks)]
    head = source.normed("_conv_head", "_bn1", net.head)
    classes = source.plain("_fc", net.head.outputs, net.classes)
    source.done()
    weights = Weights(stem[0], tuple(block for block, _ in blocks), head[0], classes)
    return weights, Kept(stem[1], tuple(kept for _, kept in blocks), head[1])


def _block(source: _Source, at: str, of: Block) -> tuple[BlockWeights, tuple[Statistics, ...]]:
    names = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
    if of.expand is not None:
        names.insert(0, ("_expand_conv", "_bn0"))
    pairs = [
        source.normed(at + name, at + norm, layer)
        for (name, norm), layer in zip(names, of.convolutions, strict=True)
    ]
    inner = of.spatial.outputs
    excite = of.squeezed and (
        source.plain(f"{at}_se_reduce", inner, of.squeezed),
        source.plain(f"{at}_se_expand", of.squeezed, inner),
    )
    convolutions, kept = zip(*pairs, strict=True)
    return BlockWeights(convolutions, excite or ()), kept


class _Source:
    """A state dict whose arrays are taken one by one."""

    def __init__(self, tensors: Mapping[str, Any]):
        self.arrays = {
            name: np.asarray(tensor)
            for name, tensor in tensors.items()
            if not name.endswith(IGNORED)
        }
        self.left = dict.fromkeys(self.arrays)

    def take(self, name: str, *shape: int) -> np.ndarray:
        if name not in self.arrays:
            raise ArgumentError(f"The weights have no {name}, which this net needs.")
        array = self.arrays[name]
        if array.shape != shape:
            found = "x".join(map(str, array.shape))
            expected = "x".join(map(str, shape))
            raise ArgumentError(f"{name} is {found}, but this net needs {expected}.")
        self.left.pop(name, None)
        return array.astype(np.float32)

    def normed(self, name: str, norm: str, layer: Layer) -> tuple[Normed, Statistics]:
        kh, kw, inputs, outputs = layer.shape
        kernel = self.take(f"{name}.weight", outputs, inputs, kh, kw).transpose(2, 3, 1, 0)
        rows = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (self.take(f"{norm}.{row}", outputs) for row in rows)
        return Normed(np.ascontiguousarray(kernel), scale, shift), Statistics(mean, variance)

    def plain(self, name: str, inputs: int, outputs: int) -> Plain:
        """A dense layer, or a convolution of one tap."""
        found = self.arrays.get(f"{name}.weight", np.empty(0))
        taps = (1,) * (found.ndim - 2)
        kernel = self.take(f"{name}.weight", outputs, inputs, *taps).reshape(outputs, inputs)
        return Plain(np.ascontiguousarray(kernel.T), self.take(f"{name}.bias", outputs))

    def done(self) -> None:
        if self.left:
            raise ArgumentError(f"The weights hold {next(iter(self.left))}, which this net lacks.")
