"""Scalers become part of the first and the last weights: (x - mean) / scale costs nothing then.

In: weights and what a scaler learned. Out: weights that take raw inputs and give raw targets.

A scaler that can be called is also tried: one that does more than move and scale (that clips, or
turns features round) has no place in weights, and is refused.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.models.recurrent import Cell, Recurrent, Weights
from tilewright.sequence.gates import affine, single

Pair = tuple[np.ndarray, np.ndarray]
"""Offset and scale: a scaled number is (raw - offset) / scale."""

TOLERANCE = 1e-5
"""Of a scaler that learned in float32."""


def pair_of(scaler: Any, width: int, name: str, *, backward: bool = False) -> Pair:
    """Offset and scale, each (width,), of a pair of them or of a fitted scikit-learn scaler.

    Knows StandardScaler (`mean_`, `scale_`), RobustScaler (`center_`, `scale_`), MinMaxScaler
    (`min_`, `scale_`) and MaxAbsScaler (`scale_`). `backward`: what counts is how it brings scaled
    numbers back. Raises `ArgumentError` for anything else, for another width, for scales that are
    not positive numbers, and for a scaler that does more.
    """
    offset, scale = (_numbers(given, width, name) for given in _learned(scaler, name))
    if np.any(scale <= 0):
        raise ArgumentError(f"{name} has a scale that is not above 0.")
    _try(scaler, (offset, scale), name, backward)
    return offset, scale


def _numbers(given: Any, width: int, name: str) -> np.ndarray:
    """(width,), in float64."""
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} has an offset or a scale that is no number.") from None
    if array.shape not in ((), (width,)):
        raise ArgumentError(
            f"{name} has an offset or a scale of shape {array.shape}, not ({width},)."
        )
    if not np.all(np.isfinite(array)):
        raise ArgumentError(f"{name} has an offset or a scale that is not finite.")
    return np.broadcast_to(array, (width,))


def _learned(scaler: Any, name: str) -> tuple[Any, Any]:
    if isinstance(scaler, tuple | list) and len(scaler) == 2:
        return scaler[0], scaler[1]
    if hasattr(scaler, "data_min_") and hasattr(scaler, "min_"):  # MinMaxScaler: x scale_ + min_
        scale = 1 / np.asarray(scaler.scale_)
        return -np.asarray(scaler.min_) * scale, scale
    learned = {field for field in ("mean_", "center_", "scale_") if hasattr(scaler, field)}
    if not learned:
        raise ArgumentError(
            f"{name} must be a pair (offset, scale) or a fitted scaler of scikit-learn's, not "
            f"{type(scaler).__name__}."
        )
    # StandardScaler learns a mean even where it does not take it away.
    offsets = [getattr(scaler, field, None) for field in ("mean_", "center_")]
    is_moved = getattr(scaler, "with_mean", True)
    offset = next((offset for offset in offsets if offset is not None and is_moved), 0.0)
    scale = getattr(scaler, "scale_", None)
    return offset, 1.0 if scale is None else scale


def _try(scaler: Any, pair: Pair, name: str, backward: bool) -> None:
    """On rows that lie near, and far out."""
    run = getattr(scaler, "inverse_transform" if backward else "transform", None)
    if run is None:
        return
    offset, scale = pair
    random = np.random.default_rng(0)
    scaled = random.normal(size=(8, len(offset))) * np.geomspace(0.1, 1e3, 8)[:, None]
    raw = scaled * scale + offset
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of columns, which rows of numbers have not
        try:
            found = np.asarray(run(scaled if backward else raw), np.float64)
        except Exception as error:  # whatever somebody's own scaler may raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise ArgumentError(
                f"{name} does not take rows of {len(offset)} numbers ({first}): give a pair "
                "(offset, scale)."
            ) from error
    wanted, unit = (raw, scale) if backward else (scaled, 1.0)
    within = TOLERANCE * (np.abs(scaled) + 1 + np.abs(offset) / scale) * unit
    if found.shape != wanted.shape or not np.all(np.abs(found - wanted) <= within):
        raise ArgumentError(
            f"{name} does more than (x - offset) / scale (a {type(scaler).__name__} that clips or "
            "mixes features): it has no place in weights."
        )


def one_after_other(first: Pair, second: Pair) -> Pair:
    """What two scalers do, as one."""
    offset, scale = first
    return offset + second[0] * scale, scale * second[1]


def fold_input(weights: Weights, scaler: Pair) -> Weights:
    """The same net on raw inputs. Raises `ArgumentError` for weights that are then infinite."""
    offset, scale = scaler
    first = tuple(_on_raw_inputs(cell, offset, scale) for cell in weights.layers[0])
    return Weights((first, *weights.layers[1:]), weights.head)


def _on_raw_inputs(cell: Cell, offset: np.ndarray, scale: np.ndarray) -> Cell:
    W = np.asarray(cell.W, np.float64) / scale[:, None]
    with np.errstate(over="ignore"):
        folded = cell._replace(W=single(W), b=single(cell.b - offset @ W))
    if not (np.isfinite(folded.W).all() and np.isfinite(folded.b).all()):
        raise ArgumentError("A scaler moves or stretches inputs further than float32 goes.")
    return folded


def apart(cell: Cell, scaler: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Of a cell with a scaler in it the `W` and `b` that are behind the scaler."""
    offset, scale = scaler
    W = np.asarray(cell.W, np.float64)
    return single(W * scale[:, None]), single(cell.b + offset @ W)


def fold_output(net: Recurrent, weights: Weights, scaler: Pair) -> Weights:
    """The same net with answers in the target's own units.

    Raises `ArgumentError` where the answers come from anything but a linear layer.
    """
    if not net.head or net.head[-1].activation != "linear":
        raise ArgumentError("target_scaler needs a net whose last layer is dense and linear.")
    offset, scale = scaler
    last = weights.head[-1]
    scaled = affine("The last layer", last.W * scale, last.b * scale + offset)
    return Weights(weights.layers, (*weights.head[:-1], scaled))
