"""Draws of a window as ArviZ has them.

In: a `Fit`. Out: `arviz.InferenceData`: weights in units of the features, their scales, the degrees
of freedom, and the log density of each draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.scale.fit import Fit
from tilewright.models import bnn


def to_arviz(fit: Fit) -> Any:
    """`posterior` and `sample_stats`, with dimensions chain and draw."""
    import arviz

    posterior = {"df": bnn.degrees(fit.positions, np.float64(1), np)}
    for name, head, prior in (
        ("mean", fit.positions.mean, bnn.MEAN),
        ("log_scale", fit.positions.scale, bnn.SCALE),
    ):
        posterior[f"{name}_constant"] = prior.constant + head.constant
        for part, weights, median in (
            ("linear", head.linear, prior.linear),
            ("out", head.out, prior.out),
        ):
            if weights is not None:
                posterior[f"{name}_{part}"] = _values(weights, median)
                posterior[f"{name}_{part}_scale"] = median * np.exp(weights.log_scale)
    return arviz.from_dict(posterior=posterior, sample_stats={"lp": fit.log_density})


def linear_effects(fit: Fit) -> tuple[np.ndarray, np.ndarray] | None:
    """Of features one deviation higher on the log-scale: mean and deviation over draws, (28,) each.

    None where the scale has no linear part.
    """
    weights = fit.positions.scale.linear
    if weights is None:
        return None
    found = _values(weights, bnn.SCALE.linear)
    return found.mean(axis=(0, 1)), found.std(axis=(0, 1))


def _values(weights: bnn.Weights, median: float) -> np.ndarray:
    """Of all draws, (chains, draws, inputs): `bnn.weights_of` has those of one."""
    inputs = weights.values.shape[-1]
    size = np.exp(0.5 * weights.log_scale) * (median / inputs**0.5)
    return weights.values * np.asarray(size)[..., None]
