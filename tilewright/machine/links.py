"""Between chips: how far apart they are. In: how many there are. Out: hops from one to another.

Chips are taken to lie on a torus, as square as their number allows, which is how pods are wired
[Graphcore, IPU-POD64 reference design: a 2-D torus]; four, or two, are one row of it.
"""

from __future__ import annotations

from math import isqrt

import numpy as np


def torus(chips: int) -> tuple[int, int]:
    """Rows and columns: as square as can be, rows no more than columns."""
    rows = next(n for n in range(isqrt(chips), 0, -1) if chips % n == 0)
    return rows, chips // rows


def hops(froms: np.ndarray, tos: np.ndarray, chips: int) -> np.ndarray:
    """Links on the shortest way from each of some chips to another."""
    rows, columns = torus(chips)
    (row, column), (far_row, far_column) = (np.divmod(c, columns) for c in (froms, tos))
    high, wide = np.abs(far_row - row), np.abs(far_column - column)
    return np.minimum(high, rows - high) + np.minimum(wide, columns - wide)


def farthest(chips: int) -> int:
    """Links on the longest of all ways, one at least."""
    rows, columns = torus(chips)
    return max(rows // 2 + columns // 2, 1)
