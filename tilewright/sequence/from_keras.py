"""Keras 3 files (`.keras`) and models as `Model`s, without Keras: a file is read as what it is.

A `.keras` file is a ZIP of config.json (layers and options) and model.weights.h5, where arrays lie
under `layers/<class>[_n]`, counted by class in the order of the layers.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.models.recurrent import ACTIVATIONS, Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence import gates
from tilewright.sequence.model import Model, on_raw_inputs
from tilewright.sequence.scaler import one_after_other

IGNORED = ("InputLayer", "Dropout")
WANTED: Mapping[str, Any] = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "return_state": False,
}
"""Options of a recurrent layer that must be so. (`stateful` only says how a caller runs it.)"""

ALIKE = ("units", "reset_after", "return_sequences", "use_bias")
"""Options that both directions of a layer must have alike."""

Arrays = Callable[[str, Sequence[int]], list[np.ndarray]]
"""The arrays of a layer or of a part of one, by its place in the file, and how many they may be."""


def from_file(path: Path) -> Model:
    """Raises `UnsupportedError` for what does not map, named by layer and option, `ArgumentError`
    for a damaged file."""
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(weights), "r") as file:
            stored = _Stored(file)
            model = _from_config(config, stored.taken)
            stored.check_all_taken()
            return model
    except ArgumentError:
        raise
    # What a ZIP, JSON, HDF5 and a configuration without its fields raise.
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError, TypeError,
        ValueError, AttributeError, OSError,
    ) as error:  # fmt: skip
        raise ArgumentError(f"{path} is not a Keras 3 file: {error}.") from None


def from_model(model: Any) -> Model:
    """A model in memory, through a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return from_file(path)


class _Stored:
    """The arrays in a file, and which of them have been taken."""

    def __init__(self, file: Any):
        self.left: dict[str, Any] = {}
        file.visititems(self._note)

    def _note(self, place: str, found: Any) -> None:
        """Seeds are of dropout, an optimizer's arrays lie elsewhere."""
        if hasattr(found, "shape") and place.startswith("layers/") and "/seed_gen" not in place:
            self.left[place] = found

    def taken(self, place: str, counts: Sequence[int]) -> list[np.ndarray]:
        group = f"layers/{place}/vars/"
        names = sorted(
            (n for n in self.left if n.startswith(group)), key=lambda n: int(n[len(group) :])
        )
        arrays = [np.asarray(self.left.pop(name)) for name in names]
        if len(arrays) not in counts:
            raise UnsupportedError(f"{place} has {len(arrays)} arrays, not {counts[0]}.")
        for array in arrays:
            if array.dtype.kind != "f" and array.ndim:  # a count of what was seen is a number
                raise UnsupportedError(f"{place}: weights of {array.dtype} do not map.")
        return arrays

    def check_all_taken(self) -> None:
        if self.left:
            raise UnsupportedError(f"{', '.join(sorted(self.left))} would be left unread.")


def _from_config(config: Mapping[str, Any], arrays: Arrays) -> Model:
    listed = config["config"].get("layers", [])
    _check_is_chain(config["class_name"], config["config"], listed)
    chain = _Chain(arrays)
    counts: Counter[str] = Counter()
    for entry in listed:
        _check_is_kerass(entry)
        stem = _snake(entry["class_name"])
        place = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        chain.add(entry["class_name"], entry["config"], place)
    return chain.model()


def _snake(name: str) -> str:
    """`TimeDistributed` to `time_distributed`, `LSTM` to `lstm`."""
    import re

    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _check_is_kerass(entry: Mapping[str, Any]) -> None:
    """Not somebody's class of the same name; nor are the layers in it."""
    registered, module = entry.get("registered_name") or "", entry.get("module") or "keras"
    if ">" in registered or module.split(".")[0] != "keras":
        kind = registered if ">" in registered else f"{module}.{entry['class_name']}"
        raise UnsupportedError(f"{entry['config']['name']}: a {kind} does not map.")
    for inner in ("layer", "backward_layer"):
        if isinstance(entry["config"].get(inner), Mapping):
            _check_is_kerass(entry["config"][inner])


def _check_is_chain(
    kind: str, config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]
) -> None:
    if kind == "Sequential":
        return
    if kind != "Functional":
        raise UnsupportedError(f"A Keras {kind} does not map: a Sequential or Functional does.")
    before = None
    for entry in layers:
        nodes = json.dumps(entry.get("inbound_nodes", []))
        wanted = f'"keras_history": ["{before}", 0, 0]'
        if before is not None and (nodes.count('"keras_history"') != 1 or wanted not in nodes):
            raise UnsupportedError(f"{entry['config']['name']} does not follow {before} alone.")
        if '"training": true' in nodes:
            raise UnsupportedError(f"{entry['config']['name']}: training=True does not map.")
        before = entry["config"]["name"]
    ends = config["output_layers"]
    if ends not in ([before, 0, 0], [[before, 0, 0]]):
        raise UnsupportedError(
            f"The model's output is not that of {before}, its last layer, alone."
        )


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
            self._normalization(name, config, place)
        elif kind == "Flatten" and self.steps is False:
            return
        elif kind == "Activation":
            self._activation(name, config["activation"])
        elif kind not in IGNORED:
            raise UnsupportedError(f"{name}: a Keras {kind} does not map.")

    def _recurrent(
        self, name: str, kind: str, config: Mapping[str, Any], places: list[str], directions: str
    ) -> None:
        _check_options(name, config, WANTED)
        if self.head or self.steps is False or self.read_activation != "linear":
            raise UnsupportedError(
                f"{name} comes after a layer that does not give every step as it is."
            )
        reset = "after" if config.get("reset_after", True) else "before"
        counts = [3 if config.get("use_bias", True) else 2]
        arrays = [self.arrays(place, counts) for place in places]
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
        same = {option: inner["config"][option] for option in ALIKE if option in inner["config"]}
        wanted = {**WANTED, **same, "go_backwards": True}
        _check_options(f"{name}'s backward layer", backward["config"], wanted)
        places = [f"{place}/{way}_layer/cell" for way in ("forward", "backward")]
        kind = inner["class_name"].lower()
        self._recurrent(name, kind, inner["config"], places, "both")

    def _dense(self, config: Mapping[str, Any], place: str) -> None:
        name, activation = config["name"], _activation(config["activation"])
        if activation not in ACTIVATIONS:
            raise UnsupportedError(f"{name}: activation={activation!r} does not map.")
        if not self.layers:
            raise UnsupportedError(f"{name}: a dense layer before any recurrent one.")
        W, *bias = self.arrays(place, [2 if config.get("use_bias", True) else 1])
        inputs, outputs = W.shape
        self.head.append(Dense(inputs, outputs, activation))
        self.affine.append(gates.affine(name, W, bias[0] if bias else np.zeros(outputs)))

    def _activation(self, name: str, given: Any) -> None:
        """After a dense layer, or before the head."""
        activation = _activation(given)
        before = self.head[-1].activation if self.head else self.read_activation
        if activation == "linear":
            return
        if activation not in ACTIVATIONS or before != "linear" or not self.layers:
            raise UnsupportedError(f"{name}: activation={activation!r} does not map there.")
        if self.head:
            self.head[-1] = replace(self.head[-1], activation=activation)
        else:
            self.read_activation = activation

    def _normalization(self, name: str, config: Mapping[str, Any], place: str) -> None:
        """(x - mean) / deviation, as Keras keeps a variance of at least 1e-7 squared; after what
        was before it."""
        if config.get("invert"):
            raise UnsupportedError(f"{name}: invert=True does not map.")
        axis = np.ravel(() if config["axis"] is None else config["axis"]).tolist()
        if axis not in ([], [-1], [2]):
            raise UnsupportedError(f"{name}: axis={axis} does not map: that of the features does.")
        stored = self.arrays(place, [3, 0])
        mean, variance = stored[:2] if stored else (config["mean"], config["variance"])
        offset = np.asarray(mean, np.float64).ravel()
        scale = np.maximum(np.sqrt(np.asarray(variance, np.float64).ravel()), 1e-7)
        own = offset, scale
        self.scaler = own if self.scaler is None else one_after_other(self.scaler, own)

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
            offset, scale = (np.broadcast_to(array, (net.inputs,)) for array in self.scaler)
            return on_raw_inputs(Model(net, weights), (offset, scale))
        return Model(net, weights)


def _check_options(name: str, config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """An option that is not there is as it should be."""
    for option, wanted in options.items():
        if config.get(option, wanted) != wanted:
            raise UnsupportedError(f"{name}: {option}={config[option]!r} does not map.")


def _activation(given: Any) -> Any:
    """Its name; a function or a layer of somebody's own is described."""
    if isinstance(given, Mapping):
        return given.get("class_name", "a function")
    return given or "linear"


def _cell(name: str, layer: Layer, arrays: Sequence[np.ndarray]) -> Cell:
    W, U, *bias = arrays
    none = np.zeros(W.shape[1])
    seen, kept = (none, none) if not bias else bias[0] if bias[0].ndim == 2 else (bias[0], none)
    return gates.cell("keras", name, layer, W, U, seen, kept)
