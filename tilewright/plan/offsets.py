"""Offsets of buffers that are placed one after the other, each as low as it can be.

In: buffers with their lives, in order. Out: for each the lowest offset, a multiple of `ALIGNMENT`,
where it overlaps none that lives at the same time and that some tile has beside it.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tilewright.plan.homes import Homes
from tilewright.plan.ir import Buffer

ALIGNMENT = 64


@dataclass
class Life:
    """The first and the last moment."""

    first: int
    last: int


Row = tuple[Buffer, Life]
MANY = 400
"""Buffers, from which on it pays to look at all of them together."""


def pack(rows: Sequence[Row], offsets: dict[Buffer, int]) -> int:
    """Place all of them; the end of the highest."""
    anywhere = len(rows) >= MANY and not any(buffer.homes for buffer, _ in rows)
    placed, end = _Anywhere(len(rows)) if anywhere else _Placed(), 0
    for buffer, life in rows:
        size = max(ALIGNMENT, -(-buffer.tile_bytes // ALIGNMENT) * ALIGNMENT)
        offset = placed.lowest(buffer, life, size)
        offsets[buffer] = offset
        placed.add(buffer, (offset, offset + size, life))
        end = max(end, offset + size)
    return end


_Place = tuple[int, int, Life]
"""From ... to, and when."""
ANY = -1
"""Stands for the tiles of a buffer without homes."""
FEW = 32
"""Tiles of a buffer, up to which it is looked up what each of them has."""


class _Placed:
    """What lies where, from low to high: of all, and by tile."""

    def __init__(self) -> None:
        self.all: list[tuple[int, int, _Place, int]] = []
        self.on: dict[int, list[tuple[int, int, _Place, int]]] = defaultdict(list)
        self.known: dict[Homes | None, tuple[Sequence[int], int]] = {}

    def beside(self, buffer: Buffer) -> Iterator[_Place]:
        """What some tile has that may have blocks of a buffer."""
        tiles, mine = self._tiles(buffer)
        if 0 < len(tiles) <= FEW:
            found = {row[1]: row for tile in (ANY, *tiles) for row in self.on[tile]}
            return (place for _, _, place, _ in sorted(found.values(), key=lambda row: row[:2]))
        return (place for _, _, place, theirs in self.all if mine & theirs)

    def lowest(self, buffer: Buffer, life: Life, size: int) -> int:
        """The first offset with so much room through a life."""
        offset = 0
        for low, high, other in self.beside(buffer):
            if other.first > life.last or life.first > other.last:
                continue
            if high <= offset:
                continue
            if low - offset >= size:
                break
            offset = max(offset, high)
        return offset

    def add(self, buffer: Buffer, place: _Place) -> None:
        tiles, mine = self._tiles(buffer)
        row = (place[0], len(self.all), place, mine)
        insort(self.all, row, key=lambda row: row[0])
        for tile in tiles or (ANY,):
            self.on[tile].append(row)

    def _tiles(self, buffer: Buffer) -> tuple[Sequence[int], int]:
        """Those that have blocks of it, and a bit for each; without homes any may."""
        homes = buffer.homes
        if homes is None:
            return (), -1
        if homes not in self.known:
            tiles = homes.tiles().tolist()
            bits = np.zeros(tiles[-1] + 1, np.uint8)
            bits[tiles] = 1
            mask = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            self.known[homes] = tiles, mask
        return self.known[homes]


class _Anywhere:
    """The same of many buffers without homes: `rows` are low, high, first and last (4, buffers)."""

    def __init__(self, room: int):
        self.rows, self.count = np.zeros((4, room), np.int64), 0

    def lowest(self, buffer: Buffer, life: Life, size: int) -> int:
        low, high, first, last = self.rows[:, : self.count]
        (beside,) = np.nonzero((first <= life.last) & (last >= life.first))
        if not beside.size:
            return 0
        ends = np.maximum.accumulate(np.concatenate([[0], high[beside]]))
        (fits,) = np.nonzero(low[beside] - ends[:-1] >= size)
        return int(ends[fits[0] if fits.size else -1])

    def add(self, buffer: Buffer, place: _Place) -> None:
        low, high, life = place
        at = np.searchsorted(self.rows[0, : self.count], low, side="right")
        self.rows[:, at + 1 : self.count + 1] = self.rows[:, at : self.count]
        self.rows[:, at] = low, high, life.first, life.last
        self.count += 1
