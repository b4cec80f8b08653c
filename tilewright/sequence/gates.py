"""Other libraries' gates in our order, as `Cell`s.

In: matrices (gates x hidden, inputs), as PyTorch and ONNX keep them, or transposed ones; two biases
or one; what the layer is called where they come from. Out: weights as `models/recurrent.py` wants
them, float32. Raises `UnsupportedError` for arrays of other shapes, and for numbers that are not
finite, or not in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import Affine, Cell, Layer, has_own_bias

ORDERS = {
    ("torch", "lstm"): (0, 1, 2, 3),  # i f g o, as ours
    ("torch", "gru"): (0, 1, 2),  # r z n, as ours
    ("keras", "lstm"): (0, 1, 2, 3),  # i f c o
    ("keras", "gru"): (1, 0, 2),  # z r h
    ("onnx", "lstm"): (0, 2, 3, 1),  # i o f c
    ("onnx", "gru"): (1, 0, 2),  # z r h
}
"""Where each of our gates lies among theirs."""


def cell(library: str, name: str, layer: Layer, W: Any, U: Any, seen: Any, kept: Any) -> Cell:
    """`W` (inputs, gates x hidden), `U` (hidden, gates x hidden); biases of the two products."""
    order = ORDERS[library, layer.kind]
    rows = len(order) * layer.hidden
    for what, array, wanted in (
        ("input weights", W, (layer.inputs, rows)),
        ("recurrent weights", U, (layer.hidden, rows)),
        ("biases", seen, (rows,)),
        ("biases", kept, (rows,)),
    ):
        _check(f"{name}: {what} of {layer.hidden} units", array, wanted)
    W, U = (_arranged(array, order, layer.hidden) for array in (W, U))
    seen, kept = (_arranged(array, order, layer.hidden) for array in (seen, kept))
    if not has_own_bias(layer):
        return Cell(single(W), single(U), single(seen + kept))
    candidate = 2 * layer.hidden
    bias = seen + np.concatenate([kept[:candidate], np.zeros(layer.hidden)])
    return Cell(single(W), single(U), single(bias), single(kept[candidate:]))


def _arranged(array: Any, order: Sequence[int], hidden: int) -> np.ndarray:
    """The last dimension's gates in our order, in float64."""
    gates = np.asarray(array, np.float64).reshape(*np.shape(array)[:-1], len(order), hidden)
    return gates[..., list(order), :].reshape(np.shape(array))


def affine(name: str, W: Any, b: Any) -> Affine:
    """`W` (inputs, outputs)."""
    _check(f"{name}: weights", W, np.shape(W))
    _check(f"{name}: biases", b, np.shape(W)[1:])
    return Affine(single(W), single(b))


def _check(what: str, array: Any, wanted: tuple[int, ...]) -> None:
    if np.shape(array) != wanted:
        raise UnsupportedError(f"{what} have the shape {np.shape(array)}, not {wanted}.")
    with np.errstate(over="ignore"):
        sound = np.isfinite(single(array)).all()
    if not sound:
        raise UnsupportedError(f"{what} hold a number that is not finite.")


def single(array: Any) -> np.ndarray:
    """As float32, in C order."""
    return np.ascontiguousarray(array, np.float32)
