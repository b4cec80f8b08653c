"""ResNeXt (Xie et al. 2017): residual blocks whose middle convolution is in groups.

In: a `ResNeXt` (what the net is: `named("50_32x4d")`), its weights and statistics, images
(n, h, w, 3). Out: logits (n, classes), features (n, 2048), and in training the statistics that
follow. Blocks stride in their middle convolution, as PyTorch's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.models import convolutional as layers
from tilewright.models.convolutional import Array, Layer, Norm, Normed, Plain, Statistics

REPEATS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3)}
EXPANSION = 4


@dataclass(frozen=True)
class Block:
    """Three convolutions, and one on the way around them where channels or places change."""

    convolutions: tuple[Layer, ...]
    around: Layer | None


class BlockWeights(NamedTuple):
    convolutions: tuple[Normed, ...]
    around: Normed | None


class Weights(NamedTuple):
    stem: Normed
    blocks: tuple[BlockWeights, ...]
    classes: Plain


class BlockKept(NamedTuple):
    convolutions: tuple[Statistics, ...]
    around: Statistics | None


class Kept(NamedTuple):
    """Statistics of all norms, in the order of the weights."""

    stem: Statistics
    blocks: tuple[BlockKept, ...]


@dataclass(frozen=True)
class ResNeXt:
    """`groups` of `width` channels in the middle convolutions of the first stage."""

    repeats: tuple[int, ...] = REPEATS["50"]
    groups: int = 32
    width: int = 4
    size: int = 224
    classes: int = 1000
    norm: Norm = field(default_factory=lambda: Norm(epsilon=1e-5, momentum=0.9))

    @cached_property
    def stem(self) -> Layer:
        return Layer(3, 64, 7, 2, activation="relu", pad="even")

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(self._blocks())

    @property
    def features(self) -> int:
        return self.blocks[-1].convolutions[-1].outputs

    def _blocks(self) -> Iterator[Block]:
        channels = self.stem.outputs
        for stage, repeats in enumerate(self.repeats):
            inner, outputs = self.groups * self.width * 2**stage, 64 * EXPANSION * 2**stage
            for turn in range(repeats):
                stride = 2 if stage and not turn else 1
                changes = stride > 1 or channels != outputs
                around = Layer(channels, outputs, stride=stride, pad="even") if changes else None
                middle = Layer(inner, inner, 3, stride, self.groups, "relu", "even")
                first = Layer(channels, inner, activation="relu")
                yield Block((first, middle, Layer(inner, outputs)), around)
                channels = outputs


def named(name: str, **changes: Any) -> ResNeXt:
    """ "50_32x4d" or "101_32x8d" (layers, groups, width), with fields changed."""
    depth, _, shape = name.partition("_")
    groups, _, width = shape.rstrip("d").partition("x")
    if depth not in REPEATS or not (groups.isdigit() and width.isdigit()):
        raise ValueError(f'name must be like "50_32x4d" (50 or 101 layers), not {name!r}.')
    return replace(ResNeXt(REPEATS[depth], int(groups), int(width)), **changes)


def start(net: ResNeXt, key: Array) -> tuple[Weights, Kept]:
    """Random weights, and statistics of nothing seen yet."""
    keys = iter(jax.random.split(key, 4 * len(net.blocks) + 2))

    def block(of: Block) -> BlockWeights:
        inner = tuple(layers.start_normed(layer, next(keys)) for layer in of.convolutions)
        return BlockWeights(
            inner, layers.start_normed(of.around, next(keys)) if of.around else None
        )

    def kept(of: Block) -> BlockKept:
        around = layers.start_statistics(of.around) if of.around else None
        return BlockKept(tuple(map(layers.start_statistics, of.convolutions)), around)

    weights = Weights(
        layers.start_normed(net.stem, next(keys)),
        tuple(map(block, net.blocks)),
        layers.start_plain(net.features, net.classes, next(keys)),
    )
    return weights, Kept(layers.start_statistics(net.stem), tuple(map(kept, net.blocks)))


def predict(net: ResNeXt, weights: Weights, kept: Kept, images: Array) -> Array:
    """Logits (n, classes), by the statistics that are kept."""
    return layers.dense(weights.classes, features(net, weights, kept, images)[0])


def train(net: ResNeXt, weights: Weights, kept: Kept, images: Array) -> tuple[Array, Kept]:
    """Logits by the batch's own statistics, and those to keep after it."""
    seen, kept = features(net, weights, kept, images, training=True)
    return layers.dense(weights.classes, seen), kept


def features(
    net: ResNeXt, weights: Weights, kept: Kept, images: Array, training: bool = False
) -> tuple[Array, Kept]:
    """What the last layer reads (n, channels), and the statistics to keep."""
    seen, kept = maps(net, weights, kept, images, training)
    return layers.pool(seen), kept


def maps(
    net: ResNeXt, weights: Weights, kept: Kept, images: Array, training: bool = False
) -> tuple[Array, Kept]:
    """The same before places are averaged (n, h, w, channels)."""
    x, stem = layers.apply(net.stem, net.norm, weights.stem, kept.stem, images, training)
    x = lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))
    )
    blocks = []
    for of, block, old in zip(net.blocks, weights.blocks, kept.blocks, strict=True):
        x, new = _block(net, of, block, old, x, training)
        blocks.append(new)
    return x, Kept(stem, tuple(blocks))


def _block(
    net: ResNeXt, of: Block, weights: BlockWeights, kept: BlockKept, images: Array, training: bool
) -> tuple[Array, BlockKept]:
    x, after = images, []
    for layer, own, old in zip(
        of.convolutions, weights.convolutions, kept.convolutions, strict=True
    ):
        x, new = layers.apply(layer, net.norm, own, old, x, training)
        after.append(new)
    around, new = images, kept.around
    if of.around and weights.around and kept.around:
        around, new = layers.apply(
            of.around, net.norm, weights.around, kept.around, images, training
        )
    return jax.nn.relu(x + around), BlockKept(tuple(after), new)


def multiply_adds(net: ResNeXt, size: int = 0) -> int:
    """Of one image of size x size (0: the net's own)."""
    size = size or net.size
    total = layers.multiply_adds([net.stem], size)
    size = -(-net.stem.places(size) // 2)
    for of in net.blocks:
        total += layers.multiply_adds(of.convolutions, size)
        total += layers.multiply_adds([of.around], size) if of.around else 0
        size = of.convolutions[1].places(size)
    return total + net.features * net.classes
