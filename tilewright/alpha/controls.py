"""Two series whose answer is known, run beside the real one: planted and shuffled.

In: features (days, stocks, 22), targets (days, stocks). Out: targets of the same shape.

*Shuffled*: whole days of targets in random order, means taken out. Nobody can find anything. Days
stay whole, so that stocks move together as they do in the market.
*Planted*: the shuffled targets plus a product of two ranks, which differs between the stocks of a
day. The product has no linear part: the net can find it, linear models cannot. The fewer rows a
window has the stronger it is: priors that suit returns need evidence before they bend so far, and
below `LEAST_ROWS` there is no strength that would do.
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.features import HISTORY, NAMES
from tilewright.alpha.windows import TRAIN

REAL, PLANTED, SHUFFLED = "real", "planted", "shuffled"
SERIES = (REAL, PLANTED, SHUFFLED)
STRENGTH, FULL_ROWS = 0.5, 5000
"""Deviation of the planted signal, in units of the target (whose own is about 1), in windows of so
many rows or more."""
LEAST_ROWS = 2000
"""Training rows of a window below which the net may well miss it."""
FACTORS = "rank_return_1", "rank_momentum_252"


def shuffled(target: np.ndarray, seed: int) -> np.ndarray:
    """Days with targets in random order, each stock's mean removed."""
    valid = np.flatnonzero(np.isfinite(target).all(axis=1))
    valid = valid[valid >= HISTORY]
    order = np.random.default_rng([seed, 1]).permutation(valid)
    mixed = np.full_like(target, np.nan)
    mixed[valid] = target[order] - target[order].mean(axis=0)
    return mixed


def planted(features: np.ndarray, target: np.ndarray, seed: int) -> np.ndarray:
    """Shuffled targets plus the signal."""
    first, second = (features[..., NAMES.index(name)] for name in FACTORS)
    product = first * second
    signal = (product - np.nanmean(product)) / np.nanstd(product)
    return shuffled(target, seed) + strength(target.shape[1]) * signal


def strength(stocks: int) -> float:
    """Of the planted signal."""
    return STRENGTH * max(1.0, FULL_ROWS / rows(stocks))


def rows(stocks: int) -> int:
    """Training rows of a window."""
    return stocks * TRAIN
