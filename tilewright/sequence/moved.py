"""Nets that go on with data scaled in another way: they say the same as before, to rounding.

In: stacked parameters, and the scalers of inputs and targets that they were learned with. Out: the
parameters that mean the same beside other scalers.

    x' = (raw - centre') / unit'    so that    x = x' unit' / unit + (centre' - centre) / unit

Of heads with a location and a scale, targets move, too; quantiles and classes stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.models.forecaster import NORMAL, STUDENT, Forecaster, Parameters
from tilewright.models.recurrent import Affine

Scalers = tuple[np.ndarray, ...]
"""Centre and unit of inputs (inputs,), and of targets (targets,)."""


def moved(form: Forecaster, nets: Parameters, *scalers: Any) -> Parameters:
    """`nets` (leading axis of nets) with four old scalers, then four new ones."""
    (centre, unit, y_centre, y_unit), (to, by, y_to, y_by) = scalers[:4], scalers[4:]
    stretch, shift = by / unit, (to - centre) / unit  # (inputs,)
    first = tuple(_moved(cell, stretch, shift) for cell in nets.net.layers[0])
    net = nets.net._replace(layers=(first, *nets.net.layers[1:]))
    skip = np.asarray(nets.skip, np.float64)
    b = nets.out.b + shift @ skip  # (nets, width)
    skip, W = skip * stretch[:, None], np.asarray(nets.out.W, np.float64)
    if form.head in (NORMAL, STUDENT):
        ratio = y_unit / y_by
        factor = _pairs(ratio, np.ones_like(ratio))
        skip, W = skip * factor, W * factor
        b = b * factor + _pairs((y_centre - y_to) / y_by, np.log(ratio))
    return Parameters(net, _single(skip), Affine(_single(W), _single(b)), nets.log_degrees)


def _moved(cell: Any, stretch: np.ndarray, shift: np.ndarray) -> Any:
    W = np.asarray(cell.W, np.float64)
    return cell._replace(W=_single(W * stretch[:, None]), b=_single(cell.b + shift @ W))


def _pairs(location: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
    """(2 targets,), as z has them."""
    return np.stack([location, log_scale], axis=-1).reshape(-1)


def _single(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)
