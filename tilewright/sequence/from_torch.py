"""PyTorch's modules and state dicts as `Model`s.

A module is also run, on random numbers: what its `forward` does beyond its layers cannot be read
off its weights, and is refused when the answers differ. A state dict holds weights alone, so
what the head reads is taken from the caller.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tilewright import doubts
from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence import gates
from tilewright.sequence.model import Model
from tilewright.sequence.order import Widths, in_order
from tilewright.sequence.trial import matching

IGNORED = ("Dropout", "Identity", "Flatten")
CELLS = {"LSTM": "lstm", "GRU": "gru", "LSTMCell": "lstm", "GRUCell": "gru"}
HEADS = {"ReLU": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
READS = ("last step", "last state", "every step")
_AXES = {True: "(batch, steps, inputs)", False: "(steps, batch, inputs)"}


def from_module(module: Any, reads: str | None = None) -> Model:
    """A module of recurrent layers and a dense head, each in the order of its attributes.

    Raises `UnsupportedError` for layers that do not map and for a `forward` that does more. A
    parameter of the module's own is left out where answers do not show it, with a `DataWarning`.
    """
    parts = _Parts()
    leaves = [(name, part) for name, part in module.named_modules() if not list(part.children())]
    for name, part in sorted(leaves, key=lambda leaf: type(leaf[1]).__name__ not in CELLS):
        parts.add(name or type(part).__name__, part)
    nets = [parts.net(kind) for kind in ([reads] if reads else READS)]
    model = matching(nets, _weights_of(parts), lambda xs: _run(module, parts.batch_first, xs))
    read = {id(value) for _, part in leaves for value in part.parameters()}
    unread = [name for name, value in module.named_parameters() if id(value) not in read]
    if unread:
        doubts.say(f"{', '.join(unread)}: left unread, as the module's answers do not show it.")
    return model


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
            if getattr(part, "proj_size", 0):
                raise UnsupportedError(f"{name}: proj_size={part.proj_size} does not map.")
            self.batch_first = getattr(part, "batch_first", True)
            arrays = {key: _array(key, value) for key, value in part.named_parameters()}
            self.recurrent(name, CELLS[kind], _cells_as_layers(arrays))
        elif kind == "Linear":
            bias = None if part.bias is None else _array(f"{name}.bias", part.bias)
            self.dense(name, _array(f"{name}.weight", part.weight), bias)
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
            _check_matrices(name, left, level, both)
            inputs = left[f"weight_ih_l{level}"].shape[1]
            hidden = left[f"weight_hh_l{level}"].shape[1]
            layer = Layer(kind, inputs, hidden, "both" if both else "forward")
            tails = ("", "_reverse") if both else ("",)
            self.cells.append(tuple(_cell(name, layer, left, f"l{level}{tail}") for tail in tails))
            self.layers.append(layer)
            level += 1
        if left:
            raise UnsupportedError(f"{name}: {', '.join(sorted(left))} would be left unread.")

    def dense(self, name: str, W: np.ndarray, b: np.ndarray | None) -> None:
        outputs, inputs = W.shape
        self.head.append(Dense(inputs, outputs))
        self.affine.append(gates.affine(name, W.T, np.zeros(outputs) if b is None else b))

    def net(self, reads: str) -> Recurrent:
        if not self.layers:
            raise UnsupportedError("The module has no LSTM or GRU.")
        return Recurrent(tuple(self.layers), tuple(self.head), reads, self.read_activation)


def _check_matrices(name: str, arrays: Mapping[str, np.ndarray], level: int, both: bool) -> None:
    """Of one layer all are there."""
    for tail in ("", "_reverse") if both else ("",):
        for kind in ("weight_ih", "weight_hh"):
            key = f"{kind}_l{level}{tail}"
            if key not in arrays or arrays[key].ndim != 2:
                raise UnsupportedError(f"{name}: there is no matrix {key}.")


def _cell(name: str, layer: Layer, left: dict[str, np.ndarray], end: str) -> Cell:
    """Takes one direction's arrays out of what is left."""
    W, U = left.pop(f"weight_ih_{end}"), left.pop(f"weight_hh_{end}")
    none = np.zeros(len(W))
    biases = left.pop(f"bias_ih_{end}", none), left.pop(f"bias_hh_{end}", none)
    return gates.cell("torch", name, layer, W.T, U.T, *biases)


def _weights_of(parts: _Parts) -> Weights:
    return Weights(tuple(parts.cells), tuple(parts.affine))


def _run(module: Any, batch_first: bool, xs: np.ndarray) -> np.ndarray:
    """The module's own answers to (batch, steps, inputs), batch first."""
    import torch

    dtype = next(module.parameters()).dtype
    if dtype in (torch.float16, torch.bfloat16):  # whose own sums would round more than ours
        module, dtype = copy.deepcopy(module).float(), torch.float32
    given = torch.from_numpy(xs if batch_first else np.ascontiguousarray(xs.swapaxes(0, 1)))
    try:
        with _at_rest(module), torch.no_grad():
            answer = module(given.to(dtype))
    except Exception as error:  # whatever a forward may raise
        raise UnsupportedError(
            f"The module does not answer {tuple(given.shape)}, {_AXES[batch_first]}, alone: "
            f"{_first_line(error)}. Give its state_dict()."
        ) from error
    answer = answer[0] if isinstance(answer, tuple) else answer
    if not isinstance(answer, torch.Tensor):
        raise UnsupportedError(
            f"The module's forward gives a {type(answer).__name__}, not a tensor of answers."
        )
    found = answer.float().numpy()
    return found if batch_first or found.ndim < 3 else found.swapaxes(0, 1)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _at_rest(module: Any) -> Iterator[None]:
    """Without dropout, and afterwards as it was."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)


def from_state_dict(
    arrays: Mapping[str, Any], reads: str | None = None, *, ordered: bool = True
) -> Model:
    """Arrays by PyTorch's names: recurrent modules in the order of the dict, then dense layers.

    Four rows a hidden unit are an LSTM's, three a GRU's; a convolution over one step is a dense
    layer. The head reads the last step unless `reads` says otherwise; activations before and
    between dense layers leave no trace in a state dict. Where arrays are not `ordered`, the order
    is that in which they fit together.
    """
    left = _cells_as_layers({str(name): _array(name, value) for name, value in arrays.items()})
    places = {name: place for place, name in enumerate(left)}
    parts, recurrent = _Parts(), _taken_modules(left)
    dense = [name for name in left if name.endswith("weight") and _is_dense(left[name])]
    if not ordered:
        recurrent = {name: recurrent[name] for name in in_order(_module_widths(recurrent))}
    else:
        _check_none_in_front(left, dense, recurrent, places)
    for stem, own in recurrent.items():
        parts.recurrent(_shown(stem), _kind(stem, own), own)
    if not ordered and parts.layers:
        widths = {name: (left[name].shape[1], left[name].shape[0]) for name in dense}
        dense = in_order(widths, parts.layers[-1].outputs)
    for name in dense:
        W = left.pop(name)
        bias = left.pop(name.removesuffix("weight") + "bias", None)
        parts.dense(name.removesuffix(".weight"), W.reshape(W.shape[:2]), bias)
    if left:
        raise UnsupportedError(f"{', '.join(sorted(left))} would be left unread.")
    return Model(parts.net(reads or "last step"), _weights_of(parts))


def _taken_modules(left: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of each recurrent module, by what their names begin with, out of what is left."""
    found = {}
    for stem in dict.fromkeys(re.sub(r"weight_ih_l0$", "", n) for n in left if "weight_ih_l0" in n):
        stem = stem.removesuffix("weight_ih_l0_reverse")
        own = {n.removeprefix(stem): left.pop(n) for n in list(left) if _is_of(stem, n)}
        if own:
            _check_matrices(_shown(stem), own, 0, both=False)
            found[stem] = own
    return found


def _check_none_in_front(
    left: Mapping[str, np.ndarray],
    dense: Iterable[str],
    modules: Mapping[str, Mapping[str, np.ndarray]],
    places: Mapping[str, int],
) -> None:
    """A dense layer may be noted before a recurrent one that it comes after, but not where it
    gives what that one takes."""
    for stem, own in modules.items():
        place, takes = min(places[stem + name] for name in own), own["weight_ih_l0"].shape[1]
        for name in dense:
            if places[name] < place and len(left[name]) == takes:
                raise UnsupportedError(
                    f"{name}: a dense layer before a recurrent one does not map. If it comes after "
                    "it, give the module."
                )


def _module_widths(modules: Mapping[str, Mapping[str, np.ndarray]]) -> Widths:
    ways = {stem: 1 + any(n.endswith("_reverse") for n in own) for stem, own in modules.items()}
    return {
        stem: (own["weight_ih_l0"].shape[1], own["weight_hh_l0"].shape[1] * ways[stem])
        for stem, own in modules.items()
    }


def _kind(stem: str, own: Mapping[str, np.ndarray]) -> str:
    rows, hidden = own["weight_hh_l0"].shape
    kind = {4: "lstm", 3: "gru"}.get(rows // max(1, hidden))
    if kind is None or any("weight_hr" in name for name in own):
        raise UnsupportedError(f"{_shown(stem)}: not an LSTM or GRU that maps.")
    return kind


def _shown(stem: str) -> str:
    return stem.rstrip(".") or "The state dict"


def _cells_as_layers(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """An `nn.LSTMCell` or `nn.GRUCell` is a module of one layer, whose names have no number."""
    return {re.sub(r"(^|\.)((weight|bias)_(ih|hh))$", r"\1\2_l0", n): a for n, a in arrays.items()}


def _is_of(stem: str, name: str) -> bool:
    return name.startswith(stem) and bool(
        re.fullmatch(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?", name.removeprefix(stem))
    )


def _is_dense(weight: np.ndarray) -> bool:
    return weight.ndim == 2 or (weight.ndim == 3 and weight.shape[2] == 1)


def _array(name: object, value: Any) -> np.ndarray:
    if getattr(value, "is_meta", False):
        raise UnsupportedError(f"{name}: a tensor without values does not map.")
    try:  # NumPy has no bfloat16
        is_float = hasattr(value, "detach") and value.is_floating_point()
        array = np.asarray(value.detach().float().cpu() if is_float else value)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        kind = type(value).__name__ if array.dtype == object else array.dtype
        raise UnsupportedError(f"{name}: weights of {kind} do not map.")
    return np.asarray(array, np.float32)
