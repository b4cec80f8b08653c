"""A placebo: whole days of targets in random order, so that they have nothing to do with inputs."""

from __future__ import annotations

import numpy as np


def shuffled_days(target: np.ndarray, there: np.ndarray, seed: int) -> np.ndarray:
    """Of (days, stocks), days with targets of all their stocks in random order.

    `there` says which stocks a day has. The other days stay where they are.
    """
    known = np.isfinite(target)
    whole = np.flatnonzero(known.any(axis=1) & (known == there).all(axis=1))
    # Only days on which the same stocks are there change places: each group among itself.
    mixed = target.copy()
    rng = np.random.default_rng([seed, 1])
    _, groups = np.unique(there[whole], axis=0, return_inverse=True)
    for group in range(groups.max(initial=-1) + 1):
        days = whole[groups.reshape(-1) == group]
        mixed[days] = target[rng.permutation(days)]
    return mixed
