"""What convolutional nets are made of, as plain JAX functions: convolutions, norms, activations.

In: a `Layer` (what it is), its weights and statistics, images (n, h, w, channels). Out: images, and
in training the statistics that follow. Kernels are (kh, kw, in / groups, out).

    "batch"   y = (x * w - mean) / sqrt(variance + epsilon) * scale + shift, over images and places
              (Ioffe and Szegedy 2015). With statistics that are kept, the norm is folded into the
              kernel, x * (w * s) + t: a product fewer an output, and once for all where weights are
              bound.
    "group"   the same over places and 16 channels of one image (Wu and He 2018): nothing is kept
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Array = Any
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "relu6": lambda x: jnp.clip(x, 0, 6),
    "swish": lambda x: x * jax.nn.sigmoid(x),
}
GROUP = 16
"""Channels that a group norm takes together."""


class Statistics(NamedTuple):
    """What a batch norm keeps, (channels,) each."""

    mean: Array
    variance: Array


class Normed(NamedTuple):
    """Of a convolution with its norm: kernel (kh, kw, in / groups, out), the rest (out,)."""

    kernel: Array
    scale: Array
    shift: Array


class Plain(NamedTuple):
    """Weights of a convolution of one tap, or a dense layer: (in, out) and (out,)."""

    kernel: Array
    shift: Array


@dataclass(frozen=True)
class Norm:
    """`kind` "batch" or "group"; running statistics move by 1 - `momentum` a step.

    `saved`: what a step of training keeps of large arrays is rounded to this dtype (None: it is
    not): what convolutions make, until its gradient has been found, and the gradient of its norm,
    until its sums are known. A batch's statistics are those of what was not rounded yet.
    """

    kind: str = "batch"
    epsilon: float = 1e-3
    momentum: float = 0.99
    saved: str | None = None


@dataclass(frozen=True)
class Layer:
    """A convolution with its norm and activation.

    `pad` "same": outputs = ceil(inputs / stride), the odd row and column of padding after the image
    (TensorFlow's rule); "even": kernel // 2 on every side (PyTorch's habit).
    """

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    activation: str = "linear"
    pad: str = "same"

    @property
    def by_image(self) -> tuple[bool, bool]:
        """Of its norm's sums, forward and backward: see `by_batch`."""
        over_places = self.kernel > 1
        return over_places, over_places or self.activation != "linear"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (self.kernel, self.kernel, self.inputs // self.groups, self.outputs)

    def places(self, size: int) -> int:
        """Rows (columns) of the result for so many of the image."""
        if self.pad == "same":
            return -(-size // self.stride)
        return (size + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1

    def padding(self, size: int) -> tuple[int, int]:
        """Before and after so many rows (columns)."""
        if self.pad == "even":
            return (self.kernel // 2, self.kernel // 2)
        total = max(0, (self.places(size) - 1) * self.stride + self.kernel - size)
        return (total // 2, total - total // 2)


def start_normed(layer: Layer, key: Array) -> Normed:
    """He et al. (2015), by what goes out; norms that do nothing."""
    spread = (2 / (layer.kernel**2 * layer.outputs // layer.groups)) ** 0.5
    kernel = spread * jax.random.normal(key, layer.shape)
    return Normed(kernel, jnp.ones(layer.outputs), jnp.zeros(layer.outputs))


def start_plain(inputs: int, outputs: int, key: Array) -> Plain:
    """Uniform within 1 / sqrt(outputs), zero shifts."""
    kernel = jax.random.uniform(key, (inputs, outputs), minval=-1, maxval=1) / outputs**0.5
    return Plain(kernel, jnp.zeros(outputs))


def start_statistics(layer: Layer) -> Statistics:
    return Statistics(jnp.zeros(layer.outputs), jnp.ones(layer.outputs))


def convolve(layer: Layer, kernel: Array, images: Array) -> Array:
    """(n, h, w, inputs) to (n, h', w', outputs), without norm."""
    pads = [layer.padding(size) for size in images.shape[1:3]]
    return lax.conv_general_dilated(
        images,
        kernel,
        (layer.stride, layer.stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=layer.groups,
    )


def apply(
    layer: Layer,
    norm: Norm,
    weights: Normed,
    kept: Statistics,
    images: Array,
    training: bool = False,
) -> tuple[Array, Statistics]:
    """The layer's images, and its statistics after them (as they were, unless in training)."""
    activate = ACTIVATIONS[layer.activation]
    if norm.kind == "group":
        raw = convolve(layer, weights.kernel, images)
        return activate(_by_groups(raw, norm.epsilon) * weights.scale + weights.shift), kept
    if not training:
        scale = weights.scale * lax.rsqrt(kept.variance + norm.epsilon)
        raw = convolve(layer, weights.kernel * scale, images)
        return activate(raw + (weights.shift - kept.mean * scale)), kept
    raw = convolve(layer, weights.kernel, images)
    given = raw, weights.scale, weights.shift, kept.mean
    found: Any = by_batch(norm.epsilon, norm.saved, layer.by_image, *given)
    normed, mean, variance = found
    count = prod(raw.shape[:3])
    unbiased = variance * (count / max(1, count - 1))
    moved = (
        norm.momentum * old + (1 - norm.momentum) * new
        for old, new in zip(kept, (mean, unbiased), strict=True)
    )
    return activate(normed), Statistics(*moved)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def by_batch(
    epsilon: float,
    saved: str | None,
    by_image: tuple[bool, bool],
    raw: Array,
    scale: Array,
    shift: Array,
    about: Array,
) -> tuple[Array, Array, Array]:
    """The batch's norm of raw (n, h, w, channels), and its mean and variance (channels).

    Both come of one pass, by the sums of raw - about and of its square (Chan, Golub and LeVeque
    1983): the vertex that makes `raw` adds them up. They do not hang on `about` but for rounding;
    the variance's share of that grows as 1 + (mean - about)^2 / variance, so what is kept of
    earlier batches is a good choice.

    Its slope takes two sums over all places, and so does its gradient, of what comes in and of that
    times the centred images (Ioffe and Szegedy 2015), where the chain rule takes four, two of which
    are those again.

    What is normed, and what slopes read, is `raw` with raw - about rounded to `saved`, taken for
    `raw` itself; what comes in on the way back is rounded to it, too.

    `by_image`, of the sums forward and of those backward: whether the places of an image are added
    up first, and then the images. So they are where whole images are made, by convolutions over
    places and by their gradients: they can be added up while they are near.
    """
    off = raw - about
    distance = _mean(off, by_image[0])
    spread = _mean(jnp.square(off), by_image[0]) - jnp.square(distance)
    mean, variance = about + distance, jnp.maximum(spread, 0)
    factor = scale * lax.rsqrt(variance + epsilon)
    return _centred(raw, about, mean, saved) * factor + shift, mean, variance


@by_batch.defjvp
def _by_batch_slope(
    epsilon: float,
    saved: str | None,
    by_image: tuple[bool, bool],
    given: tuple[Array, ...],
    along: tuple[Array, ...],
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    found: Any = by_batch(epsilon, saved, by_image, *given)
    (raw, scale, _, about), (d_raw, d_scale, d_shift, _), (_, mean, variance) = given, along, found
    inverse, centred = lax.rsqrt(variance + epsilon), _centred(raw, about, mean, saved)
    factor = scale * inverse
    d_mean = _mean(d_raw, by_image[0])
    d_variance = 2 * _mean(centred * d_raw, by_image[0])
    d_factor = d_scale * inverse - factor * jnp.square(inverse) / 2 * d_variance
    d_factor = _repeated(d_factor, raw.shape[0], by_image[1])
    d_offset = _repeated(d_shift - d_mean * factor, raw.shape[0], by_image[1])
    slope = _rounded(d_raw * factor + centred * d_factor + d_offset, saved)
    return found, (slope, d_mean, d_variance)


def _centred(raw: Array, about: Array, mean: Array, saved: str | None) -> Array:
    """raw - mean; what is rounded is how far `raw` is from something near the mean."""
    return _rounded(raw - about, saved) - (mean - about) if saved else raw - mean


def _rounded(images: Array, saved: str | None) -> Array:
    """In their own dtype, of the values that `saved` has."""
    return images.astype(saved).astype(images.dtype) if saved else images


def _mean(images: Array, by_image: bool) -> Array:
    """Over images and places: (channels,)."""
    return jnp.mean(jnp.mean(images, (1, 2)), 0) if by_image else jnp.mean(images, (0, 1, 2))


def _repeated(line: Array, images: int, by_image: bool) -> Array:
    """(channels,) for every image, (n, 1, 1, channels): a gradient's sums go the same way back."""
    return jnp.broadcast_to(line, (images, 1, 1, *line.shape)) if by_image else line


def _by_groups(raw: Array, epsilon: float) -> Array:
    """Mean 0, variance 1 over places and each group of channels, image by image."""
    n, h, w, channels = raw.shape
    size = GROUP if channels % GROUP == 0 else channels
    groups = raw.reshape(n, h * w, channels // size, size)
    mean = jnp.mean(groups, (1, 3), keepdims=True)
    variance = jnp.mean(jnp.square(groups - mean), (1, 3), keepdims=True)
    return ((groups - mean) * lax.rsqrt(variance + epsilon)).reshape(raw.shape)


def pool(images: Array) -> Array:
    """The mean over all places: (n, channels)."""
    return jnp.mean(images, (1, 2))


def dense(weights: Plain, features: Array) -> Array:
    """(n, in) to (n, out)."""
    return features @ weights.kernel + weights.shift


def count(weights: Any) -> int:
    """Parameters in a tree of weights."""
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(weights))


def multiply_adds(layers: Iterable[Layer], size: int) -> int:
    """Of layers one after the other on one square image, padding counted as the rest is."""
    total = 0
    for layer in layers:
        size = layer.places(size)
        total += size * size * prod(layer.shape)
    return total
