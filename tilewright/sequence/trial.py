"""Whether a net answers as its source does: tried on random numbers before it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.sequence.model import Model
from tilewright.sequence.precision import exact
from tilewright.sequence.widths import check_chain

BATCH, STEPS = 8, 7
"""Windows, that many so that answers scatter in each output; steps of each."""
TOLERANCE = 1e-4
"""Largest difference, over how widely the answers of an output scatter."""
ROUNDING, ORDERS = 8 * float(np.finfo(np.float32).eps), 32
"""And, for float32 in another order of sums, over the largest answer; and over what our own order
errs against float64."""


def matching(
    nets: Sequence[Recurrent],
    weights: Weights,
    source: Callable[[np.ndarray], np.ndarray],
    batch: int = BATCH,
    steps: int = STEPS,
) -> Model:
    """The first of `nets` that answers as `source` does, given (batch, steps, inputs).

    Raises `UnsupportedError` where none does.
    """
    check_chain(nets[0])
    random = np.random.default_rng(0)
    xs = random.normal(size=(batch, steps, nets[0].inputs)).astype(np.float32)
    wanted = source(xs)
    apart = []
    for net in nets:
        found = np.asarray(recurrent.window(net, weights, xs))
        if found.size == wanted.size and found.size:
            its = wanted.reshape(found.shape)
            if _is_rounding(net, weights, xs, found, its):
                return Model(net, weights)
            apart.append(float(np.max(np.abs(found - its))))
    how = f"answers differ by up to {min(apart):.2g}" if apart else f"answers are {wanted.shape}"
    raise UnsupportedError(
        f"The source computes something else than its layers, one after the other, would: its {how}"
        ". Write the net as a JAX function instead."
    )


def _is_rounding(
    net: Recurrent, weights: Weights, xs: np.ndarray, found: np.ndarray, wanted: np.ndarray
) -> bool:
    """Whether that is all by which answers (..., outputs) differ, of each output by itself: small
    ones are looked at as large ones are."""
    within = TOLERANCE * _over_rows(np.std, wanted) + ROUNDING * _over_rows(np.max, abs(wanted))
    apart = _over_rows(np.max, abs(found - wanted))
    if np.all(apart <= within):
        return True
    own = _over_rows(np.max, abs(found - exact(net, weights, xs)))
    return bool(np.all(apart <= within + ORDERS * own))


def _over_rows(function: Callable, answers: np.ndarray) -> np.ndarray:
    """(outputs,), in float64."""
    return function(answers.reshape(-1, answers.shape[-1]).astype(np.float64), axis=0)
