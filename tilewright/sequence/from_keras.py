"""Keras 3 files (`.keras`) and models as `Model`s, without Keras: a file is read as what it is.

A `.keras` file is a ZIP of config.json (layers and options) and model.weights.h5, where arrays lie
under `layers/<class>[_n]`, counted by class in the order of the layers.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import ACTIVATIONS, Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence import gates
from tilewright.sequence.model import Model
from tilewright.sequence.scaler import fold_input

IGNORED = ("InputLayer", "Dropout", "Flatten")
WANTED: Mapping[str, Any] = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "return_state": False,
}
"""Options of a recurrent layer that must be so. (`stateful` only says how a caller runs it.)"""

Arrays = Callable[[str], list[np.ndarray]]
"""The arrays of a layer or of a part of one, by its place in the file."""


def from_file(path: Path) -> Model:
    """Raises `UnsupportedError` for what does not map, named by layer and option."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UnsupportedError(f"{path} is not a Keras 3 file: {error}.") from None
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        return _from_config(config, lambda place: _vars(file, place))


def from_model(model: Any) -> Model:
    """A model in memory, through a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return from_file(path)


def _vars(file: Any, place: str) -> list[np.ndarray]:
    group = file.get(f"layers/{place}/vars")
    return [] if group is None else [np.asarray(group[str(i)]) for i in range(len(group))]


def _from_config(config: Mapping[str, Any], arrays: Arrays) -> Model:
    listed = config["config"].get("layers", [])
    _check_is_chain(config["class_name"], listed)
    chain = _Chain(arrays)
    counts: Counter[str] = Counter()
    for entry in listed:
        stem = _snake(entry["class_name"])
        place = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        chain.add(entry["class_name"], entry["config"], place)
    return chain.model()


def _snake(name: str) -> str:
    """`TimeDistributed` to `time_distributed`, `LSTM` to `lstm`."""
    import re

    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _check_is_chain(kind: str, layers: Sequence[Mapping[str, Any]]) -> None:
    if kind == "Sequential":
        return
    if kind != "Functional":
        raise UnsupportedError(f"A Keras {kind} does not map: a Sequential or Functional does.")
    before = None
    for entry in layers:
        sources = json.dumps(entry.get("inbound_nodes", [])).count('"keras_history"')
        wanted = f'"keras_history": ["{before}", 0, 0]'
        if before is not None and (
            sources != 1 or wanted not in json.dumps(entry["inbound_nodes"])
        ):
            raise UnsupportedError(f"{entry['config']['name']} does not follow {before} alone.")
        before = entry["config"]["name"]


class _Chain:
    """Layers, one after the other."""

    def __init__(self, arrays: Arrays):
        self.arrays = arrays
        self.layers: list[Layer] = []
        self.cells: list[tuple[Cell, ...]] = []
        self.head: list[Dense] = []
        self.affine: list[Affine] = []
        self.read_activation = "linear"
        self.steps: bool | None = None  # whether what comes next is given every step
        self.width: int | None = None
        self.scaler: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, kind: str, config: Mapping[str, Any], place: str) -> None:
        name = config["name"]
        if kind in ("LSTM", "GRU"):
            self._recurrent(name, kind.lower(), config, [f"{place}/cell"], "forward")
        elif kind == "Bidirectional":
            self._both(name, config, place)
        elif kind == "Dense":
            self._dense(config, place)
        elif kind == "TimeDistributed" and config["layer"]["class_name"] == "Dense":
            self._dense(config["layer"]["config"], f"{place}/layer")
        elif kind == "Normalization" and not self.layers:
            self.scaler = self._normalization(name, config, place)
        elif kind == "Activation":
            self._activation(name, config["activation"])
        elif kind not in IGNORED:
            raise UnsupportedError(f"{name}: a Keras {kind} does not map.")

    def _recurrent(
        self, name: str, kind: str, config: Mapping[str, Any], places: list[str], directions: str
    ) -> None:
        for option, wanted in WANTED.items():
            if config.get(option, wanted) != wanted:
                raise UnsupportedError(f"{name}: {option}={config[option]!r} does not map.")
        if self.head or self.steps is False or self.read_activation != "linear":
            raise UnsupportedError(
                f"{name} comes after a layer that does not give every step as it is."
            )
        reset = "after" if config.get("reset_after", True) else "before"
        arrays = [self.arrays(place) for place in places]
        inputs, hidden = arrays[0][0].shape[0], config["units"]
        layer = Layer(kind, inputs, hidden, directions, reset)
        self.layers.append(layer)
        self.cells.append(tuple(_cell(name, layer, own) for own in arrays))
        self.steps = config["return_sequences"]

    def _both(self, name: str, config: Mapping[str, Any], place: str) -> None:
        inner, backward = config["layer"], config.get("backward_layer") or config["layer"]
        if config["merge_mode"] != "concat":
            raise UnsupportedError(f"{name}: merge_mode={config['merge_mode']!r} does not map.")
        kinds = {inner["class_name"], backward["class_name"]}
        if kinds not in ({"LSTM"}, {"GRU"}):
            raise UnsupportedError(f"{name}: a bidirectional {' and '.join(kinds)} does not map.")
        places = [f"{place}/{way}_layer/cell" for way in ("forward", "backward")]
        kind = inner["class_name"].lower()
        self._recurrent(name, kind, inner["config"], places, "both")

    def _dense(self, config: Mapping[str, Any], place: str) -> None:
        W, *bias = self.arrays(place)
        if config["activation"] not in ACTIVATIONS:
            raise UnsupportedError(
                f"{config['name']}: activation={config['activation']!r} does not map."
            )
        if not self.layers:
            raise UnsupportedError(f"{config['name']}: a dense layer before any recurrent one.")
        inputs, outputs = W.shape
        self.head.append(Dense(inputs, outputs, config["activation"]))
        self.affine.append(
            gates.affine(config["name"], W, bias[0] if bias else np.zeros(W.shape[1]))
        )

    def _activation(self, name: str, activation: Any) -> None:
        """After a dense layer, or before the head."""
        before = self.head[-1].activation if self.head else self.read_activation
        if activation == "linear":
            return
        if activation not in ACTIVATIONS or before != "linear" or not self.layers:
            raise UnsupportedError(f"{name}: activation={activation!r} does not map there.")
        if self.head:
            self.head[-1] = replace(self.head[-1], activation=activation)
        else:
            self.read_activation = activation

    def _normalization(
        self, name: str, config: Mapping[str, Any], place: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """(x - mean) / deviation, as Keras keeps a variance of at least 1e-7 squared."""
        if config.get("invert"):
            raise UnsupportedError(f"{name}: invert=True does not map.")
        stored = self.arrays(place)
        mean, variance = stored[:2] if stored else (config["mean"], config["variance"])
        deviation = np.maximum(np.sqrt(np.asarray(variance, np.float64).ravel()), 1e-7)
        return np.asarray(mean, np.float64).ravel(), deviation

    def model(self) -> Model:
        if not self.layers:
            raise UnsupportedError("The Keras model has no LSTM or GRU.")
        net = Recurrent(
            tuple(self.layers),
            tuple(self.head),
            "every step" if self.steps else "last state",
            self.read_activation,
        )
        weights = Weights(tuple(self.cells), tuple(self.affine))
        if self.scaler is not None:
            weights = fold_input(weights, self.scaler)
        return Model(net, weights)


def _cell(name: str, layer: Layer, arrays: Sequence[np.ndarray]) -> Cell:
    W, U, *bias = arrays
    none = np.zeros(W.shape[1])
    seen, kept = (none, none) if not bias else bias[0] if bias[0].ndim == 2 else (bias[0], none)
    return gates.cell("keras", name, layer, W, U, seen, kept)
