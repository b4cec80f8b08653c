"""Where the blocks of a buffer, or the instances of a family, are at home: which tile, which slot.

In: a grid of blocks, cut along some axes. Out: for each block its tile and its slot there, as
arrays; no block is an object. Always: a tile has as many slots as any other, and two blocks have
the same tile and slot only if they are one (`verify.py` checks it).

    tile of block (i, j, ...) = first + i // per_tile * stride + j // per_tile * stride + ...

`copies` are further tiles that hold each block: one for every multiple of a stride. A chip is
`tile // tiles_a_chip`: what is cut, or copied, over chips is an axis with that stride.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import prod

import numpy as np

from tilewright.frozen import frozen


@frozen
class Axis:
    """`extent` blocks, `per_tile` neighbours together; tiles are `stride` apart."""

    extent: int
    per_tile: int = 1
    stride: int = 1

    @property
    def tiles(self) -> int:
        return -(-self.extent // self.per_tile)


@frozen
class Homes:
    """`copies` are (how many, stride in tiles); of a block without copies there is one."""

    first: int = 0
    axes: tuple[Axis, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()

    @cached_property
    def extents(self) -> tuple[int, ...]:
        return tuple(axis.extent for axis in self.axes)

    @cached_property
    def blocks(self) -> int:
        return prod(self.extents)

    @cached_property
    def slots(self) -> int:
        """Blocks that a tile has room for."""
        return prod(min(axis.per_tile, axis.extent) for axis in self.axes)

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """How many blocks further the next one along each axis is: row-major."""
        return tuple(prod(self.extents[d + 1 :]) for d in range(len(self.axes)))

    def tile(self, block: np.ndarray | int) -> np.ndarray:
        """Of blocks by number; of several copies, the first."""
        found = np.full(np.shape(block), self.first, np.int64)
        for axis, step in zip(self.axes, self.steps, strict=True):
            found = found + block // step % axis.extent // axis.per_tile * axis.stride
        return found

    def slot(self, block: np.ndarray | int) -> np.ndarray:
        """Which of its tile's slots a block has."""
        found = np.zeros(np.shape(block), np.int64)
        for axis, step in zip(self.axes, self.steps, strict=True):
            room = min(axis.per_tile, axis.extent)
            found = found * room + block // step % axis.extent % axis.per_tile
        return found

    def copy_tiles(self) -> np.ndarray:
        """How much further the tiles of all copies are than the first: 0, ..."""
        found = np.zeros(1, np.int64)
        for count, stride in self.copies:
            found = (found[:, None] + np.arange(count) * stride).reshape(-1)
        return found

    def tiles(self) -> np.ndarray:
        """All that hold something, each once, in order."""
        return _tiles(self)


@lru_cache(maxsize=1024)
def _tiles(homes: Homes) -> np.ndarray:
    found = np.array([homes.first], np.int64)
    for axis in homes.axes:
        found = (found[:, None] + np.arange(axis.tiles) * axis.stride).reshape(-1)
    return np.unique((found[:, None] + homes.copy_tiles()).reshape(-1))


def evenly(extent: int, tiles: int, first: int = 0) -> Homes:
    """So many blocks over so many neighbouring tiles, shares of neighbours."""
    return Homes(first, (Axis(extent, -(-extent // tiles)),))


@lru_cache(maxsize=4096)
def apart(one: Homes, other: Homes) -> bool:
    """Whether no tile has blocks of both."""
    mine, theirs = one.tiles(), other.tiles()
    if mine[-1] < theirs[0] or theirs[-1] < mine[0]:
        return True
    return not np.isin(mine, theirs).any()
