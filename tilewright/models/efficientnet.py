"""EfficientNet (Tan and Le 2019) and its lite form, as plain JAX functions.

In: an `EfficientNet` (what the net is: `named("b0")`), its weights and statistics, images
(n, h, w, 3). Out: logits (n, classes), features (n, channels), and in training the statistics that
follow.

A block expands its channels, convolves each by itself (or in groups of `group`), squeezes and
excites (but for the lite nets), projects, and adds its input where it can. Kernels of groups are
what replaces depthwise ones in the nets of Masters et al. (2021), with an expansion of 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tilewright.models import convolutional as layers
from tilewright.models.convolutional import Array, Layer, Norm, Normed, Plain, Statistics

STAGES = (
    # kernel, stride, expansion, channels, repeats
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Of B0."""

SCALES = {
    # width, depth, size of images
    "b0": (1.0, 1.0, 224), "b1": (1.0, 1.1, 240), "b2": (1.1, 1.2, 260), "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380), "b5": (1.6, 2.2, 456), "b6": (1.8, 2.6, 528), "b7": (2.0, 3.1, 600),
    "lite0": (1.0, 1.0, 224), "lite1": (1.0, 1.1, 240), "lite2": (1.1, 1.2, 260),
    "lite3": (1.2, 1.4, 280), "lite4": (1.4, 1.8, 300),
}  # fmt: skip
SQUEEZED = 0.25
"""Channels that a block squeezes to, as a share of what it is given."""


@dataclass(frozen=True)
class Block:
    """One inverted residual; `expand` None where channels stay, `squeezed` 0 without."""

    expand: Layer | None
    spatial: Layer
    squeezed: int
    project: Layer

    @property
    def adds_input(self) -> bool:
        inputs = (self.expand or self.spatial).inputs
        return self.spatial.stride == 1 and inputs == self.project.outputs

    @property
    def convolutions(self) -> tuple[Layer, ...]:
        return (*((self.expand,) if self.expand else ()), self.spatial, self.project)


class BlockWeights(NamedTuple):
    """Of the convolutions in order, and of squeeze and excite (none: empty)."""

    convolutions: tuple[Normed, ...]
    excite: tuple[Plain, ...]


class Weights(NamedTuple):
    stem: Normed
    blocks: tuple[BlockWeights, ...]
    head: Normed
    classes: Plain


class Kept(NamedTuple):
    """Statistics of all norms, in the order of the weights."""

    stem: Statistics
    blocks: tuple[tuple[Statistics, ...], ...]
    head: Statistics


@dataclass(frozen=True)
class EfficientNet:
    """`group`: channels in a group of the spatial convolutions (1: depthwise).

    `expansion`: of all blocks but those of the first stage (0: as in the paper).
    """

    width: float = 1.0
    depth: float = 1.0
    size: int = 224
    classes: int = 1000
    lite: bool = False
    group: int = 1
    expansion: int = 0
    pad: str = "same"
    norm: Norm = field(default_factory=Norm)

    @property
    def activation(self) -> str:
        return "relu6" if self.lite else "swish"

    @cached_property
    def stem(self) -> Layer:
        channels = 32 if self.lite else _rounded(32 * self.width)
        return Layer(3, channels, 3, 2, activation=self.activation, pad=self.pad)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(self._blocks())

    @cached_property
    def head(self) -> Layer:
        channels = 1280 if self.lite else _rounded(1280 * self.width)
        return Layer(self.blocks[-1].project.outputs, channels, activation=self.activation)

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage; the lite nets leave the first and the last stage as they are."""
        inner = range(1, len(STAGES) - 1) if self.lite else range(len(STAGES))
        return tuple(
            ceil(stage[-1] * self.depth) if number in inner else stage[-1]
            for number, stage in enumerate(STAGES)
        )

    def _blocks(self) -> Iterator[Block]:
        channels = self.stem.outputs
        for (kernel, stride, expansion, outputs, _), repeats in zip(
            STAGES, self.repeats, strict=True
        ):
            outputs = _rounded(outputs * self.width)
            for turn in range(repeats):
                factor = self.expansion or expansion if expansion > 1 else 1
                yield self._block(channels, outputs, kernel, 1 if turn else stride, factor)
                channels = outputs

    def _block(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> Block:
        inner = inputs * expansion
        expand = Layer(inputs, inner, activation=self.activation) if expansion > 1 else None
        spatial = Layer(
            inner, inner, kernel, stride, inner // self.group, self.activation, self.pad
        )
        squeezed = 0 if self.lite else max(1, int(inputs * SQUEEZED))
        return Block(expand, spatial, squeezed, Layer(inner, outputs))


def named(name: str, **changes: Any) -> EfficientNet:
    """ "b0" ... "b7" or "lite0" ... "lite4", with fields changed."""
    if name not in SCALES:
        known = ", ".join(SCALES)
        raise ValueError(f"name must be one of {known}, not {name!r}.")
    width, depth, size = SCALES[name]
    net = EfficientNet(width, depth, size, lite=name.startswith("lite"))
    return replace(net, **changes)


def _rounded(channels: float) -> int:
    """To a multiple of 8, not below nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def start(net: EfficientNet, key: Array) -> tuple[Weights, Kept]:
    """Random weights, and statistics of nothing seen yet."""
    keys = iter(jax.random.split(key, 6 * len(net.blocks) + 3))

    def block(of: Block) -> BlockWeights:
        inner = of.spatial.outputs
        sizes = ((inner, of.squeezed), (of.squeezed, inner)) if of.squeezed else ()
        return BlockWeights(
            tuple(layers.start_normed(layer, next(keys)) for layer in of.convolutions),
            tuple(layers.start_plain(*size, next(keys)) for size in sizes),
        )

    weights = Weights(
        layers.start_normed(net.stem, next(keys)),
        tuple(map(block, net.blocks)),
        layers.start_normed(net.head, next(keys)),
        layers.start_plain(net.head.outputs, net.classes, next(keys)),
    )
    kept = Kept(
        layers.start_statistics(net.stem),
        tuple(tuple(map(layers.start_statistics, of.convolutions)) for of in net.blocks),
        layers.start_statistics(net.head),
    )
    return weights, kept


def predict(net: EfficientNet, weights: Weights, kept: Kept, images: Array) -> Array:
    """Logits (n, classes), by the statistics that are kept."""
    return layers.dense(weights.classes, features(net, weights, kept, images)[0])


def train(net: EfficientNet, weights: Weights, kept: Kept, images: Array) -> tuple[Array, Kept]:
    """Logits by the batch's own statistics, and those to keep after it."""
    seen, kept = features(net, weights, kept, images, training=True)
    return layers.dense(weights.classes, seen), kept


def features(
    net: EfficientNet, weights: Weights, kept: Kept, images: Array, training: bool = False
) -> tuple[Array, Kept]:
    """What the last layer reads (n, channels), and the statistics to keep."""
    seen, kept = maps(net, weights, kept, images, training)
    return layers.pool(seen), kept


def maps(
    net: EfficientNet, weights: Weights, kept: Kept, images: Array, training: bool = False
) -> tuple[Array, Kept]:
    """The same before places are averaged (n, h, w, channels)."""
    x, stem = layers.apply(net.stem, net.norm, weights.stem, kept.stem, images, training)
    blocks = []
    for of, block, old in zip(net.blocks, weights.blocks, kept.blocks, strict=True):
        x, new = _block(net, of, block, old, x, training)
        blocks.append(new)
    x, head = layers.apply(net.head, net.norm, weights.head, kept.head, x, training)
    return x, Kept(stem, tuple(blocks), head)


def _block(
    net: EfficientNet,
    of: Block,
    weights: BlockWeights,
    kept: tuple[Statistics, ...],
    images: Array,
    training: bool,
) -> tuple[Array, tuple[Statistics, ...]]:
    x, after = images, []
    for layer, own, old in zip(of.convolutions, weights.convolutions, kept, strict=True):
        if layer is of.project and weights.excite:
            x = x * _excitement(net, weights.excite, x)
        x, new = layers.apply(layer, net.norm, own, old, x, training)
        after.append(new)
    return (x + images if of.adds_input else x), tuple(after)


def _excitement(net: EfficientNet, weights: tuple[Plain, ...], images: Array) -> Array:
    """A factor for each channel of each image (Hu et al. 2018): (n, 1, 1, channels)."""
    squeeze, excite = weights
    inner = layers.ACTIVATIONS[net.activation](layers.dense(squeeze, layers.pool(images)))
    return jax.nn.sigmoid(layers.dense(excite, inner))[:, jnp.newaxis, jnp.newaxis]


def multiply_adds(net: EfficientNet, size: int = 0) -> int:
    """Of one image of size x size (0: the net's own)."""
    convolutions = [net.stem, *(x for of in net.blocks for x in of.convolutions), net.head]
    squeezes = sum(2 * of.spatial.outputs * of.squeezed for of in net.blocks)
    total = layers.multiply_adds(convolutions, size or net.size)
    return total + squeezes + net.head.outputs * net.classes
