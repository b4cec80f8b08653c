"""The nets of `models/` in PyTorch, layer for layer, channels last: peers to be timed.

In: an `EfficientNet` or `ResNeXt` with even padding. Out: contenders of its shape, with weights of
their own, where they are installed. With another level than the host's, PyTorch is kept to it by
its own switches, and the others, which have none, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime, openvino
from tilewright.bench.level import PRETENDS
from tilewright.bench.recurrent import timed
from tilewright.models.efficientnet import EfficientNet
from tilewright.models.resnext import ResNeXt

Timed = Callable[[], float]


def answering(net: Any, images: np.ndarray, half: bool = False) -> Mapping[str, Timed]:
    """PyTorch, and what ONNX Runtime and OpenVINO make of its export; with `half`, PyTorch all in
    bfloat16, too."""
    torch = torch_here()
    if torch is None:
        return {}
    module = torch_net(torch, net, folded=True).eval()
    given = torch.from_numpy(images).permute(0, 3, 1, 2)

    def run() -> Any:
        with torch.inference_mode():
            return module(given)

    found, answers = {"PyTorch": timed(run)}, {}
    if half:
        found |= _in_half(torch, module, given)
    if PRETENDS or not (onnx_runtime.is_here() or openvino.is_here()):
        return found
    content = onnx_runtime.exported(torch, module, given)
    if onnx_runtime.is_here():
        answers["ONNX Runtime"] = onnx_runtime.answering(content)
    if openvino.is_here():
        answers |= openvino.answering(content, given.shape)
    plain = given.contiguous().numpy()
    return found | {name: timed(partial(answer, plain)) for name, answer in answers.items()}


def _in_half(torch: Any, module: Any, images: Any) -> Mapping[str, Timed]:
    module, given = deepcopy(module).bfloat16(), images.bfloat16()

    def run() -> Any:
        with torch.inference_mode():
            return module(given)

    return {"PyTorch bfloat16": timed(run)}


def stepping(
    net: Any, load: Callable[[], np.ndarray], classes: int, half: bool = False
) -> Mapping[str, Timed]:
    """PyTorch's step of gradient descent on the images that `load` gives; with `half`, what it
    casts to bfloat16 by itself (`autocast`), too."""
    torch = torch_here()
    if torch is None:
        return {}
    step = partial(step_by_torch, torch, net, load, classes)
    found = {"PyTorch": timed(step())}
    return found | ({"PyTorch bfloat16": timed(step(half=True))} if half else {})


def step_by_torch(
    torch: Any, net: Any, load: Callable[[], np.ndarray], classes: int, half: bool = False
) -> Callable[[], None]:
    """Of a net of that shape; with `half`, by `autocast`."""
    module = torch_net(torch, net, folded=False).train()
    optimiser = torch.optim.SGD(module.parameters(), 0.01)

    def run() -> None:
        images = torch.from_numpy(load()).permute(0, 3, 1, 2)
        labels = torch.arange(len(images)) % classes
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = torch.nn.functional.cross_entropy(module(images), labels)
        loss.backward()
        optimiser.step()

    return run


def torch_here() -> Any:
    """PyTorch at this run's level, on one thread, or None."""
    if find_spec("torch") is None:
        return None
    if PRETENDS:
        os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    torch = import_module("torch")
    torch.set_num_threads(1)
    return torch


def torch_net(torch: Any, net: EfficientNet | ResNeXt, folded: bool) -> Any:
    """A module; `folded`: convolutions have shifts and no norms."""
    nn = torch.nn

    def layer(of: Any) -> Any:
        convolution = nn.Conv2d(
            of.inputs, of.outputs, of.kernel, of.stride, of.kernel // 2, groups=of.groups,
            bias=folded,
        )  # fmt: skip
        norm = [] if folded else [nn.BatchNorm2d(of.outputs, net.norm.epsilon)]
        activation = {"swish": [nn.SiLU(True)], "relu": [nn.ReLU(True)], "relu6": [nn.ReLU6(True)]}
        return nn.Sequential(convolution, *norm, *activation.get(of.activation, []))

    class Excite(nn.Module):
        def __init__(self, channels: int, squeezed: int):
            super().__init__()
            self.squeeze = nn.Conv2d(channels, squeezed, 1)
            self.excite = nn.Conv2d(squeezed, channels, 1)
            self.activate = nn.SiLU(True)

        def forward(self, x: Any) -> Any:
            pooled = self.activate(self.squeeze(x.mean((2, 3), keepdim=True)))
            return x * torch.sigmoid(self.excite(pooled))

    class Inverted(nn.Module):
        def __init__(self, of: Any):
            super().__init__()
            *spread, project = map(layer, of.convolutions)
            excite = [Excite(of.spatial.outputs, of.squeezed)] if of.squeezed else []
            self.inside, self.adds = nn.Sequential(*spread, *excite, project), of.adds_input

        def forward(self, x: Any) -> Any:
            return x + self.inside(x) if self.adds else self.inside(x)

    class Residual(nn.Module):
        def __init__(self, of: Any):
            super().__init__()
            self.inside = nn.Sequential(*map(layer, of.convolutions))
            self.around = layer(of.around) if of.around else nn.Identity()

        def forward(self, x: Any) -> Any:
            return torch.relu_(self.inside(x) + self.around(x))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if isinstance(net, EfficientNet):
                parts = [*map(Inverted, net.blocks), layer(net.head)]
                channels = net.head.outputs
            else:
                parts = [nn.MaxPool2d(3, 2, 1), *map(Residual, net.blocks)]
                channels = net.blocks[-1].convolutions[-1].outputs
            self.features = nn.Sequential(layer(net.stem), *parts)
            self.classes = nn.Linear(channels, net.classes)

        def forward(self, x: Any) -> Any:
            return self.classes(self.features(x).mean((2, 3)))

    return Whole().to(memory_format=torch.channels_last)
