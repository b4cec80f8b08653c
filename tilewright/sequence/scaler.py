"""Scalers become part of the first and the last weights: (x - mean) / scale costs nothing then.

In: weights and what a scaler learned. Out: weights that take raw inputs and give raw targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.models.recurrent import Cell, Recurrent, Weights
from tilewright.sequence.gates import affine, single

Pair = tuple[np.ndarray, np.ndarray]
"""Offset and scale: a scaled number is (raw - offset) / scale."""


def pair_of(scaler: Any, width: int, name: str) -> Pair:
    """Offset and scale, each (width,), of a pair of them or of a fitted scikit-learn scaler.

    Knows StandardScaler (`mean_`, `scale_`), RobustScaler (`center_`, `scale_`), MinMaxScaler
    (`min_`, `scale_`) and MaxAbsScaler (`scale_`). Raises `ArgumentError` for anything else, for
    another width, and for scales that are not positive numbers.
    """
    offset, scale = _learned(scaler, name)
    offset, scale = (np.asarray(array, np.float64) for array in (offset, scale))
    for what, array in (("offset", offset), ("scale", scale)):
        if array.shape not in ((), (width,)):
            raise ArgumentError(f"{name} has an {what} of shape {array.shape}, not ({width},).")
        if not np.all(np.isfinite(array)):
            raise ArgumentError(f"{name} has an {what} that is not finite.")
    if np.any(scale <= 0):
        raise ArgumentError(f"{name} has a scale that is not above 0.")
    return np.broadcast_to(offset, (width,)), np.broadcast_to(scale, (width,))


def _learned(scaler: Any, name: str) -> tuple[Any, Any]:
    if isinstance(scaler, tuple | list) and len(scaler) == 2:
        return scaler[0], scaler[1]
    if hasattr(scaler, "data_min_") and hasattr(scaler, "min_"):  # MinMaxScaler: x scale_ + min_
        scale = 1 / np.asarray(scaler.scale_)
        return -np.asarray(scaler.min_) * scale, scale
    scale = getattr(scaler, "scale_", None)
    offsets = [getattr(scaler, field, None) for field in ("mean_", "center_")]
    if scale is None and all(offset is None for offset in offsets):
        raise ArgumentError(
            f"{name} must be a pair (offset, scale) or a fitted scaler of scikit-learn's, not "
            f"{type(scaler).__name__}."
        )
    offset = next((offset for offset in offsets if offset is not None), 0.0)
    return offset, 1.0 if scale is None else scale


def fold_input(weights: Weights, scaler: Pair) -> Weights:
    """The same net on raw inputs."""
    offset, scale = scaler
    first = tuple(_on_raw_inputs(cell, offset, scale) for cell in weights.layers[0])
    return Weights((first, *weights.layers[1:]), weights.head)


def _on_raw_inputs(cell: Cell, offset: np.ndarray, scale: np.ndarray) -> Cell:
    W = np.asarray(cell.W, np.float64) / scale[:, None]
    return cell._replace(W=single(W), b=single(cell.b - offset @ W))


def fold_output(net: Recurrent, weights: Weights, scaler: Pair) -> Weights:
    """The same net with answers in the target's own units.

    Raises `ArgumentError` where the answers come from anything but a linear layer.
    """
    if not net.head or net.head[-1].activation != "linear":
        raise ArgumentError("target_scaler needs a net whose last layer is dense and linear.")
    offset, scale = scaler
    last = weights.head[-1]
    scaled = affine(last.W * scale, last.b * scale + offset)
    return Weights(weights.layers, (*weights.head[:-1], scaled))
