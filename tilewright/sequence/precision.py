"""What precision a net's products are in, and the error that it costs, against float64.

    float32     as the weights are
    bfloat16    weights are rounded to 8 bits of mantissa, sums stay in float32
    bfloat16x16 what meets them, too: twice as fast on many rows, where pairs are multiplied at once
                (AVX512-BF16); the same bits elsewhere
    int8        weights are 8-bit integers, a scale for each output's; what meets them 16-bit ones
    int8x8      what meets them are 8-bit integers, too: about as fast with AVX2, faster with VNNI

In: weights, a name. Out: the same weights in that precision, for the same functions of
`models/recurrent.py`: products are all that changes. Biases, gates, states and the head stay in
float32. States lie within 1, so a fixed scale holds them in 16 bits; 8 are few for that, and all
other rows have a scale each, as they come. Inputs that weights have a scaler for are scaled before
they are rounded: the largest feature of a row would hide all others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.models import recurrent
from tilewright.models.quantised import quantised
from tilewright.models.recurrent import Cell, Recurrent, Weights
from tilewright.models.rounded import rounded
from tilewright.models.scaled import Scaled
from tilewright.sequence.gates import single
from tilewright.sequence.scaler import Pair, apart

PRECISIONS = ("float32", "bfloat16", "bfloat16x16", "int8", "int8x8")
FASTEST_FIRST = ("int8x8", "int8", "bfloat16x16", "bfloat16", "float32")
_ROWS = {"int8": "int16", "int8x8": "int8"}


@frozen
class Error:
    """Against the same net in float64: the largest, and the root mean square over the deviation of
    the answers."""

    maximum: float
    rms: float

    def __str__(self) -> str:
        return f"at most {self.maximum:.2g}, {self.rms:.2%} of the answers' deviation (rms)"


def in_precision(weights: Weights, precision: str, scaler: Pair | None = None) -> Weights:
    """`scaler` is in the weights of the first layer. What is rounded is behind it.

    Raises `ArgumentError` for a name that is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(f"precision must be one of {PRECISIONS}, not {precision!r}.")
    if precision == "float32":
        return weights
    within = 1.0 if precision == "int8" else None
    seen = _rounding(precision, None)
    cell = partial(_cell, seen=seen, kept=_rounding(precision, within))
    layers = [tuple(map(cell, layer)) for layer in weights.layers]
    if scaler is not None:
        behind = partial(_behind, scaler=scaler, seen=seen)
        layers[0] = tuple(map(behind, layers[0], weights.layers[0]))
    return weights._replace(layers=tuple(layers))


def _cell(cell: Cell, seen: Callable[[Any], Any], kept: Callable[[Any], Any]) -> Cell:
    return cell._replace(W=seen(cell.W), U=kept(cell.U))


def _behind(cell: Cell, whole: Cell, scaler: Pair, seen: Callable[[Any], Any]) -> Cell:
    """The cell with its scaler before its product, not in it."""
    W, b = apart(whole, scaler)
    offset, scale = scaler
    return cell._replace(W=Scaled(single(offset), single(1 / scale), seen(W)), b=b)


def law_of(precision: str) -> str | None:
    """The order of sums that a precision is for (`graph/law.py`); None: the host's."""
    return "pairs" if precision == "bfloat16x16" else None


def _rounding(precision: str, within: float | None) -> Callable[[Any], Any]:
    if precision == "bfloat16":
        from ml_dtypes import bfloat16

        return lambda matrix: np.asarray(matrix).astype(bfloat16)
    if precision == "bfloat16x16":
        return rounded
    return lambda matrix: quantised(matrix, _ROWS[precision], within)


def exact(net: Recurrent, weights: Weights, xs: np.ndarray) -> np.ndarray:
    """The answers to windows (batch, steps, inputs) in float64, through XLA."""
    import jax

    with jax.enable_x64(True):
        wide = jax.tree.map(lambda array: np.asarray(array, np.float64), weights)
        run = jax.jit(partial(recurrent.window, net))
        return np.asarray(run(wide, np.asarray(xs, np.float64)))


def error(found: np.ndarray, wanted: np.ndarray) -> Error:
    """Of answers. Raises `ArgumentError` where all of those wanted are equal."""
    deviation = float(np.std(wanted))
    if not deviation > 0:
        raise ArgumentError("Answers to these data are all equal: no error can be set against it.")
    apart = found - wanted
    return Error(float(np.max(np.abs(apart))), float(np.sqrt(np.mean(apart**2))) / deviation)


def checked(data: Any, inputs: int) -> np.ndarray:
    """Windows (batch, steps, inputs) as float32. Raises `ArgumentError` for anything else."""
    try:
        xs = np.asarray(data)
        xs = xs.astype(np.float32) if xs.dtype.kind in "fiub" else None
    except ValueError:
        xs = None
    if xs is None:
        raise ArgumentError("data must be an array of numbers.")
    if xs.ndim != 3 or xs.shape[2] != inputs or not xs.size:
        raise ArgumentError(f"data must have the shape (batch, steps, {inputs}), not {xs.shape}.")
    if not np.isfinite(xs).all():
        raise ArgumentError("data hold numbers that are not finite.")
    return xs
