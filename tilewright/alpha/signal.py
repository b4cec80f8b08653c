"""How much of a target a net of our kind can foresee, before it is sampled.

In: standardised features (rows, features), a centred target (rows,). Out: the expected standard
deviation of the target's mean, in standard deviations of the target.

Ridge regression over random units of the net (tanh, weights drawn from its prior) is a cheap
relative of it: the share of variance that it explains, by generalised cross-validation, is what the
net should be allowed to explain. Returns have next to none and get `LEAST`, which is what the
priors of `models.returns` expect of them.
"""

from __future__ import annotations

import math

import numpy as np

from tilewright.alpha.baselines import cross_validation

LEAST = 0.15
UNITS, ROWS_A_UNIT = 100, 4
PENALTIES = np.logspace(-3, 6, 19)


def fit_signal(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Between `LEAST` and 1; always the same for the same rows. One counts `weight` times."""
    rows = len(y) if weight is None else float(weight.sum())
    units = min(UNITS, int(rows // ROWS_A_UNIT))
    squares = float(y @ y if weight is None else weight * y @ y)
    if not units or not squares:
        return LEAST
    rng, features = np.random.default_rng(0), X.shape[1]
    W = rng.normal(size=(features, units)) / math.sqrt(features)
    hidden = np.tanh(X @ W + rng.normal(size=units))
    total = squares / (1 - 1 / rows) ** 2
    unforeseen = float(cross_validation(hidden, y, PENALTIES, weight).min()) / total
    return min(1.0, math.sqrt(max(1 - unforeseen, LEAST**2)))
