"""Which cells of a product with zero blocks tiles have, so that all have about as much to do.

In: which blocks of a result are wanted; how many tiles there are. Out: `Cell`s, which have all of
them. Always: no cell has more blocks than the least bound that so many tiles allow, or one
band has at least.

Panels of 16 columns (those side by side in a granule, together) are cut into bands of rows: panels
that have more blocks get more bands. (By rows of all panels, the busiest tile decides: of a quarter
of 16 x 16 blocks strewn over 1024 x 1024 it has 2.5 times the mean.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from tilewright.frozen import frozen


@frozen(eq=False)
class Cell:
    """Rows from `top` to `below`, panels from `panel` on; `kept` (panels, blocks down). It is the
    `number`th tile's."""

    number: int
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


@frozen
class Sizes:
    """A block has `height` rows, a band `band`, or several times as many, of `wide` panels. `bus`
    tiles share what they all get, so cells of panels are a multiple of it."""

    height: int
    band: int
    wide: int
    bus: int


def cells(kept: np.ndarray, sizes: Sizes, tiles: int) -> list[Cell] | None:
    """Of blocks (panels, down) of `height` rows. None: there are more panels than tiles."""
    lines = _sums(kept, sizes)

    def fits(most: int, high: int) -> bool:
        counts = (len(list(_bands(line, most, high))) for line in lines)
        return sum(_even(count, sizes) for count in counts) <= tiles

    length, highest = lines.shape[1] - 1, max(int(lines.max(initial=0)), 1)
    if not fits(highest, length):
        return None
    of_one = max(int(np.diff(lines).max(initial=0)), 1)
    most = _least(lambda n: fits(n, length), of_one, highest)
    high = _least(lambda n: fits(most, n), 1, length)
    found, number = list[Cell](), 0
    for group, line in enumerate(lines):
        panel = group * sizes.wide
        number = _even(number, sizes)
        for top, below in _in_company(line, list(_bands(line, most, high)), sizes):
            found.append(_cell(kept, number, panel, top, below, sizes))
            number += 1
    return found


def _sums(kept: np.ndarray, sizes: Sizes) -> np.ndarray:
    """(panels that lie together, slabs + 1): blocks above each slab of `band` rows."""
    panels, down = kept.shape
    counts = np.add.reduceat(kept, range(0, down, sizes.band // sizes.height), 1, dtype=np.int64)
    counts = np.add.reduceat(counts, range(0, panels, sizes.wide), 0)
    return np.pad(np.cumsum(counts, 1), ((0, 0), (1, 0)))


def _cell(kept: np.ndarray, number: int, panel: int, top: int, below: int, sizes: Sizes) -> Cell:
    slab = sizes.band // sizes.height
    first, end = top * slab, min(below * slab, kept.shape[1])
    mine = kept[panel : panel + sizes.wide, first:end]
    return Cell(number, panel, first * sizes.height, end * sizes.height, mine)


def _bands(sums: np.ndarray, most: int, high: int) -> Iterator[tuple[int, int]]:
    """From the first slab with blocks to the last, again and again: as many as have no more than
    `most` of them, and are no more than `high`."""
    below, end = 0, len(sums) - 1
    while (top := int(np.searchsorted(sums, sums[below], "right")) - 1) < end:
        below = int(np.searchsorted(sums, sums[top] + most, "right")) - 1
        below = max(min(below, top + high, end), top + 1)
        yield top, int(np.searchsorted(sums, sums[below]))


def _in_company(
    sums: np.ndarray, bands: list[tuple[int, int]], sizes: Sizes
) -> list[tuple[int, int]]:
    """So many that no tile waits for its operands alone: the longest band in two, or one more that
    has nothing to do."""
    while len(bands) % sizes.bus:
        top, below = max(bands, key=lambda band: band[1] - band[0])
        free = np.setdiff1d(np.arange(len(sums) - 1), [s for band in bands for s in range(*band)])
        if below - top > 1:
            middle = (top + below) // 2
            bands = [band for band in bands if band != (top, below)]
            bands += [(top, middle), (middle, below)]
        elif free.size:
            bands = [*bands, (int(free[0]), int(free[0]) + 1)]
        else:
            break
    return sorted(bands)


def _even(count: int, sizes: Sizes) -> int:
    return -(-count // sizes.bus) * sizes.bus


def _least(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least of low ... high for which something holds, as it does for the last of them."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
