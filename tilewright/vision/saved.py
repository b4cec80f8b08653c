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

FORMAT = "tilewright vision 1"


def save(model: Model, path: str | Path) -> None:
    """Write a model; `load` reads it back with equal bits. Raises OSError that names the file."""
    write_bytes(Path(path), to_bytes(model))


def to_bytes(model: Model) -> bytes:
    """The file's content."""
    from safetensors.numpy import save as written

    header = {
        "format": FORMAT,
        "tilewright": tilewright.__version__,
        "net": json.dumps(nets.to_fields(model.net)),
        "preprocessing": json.dumps(model.preprocessing.fields()),
        "labels": json.dumps(model.labels),
        "source": model.source,
    }
    return written(state_dict(model.net, model.weights, model.kept), header)


def is_ours(header: Mapping[str, str]) -> bool:
    return header.get("format", "").startswith("tilewright vision")


def parsed(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, str]) -> Model:
    """The model in what `save` wrote. Raises `ArgumentError` where arrays and header disagree."""
    if header["format"] != FORMAT:
        raise ArgumentError(f"{path} is of another version: {header['format']!r}, not {FORMAT!r}.")
    try:
        net = nets.from_fields(json.loads(header["net"]))
        prepared = preprocessing.from_fields(json.loads(header["preprocessing"]))
        labels = tuple(map(str, json.loads(header["labels"])))
    except (KeyError, TypeError, ValueError) as error:
        raise ArgumentError(f"{path} has a header that cannot be read: {error}.") from None
    try:
        weights, kept = weights_from(net, arrays)
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None
    return Model(net, weights, kept, prepared, labels, header.get("source", ""))
