"""Two targets whose answer is known, for the scale: planted and placebo.

In: a panel. Out: targets (days, stocks).

*Placebo* (`SHUFFLED`): whole days of targets in random order, so that no day's scale has anything
to do with its features. *Planted*: the placebo times exp(strength * signal), the signal being the
square of how high volatility is, less the best linear approximation in all features: what is left
a net of the scale can find, a linear scale model cannot. (32 units drawn once see a third of it. Of
a product of two of the 28 features, of which there are 378, they see a twelfth.)
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.scale.panel import ScalePanel
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.walking.shuffle import shuffled_days

STRENGTH = 0.3
"""Deviation of the planted log-scale."""
FACTOR, MOST = "level", 2.5
"""The feature whose square it is; deviations at which it is cut."""


def placebo(panel: ScalePanel, seed: int) -> np.ndarray:
    """Days with targets of all their stocks, in random order; the others stay where they are."""
    return shuffled_days(panel.target, panel.there, seed)


def planted(panel: ScalePanel, seed: int) -> np.ndarray:
    """The placebo with the signal."""
    rows = panel.features[panel.there].astype(np.float64)
    factor = rows[:, NAMES.index(FACTOR)]
    square = ((factor - factor.mean()) / (factor.std() + 1e-12)).clip(-MOST, MOST) ** 2
    linear = np.column_stack([np.ones(len(rows)), rows])
    curved = square - linear @ np.linalg.lstsq(linear, square, rcond=None)[0]
    signal = np.zeros(panel.there.shape)
    signal[panel.there] = curved / curved.std()
    return placebo(panel, seed) * np.exp(STRENGTH * signal)
