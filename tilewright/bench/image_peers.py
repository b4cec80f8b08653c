"""The nets of `models/` in PyTorch, layer for layer, channels last: peers to be timed.

In: PyTorch and an `EfficientNet` or `ResNeXt` with even padding. Out: a module of the same
shapes, with weights of its own. `folded`: convolutions have shifts and no norms.
"""

from __future__ import annotations

from typing import Any

from tilewright.models.efficientnet import EfficientNet
from tilewright.models.resnext import ResNeXt


def torch_net(torch: Any, net: EfficientNet | ResNeXt, folded: bool) -> Any:
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
