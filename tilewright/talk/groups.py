"""One layer as a regular convolution and in groups, as in the talk: time, operations, bytes, limit.

3×3 taps over 256 channels of 28 × 28, eight images, one thread. Fewer channels a group are fewer
operations: whether they are less time, too, is the question. The limit is the longer of two times:
all operations at the peak that was measured in turns with them, and all bytes, read and written
once, at the rate of the memory that has room for them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime, openvino
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.machine.host import host_machine
from tilewright.talk.figures import Point, measured
from tilewright.talk.installed import missing
from tilewright.talk.record import Outcome

CHANNELS, SIZE, BATCH, TAPS = 256, 28, 8, 3
EACH = (1, 4, 8, 16, 32, CHANNELS)
"""Channels a group; the last is a regular convolution."""
ROUNDS = 9


def run() -> Outcome:
    """A case for each size of a group, ours and the peers' by turns."""
    points: list[Point] = []
    for each in EACH:
        name = called(each)
        calls: dict[str, Callable[[], float]] = {
            who: timed(call) for who, call in _contenders(each).items()
        }
        found = compare(calls, ROUNDS, keep=tuple(calls))
        work = {"Mflop": flops(each) / 1e6, "MB": nbytes(each) / 1e6}
        for who in calls:
            limit = max(flops(each) / (found.gflops * 1e9), moving(each))
            more = work | {"of float32's limit": limit / found.median(who)}
            points.append(
                Point(name, who, measured(f"groups: {name}", found.seconds[who], "ms"), more)
            )
    return Outcome("groups", tuple(points), missing("PyTorch", "OpenVINO"))


def called(each: int) -> str:
    return "regular" if each == CHANNELS else f"groups of {each}"


def layer(each: int) -> Callable[[Any, Any], Any]:
    """Of weights (taps, taps, each, channels) and images (batch, size, size, channels)."""
    import jax

    return lambda weights, images: jax.lax.conv_general_dilated(
        images, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=CHANNELS // each,
    )  # fmt: skip


def shapes(each: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of weights and images."""
    return (TAPS, TAPS, each, CHANNELS), (BATCH, SIZE, SIZE, CHANNELS)


def flops(each: int) -> float:
    """Two a multiply-add."""
    return 2.0 * BATCH * SIZE * SIZE * CHANNELS * each * TAPS * TAPS


def nbytes(each: int) -> float:
    """Of images, weights and results, each once."""
    return 4.0 * (2 * BATCH * SIZE * SIZE * CHANNELS + CHANNELS * each * TAPS * TAPS)


def moving(each: int) -> float:
    """Seconds in which one core reads so many bytes, by this host's figures."""
    machine, count = host_machine(), nbytes(each)
    memories = machine.tile.memories
    roomy = next((memory for memory in memories if memory.size >= count), memories[-1])
    return count / (roomy.read * machine.chip.clock)


def _contenders(each: int) -> dict[str, Callable[[], Any]]:
    import tilewright

    rng = np.random.default_rng(0)
    weights, images = (rng.normal(size=shape).astype(np.float32) for shape in shapes(each))
    ours = tilewright.compile(layer(each), weights, images, tiles=1).bind(weights)
    found: dict[str, Callable[[], Any]] = {"tilewright": partial(ours, images)}
    if find_spec("torch") is not None:
        found |= _peers(each, images, weights)
    return found


def _peers(each: int, images: np.ndarray, weights: np.ndarray) -> dict[str, Callable[[], Any]]:
    """PyTorch, channels last, and OpenVINO on what it exports."""
    from importlib import import_module

    torch = import_module("torch")
    torch.set_num_threads(1)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    layer = torch.nn.Conv2d(
        CHANNELS, CHANNELS, TAPS, padding=TAPS // 2, groups=CHANNELS // each, bias=False
    )
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights).permute(3, 2, 0, 1))
    layer = layer.eval().to(memory_format=torch.channels_last)

    def call() -> Any:
        with torch.inference_mode():
            return layer(x)

    found: dict[str, Callable[[], Any]] = {"PyTorch": call}
    if openvino.is_here():
        plain = x.contiguous()
        answers = openvino.answering(onnx_runtime.exported(torch, layer, plain), plain.shape)
        found |= {name: partial(answer, plain.numpy()) for name, answer in answers.items()}
    return found
