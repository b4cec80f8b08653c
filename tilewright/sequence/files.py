"""A `Model` in a safetensors file: arrays by name, and what the net is in the header.

Names are `layers.<i>.<forward|backward>.<W|U|b|d>` and `head.<i>.<W|b>`; `scaler.<offset|scale>`
where weights have a scaler in them. Files are replaced whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.files import write_bytes
from tilewright.models.recurrent import Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence.model import Model

FORMAT = "tilewright recurrent 3"
READABLE = ("tilewright recurrent 1", "tilewright recurrent 2", FORMAT)
"""The first had no activation before the head, the second no scaler."""
SCALER = ("scaler.offset", "scaler.scale")
CHECKSUM = "checksum"
"""Its name in a header."""


def save(model: Model, path: str | Path) -> None:
    """Write a model; `load` reads it back, with equal bits."""
    from safetensors.numpy import save as to_bytes

    arrays, net = _named(model), json.dumps(asdict(model.net))
    header = {"format": FORMAT, "net": net, CHECKSUM: checksum(arrays, net)}
    write_bytes(Path(path), to_bytes(arrays, header))


def checksum(arrays: Mapping[str, np.ndarray], about: str) -> str:
    """SHA-256 of what arrays are, by name, and of what the header says of them."""
    found = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.shape} {array.dtype.str};".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def check(
    path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, str], about: str
) -> None:
    """Raises `ArgumentError` where a checksum in the header is not that of the content; files of
    older versions have none. `about` names the entry that says what the arrays are."""
    if CHECKSUM in header and header[CHECKSUM] != checksum(arrays, header.get(about, "")):
        raise ArgumentError(f"{path} is damaged: its checksum is not that of its content.")


def _named(model: Model) -> dict[str, np.ndarray]:
    found = {}
    for i, (layer, cells) in enumerate(zip(model.net.layers, model.weights.layers, strict=True)):
        for way, cell in zip(layer.ways, cells, strict=True):
            for name, array in cell._asdict().items():
                if array is not None:
                    found[f"layers.{i}.{way}.{name}"] = array
    for i, affine in enumerate(model.weights.head):
        found |= {f"head.{i}.{name}": array for name, array in affine._asdict().items()}
    if model.scaler is not None:
        found |= {n: np.ascontiguousarray(a) for n, a in zip(SCALER, model.scaler, strict=True)}
    return found


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and header of any safetensors file. Raises `ArgumentError` for a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ArgumentError(f"{path} is not a safetensors file: {error}.") from None


def is_ours(header: dict[str, str]) -> bool:
    return header.get("format", "").startswith("tilewright recurrent")


def parsed(path: Path, arrays: dict[str, np.ndarray], header: dict[str, str]) -> Model:
    """The model in what `save` wrote. Raises `ArgumentError` where arrays and header disagree."""
    if header["format"] not in READABLE:
        raise ArgumentError(f"{path} is of another version: {header['format']!r}, not {FORMAT!r}.")
    everything = dict(arrays)
    try:
        fields: dict[str, Any] = json.loads(header["net"])
        net = Recurrent(
            tuple(Layer(**layer) for layer in fields["layers"]),
            tuple(Dense(**dense) for dense in fields["head"]),
            fields["reads"],
            fields.get("read_activation", "linear"),
        )
        layers = tuple(
            tuple(
                Cell(*(arrays.pop(f"layers.{i}.{way}.{name}", None) for name in Cell._fields))
                for way in layer.ways
            )
            for i, layer in enumerate(net.layers)
        )
        head = tuple(
            Affine(arrays.pop(f"head.{i}.W"), arrays.pop(f"head.{i}.b"))
            for i in range(len(net.head))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"{path} does not hold the net that its header says: {error}."
        ) from None
    offset, scale = (arrays.get(name) for name in SCALER)
    scaler = None
    if offset is not None and scale is not None:
        scaler = arrays.pop(SCALER[0]), arrays.pop(SCALER[1])
    model = Model(net, Weights(layers, head), scaler)
    _check_arrays(path, model, arrays)
    check(path, everything, header, "net")
    return model


def _check_arrays(path: Path, model: Model, left: dict[str, np.ndarray]) -> None:
    """Every array there, of its shape, and no other; all numbers finite."""
    import jax

    from tilewright.models import recurrent

    wanted = jax.eval_shape(lambda key: recurrent.initial(model.net, key), jax.random.key(0))
    zeros = np.zeros(model.net.inputs)
    pair = None if model.scaler is None else (zeros, zeros)
    shapes = {name: a.shape for name, a in _named(Model(model.net, wanted, pair)).items()}
    found = {name: np.shape(a) for name, a in _named(model).items()}
    if left or shapes != found:
        odd = sorted({*left} | {n for n in {*shapes, *found} if shapes.get(n) != found.get(n)})
        raise ArgumentError(f"{path}: {odd[0]} is not what its header says.")
    for name, array in _named(model).items():
        if not np.isfinite(array).all():
            raise ArgumentError(f"{path}: {name} holds a number that is not finite.")
