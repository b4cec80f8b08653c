"""Which cells of a product with zero blocks tiles have, so that all have about as much to do.

In: which blocks of a result are wanted; how many tiles there are. Out: `Cell`s, which cover all of
the result. Always: no cell has more blocks than the bound that so many tiles allow.

Panels of 16 columns (those side by side in a granule, together) are cut into bands of rows: panels
that have more blocks get more bands. (By rows of all panels, or by whole panels, the busiest tile
decides: of a quarter of 16 x 16 blocks strewn over 1024 x 1024 it has 2.5 times the mean.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from tilewright.frozen import frozen


@frozen(eq=False)
class Cell:
    """Rows from `top` to `below`, panels from `panel` on; `kept` (panels, blocks down)."""

    panel: int
    top: int
    below: int
    kept: np.ndarray

    @property
    def rows(self) -> int:
        return self.below - self.top

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Blocks of each panel."""
        return tuple(self.kept.sum(1).tolist())


def cells(kept: np.ndarray, height: int, band: int, wide: int, tiles: int) -> list[Cell] | None:
    """Of blocks (panels, down) of `height` rows: bands of so many rows, or several times as many,
    of `wide` panels. None: there are more of these than tiles."""
    panels, down = kept.shape
    slab = band // height
    firsts = range(0, down, slab)
    weights = np.add.reduceat(kept, [*firsts], 1, dtype=np.int64)
    weights = np.add.reduceat(weights, [*range(0, panels, wide)], 0)
    sums = np.pad(np.cumsum(weights, 1), ((0, 0), (1, 0)))
    length = len(firsts)
    if len(sums) > tiles:
        return None

    def fits(most: int, high: int) -> bool:
        count = 0
        for line in sums:
            count += sum(1 for _ in _bands(line, most, high))
            if count > tiles:
                return False
        return True

    most = _least(lambda n: fits(n, length), max(int(weights.max()), 1), max(int(sums.max()), 1))
    high = _least(lambda n: fits(most, n), 1, length)
    return [
        Cell(
            group * wide,
            top * slab * height,
            min(below * slab, down) * height,
            kept[group * wide : (group + 1) * wide, top * slab : below * slab],
        )
        for group, line in enumerate(sums)
        for top, below in _bands(line, most, high)
    ]


def _bands(sums: np.ndarray, most: int, high: int) -> Iterator[tuple[int, int]]:
    """From ... to: as many slabs as have no more than `most` blocks, and are no more than `high`.
    `sums` are those of the slabs before each."""
    top, end = 0, len(sums) - 1
    while top < end:
        below = int(np.searchsorted(sums, sums[top] + most, "right")) - 1
        below = max(min(below, top + high, end), top + 1)
        yield top, below
        top = below


def _least(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least of low ... high for which something holds, as it does for the last of them."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
