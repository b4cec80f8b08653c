"""One layer of images in groups of channels, and as a regular convolution, beside PyTorch.

3×3 taps over 256 channels of 28 × 28, eight images: the convolution and both its gradients, one
thread each, whose processor time counts. PyTorch has its images channels last and its arrays at the
start of cache lines, as ours are; with another level than the host's it is kept to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench.image_peers import torch_here
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.frozen import frozen
from tilewright.runtime.memory import aligned

EACH = (4, 8, 16, 32, 256)
"""Channels a group; the last is a regular convolution."""
DIRECTIONS = ("forward", "data gradient", "filter gradient")
BAR = 1.0


@frozen
class Layer:
    """`size` × `size` pixels of `channels`, in groups of `each`."""

    each: int
    channels: int = 256
    size: int = 28
    batch: int = 8
    taps: int = 3

    @property
    def groups(self) -> int:
        return self.channels // self.each

    @property
    def name(self) -> str:
        return "regular" if self.groups == 1 else f"groups of {self.each}"

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, weights (taps, taps, in, out), the gradient of what comes out."""
        rng = np.random.default_rng(0)
        images = (self.batch, self.size, self.size, self.channels)
        shapes = images, (self.taps, self.taps, self.each, self.channels), images
        return tuple(_random(rng, shape) for shape in shapes)  # type: ignore[return-value]


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.normal(size=shape).astype(np.float32)
    array, _ = aligned(shape, values.dtype, values.nbytes)
    array[...] = values
    return array


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for each in EACH[1:2] if quick else EACH:
        layer = Layer(each, 32, 7, 2) if quick else Layer(each)
        yield layer.name, partial(run, layer, 2 if quick else 9)


def run(layer: Layer, rounds: int) -> list[Row]:
    """A row for each direction."""
    ours, theirs = _ours(layer), _theirs(layer)
    return [_row(layer, name, ours[name], theirs.get(name), rounds) for name in DIRECTIONS]


def _row(
    layer: Layer, name: str, ours: Callable[[], Any], theirs: Callable[[], Any] | None, rounds: int
) -> Row:
    runs = {"tilewright": timed(ours)} | ({"PyTorch": timed(theirs)} if theirs else {})
    found = compare(runs, rounds, keep=tuple(runs))
    what, time = f"{layer.name}, {name}", found.median("tilewright") * 1e3
    if theirs is None:
        return Row("groups", what, time, "ms", notes="no peer is installed")
    return Row(
        "groups", what, time, "ms", found.median("PyTorch") * 1e3, "PyTorch",
        *found.ratio("PyTorch", "tilewright"), BAR, gflops=found.gflops,
    )  # fmt: skip


def _ours(layer: Layer) -> Mapping[str, Callable[[], Any]]:
    import jax

    import tilewright

    images, weights, gradient = layer.arrays()

    def convolved(weights: Any, images: Any) -> Any:
        return jax.lax.conv_general_dilated(
            images, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=layer.groups,
        )  # fmt: skip

    def of_images(weights: Any, gradient: Any) -> Any:
        (found,) = jax.linear_transpose(partial(convolved, weights), images)(gradient)
        return found

    def of_weights(images: Any, gradient: Any) -> Any:
        (found,) = jax.linear_transpose(lambda w: convolved(w, images), weights)(gradient)
        return found

    forward, data = (
        tilewright.compile(function, weights, x, tiles=1).bind(weights)
        for function, x in ((convolved, images), (of_images, gradient))
    )
    filters = tilewright.compile(of_weights, images, gradient, tiles=1)
    calls = partial(forward, images), partial(data, gradient), partial(filters, images, gradient)
    return dict(zip(DIRECTIONS, calls, strict=True))


def _theirs(layer: Layer) -> Mapping[str, Callable[[], Any]]:
    torch = torch_here()
    if torch is None:
        return {}
    images, weights, gradient = map(torch.from_numpy, layer.arrays())
    x, g = images.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    w = weights.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    pad = layer.taps // 2

    def forward() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(x, w, padding=pad, groups=layer.groups)

    def backward(*wanted: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            g, x, w, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], layer.groups, wanted
        )

    calls = forward, partial(backward, True, False, False), partial(backward, False, True, False)
    return dict(zip(DIRECTIONS, calls, strict=True))
