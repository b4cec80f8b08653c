"""One layer of images in groups of channels, and as a regular convolution, beside PyTorch.

3×3 taps over 256 channels of 28 × 28, eight images: the convolution and both its gradients, one
thread each, whose processor time counts. PyTorch has its images channels last and its arrays at the
start of cache lines, as ours are; with another level than the host's it is kept to it. Forward, the
talk compares it in both precisions, with OpenVINO beside them (`answering`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime, openvino
from tilewright.bench.image_peers import torch_here
from tilewright.bench.images import OURS, PAIRS, multiplies_halves
from tilewright.bench.level import PRETENDS
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

    def convolved(self, weights: Any, images: Any) -> Any:
        """In JAX."""
        import jax

        return jax.lax.conv_general_dilated(
            images, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )  # fmt: skip

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of weights and images."""
        weights = (self.taps, self.taps, self.each, self.channels)
        return weights, (self.batch, self.size, self.size, self.channels)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, weights (taps, taps, in, out), the gradient of what comes out."""
        rng = np.random.default_rng(0)
        weights, images = self.shapes
        return tuple(_random(rng, shape) for shape in (images, weights, images))  # type: ignore[return-value]


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

    def of_images(weights: Any, gradient: Any) -> Any:
        (found,) = jax.linear_transpose(partial(layer.convolved, weights), images)(gradient)
        return found

    def of_weights(images: Any, gradient: Any) -> Any:
        (found,) = jax.linear_transpose(lambda w: layer.convolved(w, images), weights)(gradient)
        return found

    forward, data = (
        tilewright.compile(function, weights, x, tiles=1).bind(weights)
        for function, x in ((layer.convolved, images), (of_images, gradient))
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


def answering(layer: Layer) -> dict[str, Callable[[], Any]]:
    """Contenders forward, in float32 and, of hosts that multiply bfloat16, in bfloat16, too."""
    images, weights, _ = layer.arrays()
    halves = multiplies_halves()
    found = {OURS: _forward(layer, weights, images)}
    if halves:
        found[PAIRS] = _forward(layer, weights, images, half=True)
    torch = torch_here()
    return found if torch is None else found | _peers(torch, layer, weights, images, halves)


def _forward(
    layer: Layer, weights: np.ndarray, images: np.ndarray, half: bool = False
) -> Callable[[], Any]:
    import jax

    import tilewright

    law = "pairs" if half else None
    with jax.default_matmul_precision("bfloat16" if half else "float32"):
        program = tilewright.compile(layer.convolved, weights, images, tiles=1, law=law)
    return partial(program.bind(weights), images)


def _peers(
    torch: Any, layer: Layer, weights: np.ndarray, images: np.ndarray, halves: bool
) -> dict[str, Callable[[], Any]]:
    """PyTorch, channels last, and what OpenVINO makes of its export; results are NCHW."""
    x, channels = torch.from_numpy(images).permute(0, 3, 1, 2), layer.channels
    net = torch.nn.Conv2d(
        channels, channels, layer.taps, padding=layer.taps // 2, groups=layer.groups, bias=False
    )
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(weights).permute(3, 2, 0, 1))
    net = net.eval().to(memory_format=torch.channels_last)

    def call(net: Any, x: Any) -> Any:
        with torch.inference_mode():
            return net(x)

    found: dict[str, Callable[[], Any]] = {"PyTorch": partial(call, net, x)}
    if halves:
        found["PyTorch bfloat16"] = partial(call, deepcopy(net).bfloat16(), x.bfloat16())
    if openvino.is_here() and not PRETENDS:
        plain = x.contiguous()
        answers = openvino.answering(onnx_runtime.exported(torch, net, plain), plain.shape)
        found |= {name: partial(answer, plain.numpy()) for name, answer in answers.items()}
    return found
