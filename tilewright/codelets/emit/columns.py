"""Columns of results in vectors: which lanes exist, and how runs of vectors cover all columns.

In: how many columns there are, and vectors side by side in a tile. Out: panels of such tiles.
Always: a vector that is cut short has a panel of its own, and is no wider than it needs to be.
"""

from __future__ import annotations

from collections.abc import Iterator

from tilewright.codelets.emit.tiling import Run
from tilewright.frozen import frozen


@frozen
class Lanes:
    """One vector of columns: `valid` of `width` lanes, the first at column `start` of its tile."""

    start: int
    width: int
    valid: int


def panels(
    runs: tuple[Run, ...], columns: int, width: int
) -> Iterator[tuple[int, int, tuple[Lanes, ...]]]:
    """(first column, how many panels, the vectors of one); a cut last vector has its own panel."""
    for run in runs:
        full = tuple(Lanes(i * width, width, width) for i in range(run.size))
        end = (run.start + run.size * run.count) * width
        cut = max(0, end - columns)
        count = run.count - (1 if cut else 0)
        if count:
            yield run.start * width, count, full
        if cut:
            valid = width - cut
            narrow = min(width, max(4, 1 << (valid - 1).bit_length()))
            last = Lanes((run.size - 1) * width, narrow, valid)
            yield end - run.size * width, 1, (*full[:-1], last)
