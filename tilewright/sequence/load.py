"""`load`: a recurrent net as PyTorch, Keras, ONNX or safetensors hold it, as a `Model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.sequence.model import Model, on_raw_inputs
from tilewright.sequence.scaler import fold_output, pair_of
from tilewright.sequence.widths import check_chain

READS = (None, "last step", "last state", "every step")


def load(
    source: Any, *, scaler: Any = None, target_scaler: Any = None, reads: str | None = None
) -> Model:
    """A trained LSTM or GRU, ready to be compiled.

    `source` is a PyTorch module or state dict, a Keras model, or the path of a `.pt`, `.keras`,
    `.onnx` or `.safetensors` file. `scaler` is what the inputs were scaled by, `target_scaler` the
    targets: (offset, scale), or a fitted scaler of scikit-learn's; they become part of the weights.
    `reads` says what the head is given where the source does not: "last step", "last state" or
    "every step".

    Raises `UnsupportedError` for what does not map and for weights that are not finite, by name and
    place; no weight of a layer is left unread. Raises `ArgumentError` for a source that is none of
    these, for a damaged file, and for `reads` that the source contradicts.
    """
    if reads not in READS:
        raise ArgumentError(f"reads must be one of {READS[1:]} or None, not {reads!r}.")
    try:
        model = _loaded(source, reads)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"This source needs {error.name}: pip install 'tilewright[sequence]'."
        ) from None
    check_chain(model.net)
    _check_reads(model, reads)
    if scaler is not None:
        model = on_raw_inputs(model, pair_of(scaler, model.net.inputs, "scaler"))
    net, weights = model.net, model.weights
    if target_scaler is not None:
        pair = pair_of(target_scaler, net.outputs, "target_scaler", backward=True)
        weights = fold_output(net, weights, pair)
    return replace(model, weights=weights)


def _loaded(source: Any, reads: str | None) -> Model:
    if isinstance(source, str | Path):
        return _from_path(Path(source), reads)
    if isinstance(source, Mapping):
        from tilewright.sequence.from_torch import from_state_dict

        return from_state_dict(source, reads)
    if hasattr(source, "named_modules"):
        from tilewright.sequence.from_torch import from_module

        return from_module(source, reads)
    if hasattr(source, "get_config") and hasattr(source, "layers"):
        from tilewright.sequence.from_keras import from_model

        return from_model(source)
    raise ArgumentError(
        "source must be a PyTorch module or state dict, a Keras model or a path, not "
        f"{type(source).__name__}."
    )


def _check_reads(model: Model, reads: str | None) -> None:
    """Of a net that runs forward the last step and the last state are one."""
    own, last = model.net.reads, ("last step", "last state")
    same = own == reads or (model.net.is_causal and own in last and reads in last)
    if reads is not None and not same:
        raise ArgumentError(f"reads={reads!r}, but the source says itself: {own!r}.")


def _from_path(path: Path, reads: str | None) -> Model:
    if not path.is_file():
        raise ArgumentError(f"There is no file {path}.")
    kind = path.suffix.lower()
    if kind == ".safetensors":
        return _from_safetensors(path, reads)
    if kind == ".keras":
        from tilewright.sequence.from_keras import from_file

        return from_file(path)
    if kind == ".onnx":
        from tilewright.sequence.from_onnx import from_file

        return from_file(path)
    if kind in (".pt", ".pth"):
        return _from_pickle(path, reads)
    raise ArgumentError(f"{path} must be a .pt, .pth, .keras, .onnx or .safetensors file.")


def _from_safetensors(path: Path, reads: str | None) -> Model:
    from tilewright.sequence import files
    from tilewright.sequence.from_torch import from_state_dict

    arrays, header = files.read(path)
    if files.is_ours(header):
        return files.parsed(path, arrays, header)
    return from_state_dict(arrays, reads, ordered=False)


def _from_pickle(path: Path, reads: str | None) -> Model:
    """A state dict that `torch.save` wrote; one that would run code is refused."""
    from pickle import UnpicklingError

    import torch

    from tilewright.sequence.from_torch import from_state_dict

    try:
        arrays = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError, ValueError):
        # PyTorch's own words say how to run what the file holds: not here.
        raise ArgumentError(
            f"{path} is not a file of PyTorch weights alone, as torch.save(net.state_dict(), path) "
            "leaves."
        ) from None
    if not isinstance(arrays, Mapping):
        raise ArgumentError(f"{path} holds a {type(arrays).__name__}, not a state dict.")
    return from_state_dict(arrays, reads)
