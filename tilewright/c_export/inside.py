"""What the text of a library is written from: names, and of each level where everything lies."""

from __future__ import annotations

from tilewright.c_export.levels import Level
from tilewright.c_export.pieces import Piece
from tilewright.c_export.stream import Layout
from tilewright.frozen import frozen

ABI = 2
ALLOCATE, FREE = "aligned_alloc", "free"


@frozen
class Inside:
    """One level of a library: its layout, its pieces, and places of arrays among the data."""

    level: Level
    layout: Layout
    pieces: dict[str, Piece]
    inputs: dict[str, list[tuple[str, int]]]
    """Of each piece, where its inputs lie: ("data", byte), ("stream", byte) or ("given", n)."""
    initial: tuple[int, ...]
    """Where the state's first values lie among the data."""
    mark: int = 0
    """And where the line does that saved states begin with."""


@frozen
class Names:
    """`prefix` begins every name; `verb` is what the whole call is called."""

    prefix: str
    verb: str

    def __call__(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    @property
    def whole(self) -> str:
        return self(self.verb)


def symbol(level: int, piece: str) -> str:
    """Of a level's program."""
    return f"tw_level{level}_{piece}"


def exports(names: Names, has_state: bool, tiles: int) -> list[str]:
    """What others may call."""
    plain = ["abi", "open", "open_level", "level", "start", "stop"]
    kept = ["reset", "answer", "prepare", "late", "state_bytes", "save", "restore"]
    shared = ["tiles", "join"]
    return [names.whole, *map(names, plain + kept * has_state + shared * (tiles > 1))]
