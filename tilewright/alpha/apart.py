"""Integrals and quantiles of mixtures whose parts lie apart, or differ much in scale.

In: a distribution function of places and rows, and for each row where to look. Out: arrays over
rows. Everything is found by halving intervals, so neither steps nor long tails mislead it: it costs
some hundred evaluations a row, where nodes about one centre are enough for most mixtures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Cdf = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of places and the rows that they are for, (pairs,) each."""
PIECES, REACH = 48, 9.0
"""Intervals a row to begin with; they end at sinh(9) = 4,000 widths."""
TOLERANCE = 2e-6
"""Of an interval, as a share of the width of its row."""
HALVINGS = 60


def spread(cdf: Cdf, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Integrals of F (1 - F) within 4,000 widths of the centre, (rows,), by Simpson's rule.

    An interval is halved as long as its middle lies off the line between its ends: in F (1 - F), or
    in F, which shows a step that fell between two places.
    """
    rows = np.repeat(np.arange(len(centre)), PIECES)
    edges = centre[:, None] + width[:, None] * np.sinh(np.linspace(-REACH, REACH, PIECES + 1))
    left, right = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    first, last = cdf(left, rows), cdf(right, rows)
    found = np.zeros(len(centre))
    for turn in range(HALVINGS):
        middle = left + (right - left) / 2
        between = cdf(middle, rows)
        size, ends, within = right - left, _inside(first) + _inside(last), _inside(between)
        off = np.maximum(np.abs(first + last - 2 * between), np.abs(ends - 2 * within))
        good = (size * off / 4 <= TOLERANCE * width[rows]) | (turn == HALVINGS - 1)
        np.add.at(found, rows[good], (size * (ends + 4 * within) / 6)[good])
        bad = ~good
        rows = np.tile(rows[bad], 2)
        left, right = np.r_[left[bad], middle[bad]], np.r_[middle[bad], right[bad]]
        first, last = np.r_[first[bad], between[bad]], np.r_[between[bad], last[bad]]
        if not len(rows):
            break
    return found


def _inside(F: np.ndarray) -> np.ndarray:
    return F * (1 - F)


def inverse(
    cdf: Callable[[np.ndarray], np.ndarray], p: float, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Where the distribution functions of all rows reach p: between `low` and `high`, (rows,)."""
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        below = cdf(middle) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low + (high - low) / 2
