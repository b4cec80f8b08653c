"""Whether a net answers as its source does: tried on random numbers before it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.sequence.model import Model

BATCH, STEPS = 2, 7
TOLERANCE = 1e-4
"""Largest difference of answers that are about 1: float32 in another order of sums."""


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
    random = np.random.default_rng(0)
    xs = random.normal(size=(batch, steps, nets[0].inputs)).astype(np.float32)
    wanted = source(xs)
    apart = []
    for net in nets:
        found = np.asarray(recurrent.window(net, weights, xs))
        if found.size == wanted.size and found.size:
            difference = np.abs(found.reshape(wanted.shape) - wanted)
            apart.append(float(np.max(difference / np.maximum(1.0, np.abs(wanted)))))
            if apart[-1] <= TOLERANCE:
                return Model(net, weights)
    how = f"answers differ by up to {min(apart):.2g}" if apart else f"answers are {wanted.shape}"
    raise UnsupportedError(
        f"The source computes something else than its layers, one after the other, would: its {how}"
        ". Write the net as a JAX function instead."
    )
