"""Memories of tiles that share none: who touched which byte, and what lies there.

In: reads and writes of bytes of one tile's memory, each through a buffer and by an *actor*: a tile,
whose vertices come one after the other, or a message. Out: sentences. Always: a sentence is given
if and only if

- two actors touch a byte between two syncs (an exchange ends a superstep, too), and one writes it;
- a byte is read through a buffer that is not the one through which it was written last. So memory
  that two live buffers share is found, and so is what nobody has brought yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tilewright.plan.ir import Buffer
from tilewright.simulate.memory import FRESH


@dataclass
class Arena:
    """One tile's bytes; for each of them the buffer that it was written through, 0 for none, and
    the actors that wrote it and read it since the last sync, -1 for several readers."""

    bytes: np.ndarray
    owner: np.ndarray
    writer: np.ndarray
    reader: np.ndarray

    @staticmethod
    def of(size: int) -> Arena:
        marks = (np.zeros(size, np.int64) for _ in range(3))
        return Arena(np.full(size, FRESH, np.uint8), *marks)


@dataclass
class Arenas:
    """Of all tiles; actors 1, 2, ... are those, then come messages."""

    arenas: list[Arena]
    faults: list[str] = field(default_factory=list)
    messages: int = 0
    superstep: int = 0
    _known: set[tuple[str, ...]] = field(default_factory=set)
    _touched: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def tile(self, tile: int) -> int:
        """The actor that a tile is."""
        return tile + 1

    def message(self) -> int:
        """A new actor."""
        self.messages += 1
        return len(self.arenas) + self.messages

    def _name(self, actor: int) -> str:
        if actor < 0:
            return "another"
        return f"tile {actor - 1}" if actor <= len(self.arenas) else "a message"

    def read(self, tile: int, where: np.ndarray, buffer: Buffer, actor: int) -> np.ndarray:
        """The bytes at some addresses."""
        arena = self.arenas[tile]
        self._clash(arena.writer[where], actor, tile, "reads", "writes")
        foreign = arena.owner[where] != buffer.id + 1
        if foreign.any():
            self._say(
                f"{self._name(actor)} reads {int(foreign.sum())} bytes of buffer {buffer.id} on "
                f"tile {tile} that were not written through it, from {int(where[foreign].min())} on"
            )
        others = (arena.reader[where] != 0) & (arena.reader[where] != actor)
        arena.reader[where] = np.where(others, -1, actor)
        self._touched.append((tile, where))
        return arena.bytes[where]

    def write(
        self, tile: int, where: np.ndarray, buffer: Buffer, actor: int, values: np.ndarray
    ) -> None:
        arena = self.arenas[tile]
        self._clash(arena.writer[where], actor, tile, "writes", "writes")
        self._clash(arena.reader[where], actor, tile, "writes", "reads")
        arena.bytes[where] = values
        arena.owner[where] = buffer.id + 1
        arena.writer[where] = actor
        self._touched.append((tile, where))

    def forget(self, tile: int, start: int, size: int) -> None:
        """What an instance leaves in its own part is nothing that the next may count on."""
        self.arenas[tile].bytes[start : start + size] = FRESH
        self.arenas[tile].owner[start : start + size] = 0

    def sync(self) -> None:
        self.superstep += 1
        for tile, where in self._touched:
            self.arenas[tile].writer[where] = 0
            self.arenas[tile].reader[where] = 0
        self._touched.clear()

    def _clash(self, marks: np.ndarray, actor: int, tile: int, verb: str, other: str) -> None:
        theirs = marks[(marks != 0) & (marks != actor)]
        if theirs.size:
            name = self._name(int(theirs[0]))
            self._say(
                f"superstep {self.superstep}: {self._name(actor)} {verb} {theirs.size} bytes on "
                f"tile {tile} that {name} {other}"
            )

    def _say(self, sentence: str) -> None:
        key = tuple(word for word in sentence.split() if not word.isdecimal())
        if key not in self._known:
            self._known.add(key)
            self.faults.append(sentence)
