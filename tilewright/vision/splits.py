"""Which images train a net and which test it: at random, by group, or by time.

In: classes (n,), and groups or times (n,). Out: indices of the part that is held out and of the
rest. Images of one group are never on both sides; by time, what is held out comes last, and images
of one moment stay together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.vision.columns import column, moments


def hold_out(
    classes: np.ndarray, share: float, seed: int, groups: Any = None, times: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """(rest, held), sorted indices. Of each class, a like share where nothing forbids it.

    Raises `ArgumentError` where that leaves a side without images.
    """
    count = len(classes)
    if not 0 < share < 1:
        raise ArgumentError(f"The share that is held out must be between 0 and 1, not {share!r}.")
    if groups is not None and times is not None:
        raise ArgumentError("groups and times: one of them, not both.")
    if times is not None:
        held = _newest(moments("times", times, count), share)
    elif groups is not None:
        held = _groups(column("groups", groups, count), share, seed)
    else:
        held = _stratified(classes, share, seed)
    if not held.any() or held.all():
        kind = "groups" if groups is not None else "times" if times is not None else "images"
        raise ArgumentError(f"There are too few {kind} to hold out {share:.0%} of the images.")
    return np.flatnonzero(~held), np.flatnonzero(held)


def _newest(times: np.ndarray, share: float) -> np.ndarray:
    order = np.sort(times, kind="stable")
    return times > order[max(0, int(len(times) * (1 - share)) - 1)]


def _groups(groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whole groups in random order, until the share is full."""
    names, numbers = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(numbers)[order]
    taken = order[np.cumsum(sizes) - sizes / 2 <= share * len(groups)]
    return np.isin(numbers, taken)


def _stratified(classes: np.ndarray, share: float, seed: int) -> np.ndarray:
    rng, held = np.random.default_rng(seed), np.zeros(len(classes), bool)
    for one in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == one))
        held[members[: round(share * len(members))]] = True
    return held
