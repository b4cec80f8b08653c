"""Which blocks of a packed matrix are not zero, and the tables by which products find them.

In: panels (see `ops/packed.py`), or which of their lines are not zero. Out: a `Pattern`; of it, the
blocks that are left, and the tables that say where they belong (see `ops/blocks.py`). Always: every
line that is not zero is in a block that is left.

A block is `height` lines of a panel: in float32 a line is 1 x 16 numbers, so that blocks are 1, 4
or 16 x 16; narrower panels have 2 or 4 k in a line. Taller blocks keep more zeros, and are found
with fewer look-ups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.law import LANES, LEAF

TALL = (16, 4, 1)
"""How many k a block of each kind has, where a line has no more."""

FULL = 0.9
"""Lines that are not zero, from which on nothing is worth skipping."""


@frozen(eq=False)
class Pattern:
    """`kept` (panels, blocks along k): whether a block is left."""

    kept: np.ndarray
    height: int
    depth: int

    @property
    def count(self) -> int:
        """How many are left."""
        return int(self.kept.sum())

    @property
    def density(self) -> float:
        """Of all blocks."""
        return self.count / max(1, self.kept.size)

    @property
    def lines(self) -> np.ndarray:
        """(panels, lines): which are in blocks that are left."""
        return np.repeat(self.kept, self.height, 1)

    @property
    def k(self) -> int:
        return self.kept.shape[1] * self.height * self.depth

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """`places` (count,) and `starts` (panels, leaves, 2), int32."""
        step = self.height * self.depth
        _, numbers = np.nonzero(self.kept)
        a_leaf = LEAF // step
        leaves = -(-self.k // LEAF)
        padded = np.zeros((len(self.kept), leaves * a_leaf), np.int32)
        padded[:, : self.kept.shape[1]] = self.kept
        counts = padded.reshape(-1, a_leaf).sum(1, dtype=np.int32)
        ends = np.cumsum(counts, dtype=np.int32)
        starts = np.stack([ends - counts, ends], -1).reshape(-1, leaves, 2)
        return (numbers * step).astype(np.int32), starts

    def blocks(self, panels: np.ndarray) -> np.ndarray:
        """What is left of panels: (count, height, 16, depth)."""
        count, _, lanes, depth = panels.shape
        apart = panels.reshape(count, -1, self.height, lanes, depth)
        return np.ascontiguousarray(apart[self.kept])


def lines_of(panels: np.ndarray) -> np.ndarray:
    """(panels, lines): which are not zero."""
    return (panels != 0).any((2, 3))


def thin_lines(arrays: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """By position, the lines of arrays that may be panels and have zeros enough to be looked at."""
    found = {}
    for position, array in enumerate(arrays):
        if array.ndim == 4 and array.shape[2] == LANES and array.size:
            # A line whose first number is not zero is not: of dense weights that is told at once.
            if (array[:, :, 0, 0] != 0).mean() >= FULL:
                continue
            lines = lines_of(array)
            if lines.mean() < FULL:
                found[position] = lines
    return found


def patterns(lines: np.ndarray, depth: int) -> Iterator[Pattern]:
    """Of lines that are not zero, the patterns of each height of block, where whole blocks make up
    the matrix; the tallest first."""
    count, length = lines.shape
    heights = dict.fromkeys(max(1, tall // depth) for tall in TALL)
    for height in heights:
        if length % height == 0:
            yield Pattern(np.any(lines.reshape(count, -1, height), 2), height, depth)


def digest(found: Mapping[int, Pattern]) -> str:
    """A name for patterns by position, which others do not have."""
    named = hashlib.sha256()
    for position, pattern in sorted(found.items()):
        sizes = position, pattern.height, pattern.depth, *pattern.kept.shape
        named.update(repr(sizes).encode() + np.packbits(pattern.kept).tobytes())
    return named.hexdigest()
