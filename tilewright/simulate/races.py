"""Who touched which byte since the last sync, and who may not have.

In: reads and writes of places, each by a codelet on a tile. Out: sentences. Always: a race is
reported if and only if, between two syncs, one tile writes a byte that another reads or writes,
in whichever order they were simulated. Tile arenas are private and left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tilewright.simulate.memory import Key, Place


@dataclass
class _Shadow:
    """For each byte of a memory: its last writer and two readers on different tiles; 0 for none."""

    writer: np.ndarray
    reader: np.ndarray
    second_reader: np.ndarray

    @staticmethod
    def of(size: int) -> _Shadow:
        return _Shadow(*(np.zeros(size, np.int64) for _ in range(3)))


@dataclass
class Ledger:
    """`sizes` are those of the memories that tiles share."""

    tiles: int
    sizes: dict[Key, int]
    races: list[str] = field(default_factory=list)
    superstep: int = 0
    _shadows: dict[Key, _Shadow] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _touched: list[Place] = field(default_factory=list)
    _known: set[tuple] = field(default_factory=set)

    def read(self, place: Place, name: str, tile: int) -> None:
        """A codelet of that name on that tile reads every byte of the place."""
        shadow = self._open(place)
        if shadow is None:
            return
        mine = self._mark(name, tile)
        self._report(place, place.marks(shadow.writer), mine, "reads", "writes")
        first, second = place.marks(shadow.reader), place.marks(shadow.second_reader)
        others = (first != 0) & self._foreign(first, tile)
        second[others] = mine
        first[~others] = mine

    def write(self, place: Place, name: str, tile: int) -> None:
        shadow = self._open(place)
        if shadow is None:
            return
        mine = self._mark(name, tile)
        self._report(place, place.marks(shadow.writer), mine, "writes", "writes")
        self._report(place, place.marks(shadow.reader), mine, "writes", "reads")
        self._report(place, place.marks(shadow.second_reader), mine, "writes", "reads")
        place.marks(shadow.writer)[...] = mine

    def sync(self) -> None:
        """All is forgotten: a new superstep begins."""
        self.superstep += 1
        for place in self._touched:
            shadow = self._shadows[place.key]
            for array in (shadow.writer, shadow.reader, shadow.second_reader):
                place.marks(array)[...] = 0
        self._touched.clear()
        self._names.clear()

    def _open(self, place: Place) -> _Shadow | None:
        if self.tiles == 1 or place.key not in self.sizes or 0 in place.shape:
            return None
        if place.key not in self._shadows:
            self._shadows[place.key] = _Shadow.of(self.sizes[place.key])
        self._touched.append(place)
        return self._shadows[place.key]

    def _mark(self, name: str, tile: int) -> int:
        """A number, not 0, that says both."""
        self._names.append(name)
        return (len(self._names) - 1) * self.tiles + tile + 1

    def _foreign(self, marks: np.ndarray, tile: int) -> np.ndarray:
        return (marks - 1) % self.tiles != tile

    def _report(self, place: Place, marks: np.ndarray, mine: int, verb: str, other: str) -> None:
        """Say which bytes carry another tile's mark; each pair of codelets and tiles once."""
        tile = (mine - 1) % self.tiles
        clash = (marks != 0) & self._foreign(marks, tile)
        if not clash.any():
            return
        theirs = int(marks[clash][0]) - 1
        name, their_name = self._names[-1], self._names[theirs // self.tiles]
        what = (name, tile, their_name, theirs % self.tiles, place.buffer, verb, other)
        if what in self._known:
            return
        self._known.add(what)
        first, last = self._extent(place, clash)
        self.races.append(
            f"superstep {self.superstep}: {name} on tile {tile} {verb} bytes {first} ... {last} of "
            f"{describe(place)} that {their_name} on tile {theirs % self.tiles} {other}"
        )

    def _extent(self, place: Place, clash: np.ndarray) -> tuple[int, int]:
        """The first and last byte of a clash, counted from the buffer's beginning."""
        where = np.argwhere(clash)
        bytes_ = where @ np.array([*place.strides, 1]) + place.start - place.base
        return int(bytes_.min()), int(bytes_.max())


def describe(place: Place) -> str:
    """A buffer in words."""
    buffer, (space, index) = place.buffer, place.key
    if space == "shared":
        return f"shared buffer {buffer.id} ({buffer.dtype}, at {place.base})"
    return f"{space} {index} ({buffer.dtype})"
