"""A `Model` in a safetensors file: arrays by timm's names, the rest in the header as JSON.

Other programs can read the arrays; the header says how the net pads and what its preprocessing is.
Files are replaced whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import tilewright
from tilewright.errors import ArgumentError
from tilewright.files import write_bytes
from tilewright.vision import nets, preprocessing
from tilewright.vision.from_torch import state_dict, weights_from
from tilewright.vision.model import Model

KEY, FORMAT = "tilewright", "vision 1"
"""The one entry of the file's metadata, as the order of several is not the same every time."""


def save(model: Model, path: str | Path) -> None:
    """Write a model; `load` reads it back with equal bits. Raises OSError that names the file."""
    write_bytes(Path(path), to_bytes(model))


def export(model: Model, path: Path) -> None:
    """The same, or ONNX, as the file's name says. Raises `ArgumentError` for another name."""
    kind = path.suffix.lower()
    if kind == ".onnx":
        from tilewright.vision.to_onnx import to_onnx

        write_bytes(path, to_onnx(model))
    elif kind == ".safetensors":
        save(model, path)
    else:
        raise ArgumentError(f"{path} must end with .safetensors or .onnx, not {kind or 'nothing'}.")


def to_bytes(model: Model) -> bytes:
    """The file's content."""
    from safetensors.numpy import save as written

    header = {
        "format": FORMAT,
        "version": tilewright.__version__,
        "net": nets.to_fields(model.net),
        "preprocessing": model.preprocessing.fields(),
        "labels": model.labels,
        "source": model.source,
    }
    arrays = state_dict(model.net, model.weights, model.kept)
    return written(arrays, {KEY: json.dumps(header)})


def is_ours(metadata: Mapping[str, str]) -> bool:
    return KEY in metadata


def parsed(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Model:
    """The model in what `save` wrote. Raises `ArgumentError` where arrays and header disagree."""
    try:
        header = json.loads(metadata[KEY])
        if header["format"] != FORMAT:
            raise ArgumentError(
                f"{path} is of another version: {header['format']!r}, not {FORMAT!r}."
            )
        net = nets.from_fields(header["net"])
        prepared = preprocessing.from_fields(header["preprocessing"])
        labels = tuple(map(str, header["labels"]))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ArgumentError(f"{path} has a header that cannot be read: {error}.") from None
    try:
        weights, kept = weights_from(net, arrays)
        return Model(net, weights, kept, prepared, labels, str(header.get("source", "")))
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None
