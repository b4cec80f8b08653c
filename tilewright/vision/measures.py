"""What probabilities of classes are worth: accuracy, log loss, calibration, and differences.

In: shares (n, classes) that sum to 1, classes (n,) that came. Out: a number an image, or a mean
with its standard error. Images of one group (one module, one place, one day) are no independent
witnesses: errors are by group where there are groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.frozen import frozen

LEAST = 1e-12
"""A probability that is taken for 0."""
BINS = 10


def hits(shares: np.ndarray, came: np.ndarray) -> np.ndarray:
    """1 where the likeliest class came (n,)."""
    return (shares.argmax(axis=1) == came).astype(float)


def log_loss(shares: np.ndarray, came: np.ndarray) -> np.ndarray:
    """Nats an image (n,): minus the logarithm of what was given to the class that came."""
    return -np.log(np.maximum(shares[np.arange(len(came)), came], LEAST))


def brier(shares: np.ndarray, came: np.ndarray) -> np.ndarray:
    """Squared distance to what came (n,), from 0 to 2 (Brier 1950)."""
    return ((shares - np.eye(shares.shape[1])[came]) ** 2).sum(axis=1)


@frozen
class Mean:
    """Over images, with the standard error by groups, of which there are `witnesses`."""

    value: float
    error: float
    witnesses: int

    @property
    def effect(self) -> int:
        """-1 or 1 where chance alone does it in 2.5 % of cases a side, else 0 (Student's t)."""
        from scipy.stats import t

        if self.witnesses < 2:
            return 0
        least = float(t.ppf(0.975, self.witnesses - 1)) * self.error
        return int(np.sign(self.value)) if abs(self.value) > least else 0


def mean(values: np.ndarray, groups: np.ndarray | None = None) -> Mean:
    """Of values (n,); the error of a mean of clusters (Liang and Zeger 1986), small-sample factor
    included. One group alone has an error that nobody knows: infinite."""
    values = np.asarray(values, float)
    centred = values - values.mean()
    if groups is not None:
        _, numbers = np.unique(groups, return_inverse=True)
        centred = np.bincount(numbers, centred)
    count = len(centred)
    if count < 2:
        return Mean(float(values.mean()), float("inf"), count)
    variance = count / (count - 1) * (centred**2).sum() / len(values) ** 2
    return Mean(float(values.mean()), float(variance**0.5), count)


@frozen
class Reliability:
    """By bins of the probability of the likeliest class: mean probability, share of hits, images.

    `error` is the expected calibration error (Naeini et al. 2015): their distance, by images.
    """

    confidence: np.ndarray
    hits: np.ndarray
    images: np.ndarray

    @property
    def error(self) -> float:
        return float((np.abs(self.confidence - self.hits) * self.images).sum() / self.images.sum())


def reliability(shares: np.ndarray, came: np.ndarray, bins: int = BINS) -> Reliability:
    """Bins that hold equally many images; of few images fewer bins."""
    confidence, hit = shares.max(axis=1), hits(shares, came)
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, max(1, len(came) // 5))) if len(part)]
    rows = [(confidence[part].mean(), hit[part].mean(), len(part)) for part in parts]
    return Reliability(*(np.array(column) for column in zip(*rows, strict=True)))


def temperature(logits: np.ndarray, came: np.ndarray) -> float:
    """The T whose softmax(logits / T) has the least log loss (Guo et al. 2017).

    Targets of n images are (n + 1) / (n + classes) for what came and 1 / (n + classes) for the rest
    (Platt 1999): a few that are all right do not make a net certain.
    """
    from scipy.optimize import minimize_scalar

    from tilewright.vision.predicted import softmax

    count, classes = logits.shape
    targets = (np.eye(classes)[came] * count + 1) / (count + classes)

    def loss(log_t: float) -> float:
        shares = np.maximum(softmax(logits / np.exp(log_t)), LEAST)
        return float(-(targets * np.log(shares)).sum(axis=1).mean())

    found: Any = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0) else 1.0
