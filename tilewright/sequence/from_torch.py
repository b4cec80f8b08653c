"""PyTorch's modules and state dicts as `Model`s.

A module is also run, on random numbers: what its `forward` does beyond its layers cannot be read
off its weights, and is refused when the answers differ. A state dict holds weights alone, so
what the head reads is taken from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence import gates
from tilewright.sequence.model import Model
from tilewright.sequence.trial import matching

IGNORED = ("Dropout", "Identity", "Flatten")
CELLS = {"LSTM": "lstm", "GRU": "gru", "LSTMCell": "lstm", "GRUCell": "gru"}
HEADS = {"ReLU": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
READS = ("last step", "last state", "every step")


def from_module(module: Any, reads: str | None = None) -> Model:
    """A module of recurrent layers and a dense head, in the order of its attributes.

    Raises `UnsupportedError` for layers that do not map and for a `forward` that does more.
    """
    parts = _Parts()
    for name, part in module.named_modules():
        if not list(part.children()):
            parts.add(name or type(part).__name__, part)
    nets = [parts.net(kind) for kind in ([reads] if reads else READS)]
    return matching(nets, _weights_of(parts), lambda xs: _run(module, parts.batch_first, xs))


class _Parts:
    """Layers and dense layers, in order, with the arrays behind them."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.cells: list[tuple[Cell, ...]] = []
        self.head: list[Dense] = []
        self.affine: list[Affine] = []
        self.batch_first = False
        self.read_activation = "linear"

    def add(self, name: str, part: Any) -> None:
        kind = type(part).__name__
        if kind in CELLS:
            if self.head or self.read_activation != "linear":
                raise UnsupportedError(f"{name}: a recurrent layer after the head has begun.")
            if getattr(part, "proj_size", 0):
                raise UnsupportedError(f"{name}: proj_size={part.proj_size} does not map.")
            self.batch_first = getattr(part, "batch_first", True)
            arrays = {key: value.detach().numpy() for key, value in part.named_parameters()}
            self.recurrent(name, CELLS[kind], _cells_as_layers(arrays))
        elif kind == "Linear":
            bias = None if part.bias is None else part.bias.detach().numpy()
            self.dense(part.weight.detach().numpy(), bias)
        elif kind in HEADS and not self.head and self.layers:
            self.read_activation = HEADS[kind]
        elif kind in HEADS and self.head:
            last = self.head[-1]
            self.head[-1] = Dense(last.inputs, last.outputs, HEADS[kind])
        elif not kind.startswith(IGNORED):
            raise UnsupportedError(f"{name}: a {kind} does not map.")

    def recurrent(self, name: str, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
        """All layers of one module, by the names that PyTorch gives their arrays."""
        left = dict(arrays)
        both = any(key.endswith("_reverse") for key in left)
        level = 0
        while f"weight_ih_l{level}" in left:
            inputs = left[f"weight_ih_l{level}"].shape[1]
            hidden = left[f"weight_hh_l{level}"].shape[1]
            layer = Layer(kind, inputs, hidden, "both" if both else "forward")
            tails = ("", "_reverse") if both else ("",)
            self.cells.append(tuple(_cell(layer, left, f"l{level}{tail}") for tail in tails))
            self.layers.append(layer)
            level += 1
        if left:
            raise UnsupportedError(f"{name}: {', '.join(sorted(left))} would be left unread.")

    def dense(self, W: np.ndarray, b: np.ndarray | None) -> None:
        outputs, inputs = W.shape
        self.head.append(Dense(inputs, outputs))
        self.affine.append(gates.affine(W.T, np.zeros(outputs) if b is None else b))

    def net(self, reads: str) -> Recurrent:
        if not self.layers:
            raise UnsupportedError("The module has no LSTM or GRU.")
        return Recurrent(tuple(self.layers), tuple(self.head), reads, self.read_activation)


def _cell(layer: Layer, left: dict[str, np.ndarray], end: str) -> Cell:
    """Takes one direction's arrays out of what is left."""
    W, U = left.pop(f"weight_ih_{end}"), left.pop(f"weight_hh_{end}")
    none = np.zeros(len(W))
    biases = left.pop(f"bias_ih_{end}", none), left.pop(f"bias_hh_{end}", none)
    return gates.cell("torch", layer, W.T, U.T, *biases)


def _weights_of(parts: _Parts) -> Weights:
    return Weights(tuple(parts.cells), tuple(parts.affine))


def _run(module: Any, batch_first: bool, xs: np.ndarray) -> np.ndarray:
    """The module's own answers to (batch, steps, inputs), batch first."""
    import torch

    given = torch.from_numpy(xs if batch_first else np.ascontiguousarray(xs.swapaxes(0, 1)))
    with _at_rest(module), torch.no_grad():
        answer = module(given.to(next(module.parameters()).dtype))
    answer = answer[0] if isinstance(answer, tuple) else answer
    found = answer.float().numpy()
    return found if batch_first or found.ndim < 3 else found.swapaxes(0, 1)


@contextmanager
def _at_rest(module: Any) -> Iterator[None]:
    """Without dropout, and afterwards as it was."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)


def from_state_dict(arrays: Mapping[str, Any], reads: str | None = None) -> Model:
    """Arrays by PyTorch's names: recurrent modules in the order of the dict, then dense layers.

    Four rows a hidden unit are an LSTM's, three a GRU's; a convolution over one step is a dense
    layer. The head reads the last step unless `reads` says otherwise; activations before and
    between dense layers leave no trace in a state dict.
    """
    left = {name: _array(name, value) for name, value in arrays.items()}
    parts = _Parts()
    left = _cells_as_layers(left)
    for stem in dict.fromkeys(re.sub(r"weight_ih_l0$", "", n) for n in left if "weight_ih_l0" in n):
        stem = stem.removesuffix("weight_ih_l0_reverse")
        own = {n.removeprefix(stem): left.pop(n) for n in list(left) if _is_of(stem, n)}
        if own:
            rows, hidden = own["weight_hh_l0"].shape
            kind = {4: "lstm", 3: "gru"}.get(rows // hidden)
            if kind is None or any("weight_hr" in name for name in own):
                raise UnsupportedError(f"{stem or 'The state dict'}: not an LSTM or GRU that maps.")
            parts.recurrent(stem.rstrip(".") or "state dict", kind, own)
    for name in [name for name in left if name.endswith("weight") and _is_dense(left[name])]:
        W = left.pop(name)
        parts.dense(W.reshape(W.shape[:2]), left.pop(name.removesuffix("weight") + "bias", None))
    if left:
        raise UnsupportedError(f"{', '.join(sorted(left))} would be left unread.")
    return Model(parts.net(reads or "last step"), _weights_of(parts))


def _cells_as_layers(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """An `nn.LSTMCell` or `nn.GRUCell` is a module of one layer, whose names have no number."""
    return {re.sub(r"(^|\.)((weight|bias)_(ih|hh))$", r"\1\2_l0", n): a for n, a in arrays.items()}


def _is_of(stem: str, name: str) -> bool:
    return name.startswith(stem) and bool(
        re.fullmatch(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?", name.removeprefix(stem))
    )


def _is_dense(weight: np.ndarray) -> bool:
    return weight.ndim == 2 or (weight.ndim == 3 and weight.shape[2] == 1)


def _array(name: str, value: Any) -> np.ndarray:
    array = value.detach().float().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise UnsupportedError(f"{name}: weights of {array.dtype} do not map.")
    return np.asarray(array, np.float32)
