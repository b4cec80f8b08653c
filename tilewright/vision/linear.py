"""Logistic regression on frozen features: the first thing to try, and what others must beat.

In: features (n, channels), classes by number. Out: a last layer (kernel, shift) that reads features
as they are. Features are standardised by what the fit saw, which is folded into the layer. The
penalty is chosen on rows that were held out, where there are any.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tilewright.models.convolutional import Plain
from tilewright.vision.measures import log_loss
from tilewright.vision.predicted import softmax

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse strengths that are tried (scikit-learn's C), on features of unit variance."""
ITERATIONS = 300


def fit_linear(
    rows: np.ndarray,
    classes: np.ndarray,
    count: int,
    weights: np.ndarray | None = None,
    held_rows: np.ndarray | None = None,
    held: np.ndarray | None = None,
    penalties: tuple[float, ...] = PENALTIES,
) -> tuple[Plain, float]:
    """The layer and its penalty. `weights` (n,) are of rows; `held_rows` and `held` choose."""
    if held_rows is None or held is None or not len(held_rows):
        chosen = penalties[len(penalties) // 2]
        return _fitted(rows, classes, count, weights, chosen), chosen
    tried = []
    for penalty in penalties:
        layer = _fitted(rows, classes, count, weights, penalty)
        shares = softmax(held_rows @ layer.kernel + layer.shift)
        tried.append((float(log_loss(shares, held).mean()), penalty, layer))
    _, penalty, layer = min(tried, key=lambda one: one[0])
    return layer, penalty


def _fitted(
    rows: np.ndarray, classes: np.ndarray, count: int, weights: np.ndarray | None, penalty: float
) -> Plain:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    values = rows.astype(np.float64)
    centre, spread = values.mean(axis=0), values.std(axis=0)
    spread[spread <= 1e-12 * np.abs(values).max(initial=0)] = 1.0  # what is constant tells nothing
    net = LogisticRegression(C=penalty, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits are of no use
        net.fit((values - centre) / spread, classes, sample_weight=weights)
    coefficients: Any = net.coef_
    shifts: Any = net.intercept_
    present: Any = net.classes_
    if len(present) == 2:  # scikit-learn gives the difference of the two
        coefficients = np.stack([-coefficients[0], coefficients[0]]) / 2
        shifts = np.array([-shifts[0], shifts[0]]) / 2
    kernel = np.zeros((values.shape[1], count))
    kernel[:, present] = (coefficients / spread).T
    shift = np.full(count, -30.0)  # of a class that is not there
    moved: Any = (coefficients / spread) @ centre
    shift[present] = shifts - moved
    return Plain(kernel.astype(np.float32), shift.astype(np.float32))
