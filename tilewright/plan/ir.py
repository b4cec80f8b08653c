"""The program: WHERE each array lives and WHEN each vertex runs.

    Program  = buffers, inputs, outputs, steps: Step*
    Step     = Call(codelet, views)             one vertex, on the tile that gets there
             | Loop(var, count, steps)          counted, on the same tile(s)
             | While(condition steps, test, steps)
             | Branch(index, cases)
             | Spread(var, count, steps)        pieces of one computation, dealt out to the tiles
             | Map(var, count, steps)           instances of their own, which may be streamed
             | Sync()                           every tile waits for all
             | Family(vars, counts, homes, steps)    vertices of tiles that share no memory
             | Exchange(moves)                       what passes between their memories
             | Replicas(var, count, chips, stride, steps)    instances on chips of their own
             | Pipeline(var, count, stride, parts, passed)   instances, from chip to chip

A `Map` deals out values of `var` one by one, to whichever tile is free; a `Spread` gives each tile
a share of neighbours, and who is done helps the others. No order changes a bit, and nobody waits
for a slow tile. Their bodies are what makes a *vertex family*: the codelets in them, times the
range of `var`, with operands that move affinely with `var` (`View.moves`).
Nothing is stored per vertex. Between two `Sync`s lies one superstep: no tile may touch bytes that
another writes. Outside of `Spread` and `Map`, calls are run by tile 0 alone; inside them there is
no `Sync`.

On a machine whose tiles share no memory nothing is dealt out: each instance of a `Family` has a
home, and so has every block of a "home" buffer, and a vertex touches only what is at home on its
tile. All else is passed on by an `Exchange`, whose messages all go at once, at times fixed
beforehand: it needs a `Sync` after what it reads was computed, and none behind it. On a machine
whose tiles share memory there are neither: what an exchange would move is a `View` there.

Buffers live in one of these spaces:

    "input", "output"   the caller's arrays, by position
    "pattern"           which of two operands a vertex takes, where tiles share no memory: its code
    "constant"          small arrays that the graph itself holds; passed before the inputs
    "shared"            one arena, seen by all tiles
    "tile"              one arena for each tile: what a `Spread` or `Map` body uses in between
    "home"              blocks, each on its own tile (`homes.py`), all at one offset there; element
                        e is element e % size of block e // size, blocks counted row-major

Where tiles share no memory, a mask is a way to read an array: what is gone reads as zeros, at no
cost (`masked.py`). Until arrays have their homes, views of a buffer that is `masked` say so; then
views of where it lies, each with the same elements as they were numbered before. A choice by a
constant is such knowledge, too: its "pattern" has no bytes and no home.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import field
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.homes import Homes

if TYPE_CHECKING:
    from tilewright.codelets.base import Codelet

_ids = itertools.count()

Var = int
"""A loop variable, by number; unique in its program."""


def new_var() -> Var:
    return next(_ids)


@frozen(eq=False)
class Masked:
    """The elements of a buffer, with zeros for those that are `gone` (size,).

    What `moves` a view of that buffer and leaves its mask where it is, is said here.
    """

    of: Buffer
    gone: np.ndarray
    moves: tuple[tuple[Var, int], ...] = ()


@frozen(eq=False)
class Buffer:
    """`size` elements of `dtype` in a `space`; `index` is the position of an input or output.

    `known` is the data of a "pattern": which of two operands each element is (size,), bool.
    """

    dtype: str
    size: int
    space: str
    index: int = -1
    id: int = field(default_factory=lambda: next(_ids))
    homes: Homes | None = None
    masked: Masked | None = None
    known: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.size * numpy_dtype(self.dtype).itemsize

    @property
    def block(self) -> int:
        """Elements of one of its blocks."""
        return self.size // self.homes.blocks if self.homes else self.size

    @property
    def tile_bytes(self) -> int:
        """Of those blocks that one tile has."""
        slots = self.homes.slots if self.homes else 1
        return slots * self.block * numpy_dtype(self.dtype).itemsize


@frozen
class View:
    """A strided window on a buffer: element (i, j, ...) lies at offset + i*strides[0] + ...

    `offset` and `strides` count elements. `moves` adds var * step for each (var, step). `masked` is
    the same window on a masked buffer, where this is one on what that became.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    moves: tuple[tuple[Var, int], ...] = ()
    masked: View | None = None

    @property
    def dtype(self) -> str:
        return self.buffer.dtype

    @property
    def size(self) -> int:
        return prod(self.shape)


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides, in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


@frozen
class Call:
    """One vertex. `views` are the codelet's inputs, then its outputs; `source` is the user's line,
    where tiles share no memory. `asked` are arrays that it asks for, and neither reads nor writes.
    """

    codelet: Codelet
    views: tuple[View, ...]
    source: str = field(default="", compare=False)
    asked: tuple[View, ...] = ()


@frozen
class Loop:
    """`ways`, if anybody chose: what this and other ways to do the same would take."""

    var: Var
    count: int
    steps: tuple[Step, ...]
    ways: str = ""


@frozen
class While:
    condition: tuple[Step, ...]
    test: View
    steps: tuple[Step, ...]


@frozen
class Branch:
    """`index` is an int32 scalar already within range.

    `apart`: tiles are in different cases at the same time, so that each minds its own buffers.
    """

    index: View
    cases: tuple[tuple[Step, ...], ...]
    apart: bool = False


@frozen
class Spread:
    """With `joins`, it needs no `Sync` after the spread before it: both are parts of one work.

    Dealt out `evenly`, each tile does its share of neighbours and helps nobody: of short work.
    `whole` is the vertex whose pieces these are, for who would rather cut it otherwise.
    """

    var: Var
    count: int
    steps: tuple[Step, ...]
    joins: bool = False
    evenly: bool = False
    whole: Call | None = field(default=None, compare=False, repr=False)


@frozen
class Map:
    """`ways` as of a `Loop`."""

    var: Var
    count: int
    steps: tuple[Step, ...]
    ways: str = ""


@frozen
class Sync:
    """`scope` says who waits: "tiles" of one chip, those of all "chips", or the "host", too."""

    scope: str = "tiles"


@frozen
class Family:
    """An instance for each point of a grid, at home where `homes` has the block of that number.

    Several on a tile come one after the other; a vertex has all of a tile's threads.
    """

    vars: tuple[Var, ...]
    counts: tuple[int, ...]
    homes: Homes
    steps: tuple[Step, ...]
    whole: Call | None = field(default=None, compare=False, repr=False)
    """What was cut into this family and those beside it, before they have their places."""


@frozen
class Move:
    """Messages, one for each value of the variables: `target` becomes `source`, to each copy of it.

    Either side may reach over several blocks, or be an input or output: the host's.
    """

    source: View
    target: View
    vars: tuple[Var, ...] = ()
    counts: tuple[int, ...] = ()


@frozen
class Exchange:
    moves: tuple[Move, ...]


@frozen
class Replicas:
    """Instance i of `count` runs on chip i % `chips`, after those that ran there before.

    `steps` are those of the first chip; the homes of chip c are c * `stride` tiles further. Only
    what is the host's moves with `var`; chips do not wait for each other.
    """

    var: Var
    count: int
    chips: int
    stride: int
    steps: tuple[Step, ...]

    @property
    def turns(self) -> int:
        """Instances of the busiest chip."""
        return -(-self.count // self.chips)


@frozen
class Pipeline:
    """Each instance goes through all `parts`, which have tiles of their own: in turn t part p does
    instance t - p of `count`, if there is one. Parts do not wait for each other within a turn;
    after it, `passed` has what part p leaves to the next. What is the host's moves with `var`, the
    instance. A part's tiles begin `stride` tiles after those of the one before.
    """

    var: Var
    count: int
    stride: int
    parts: tuple[tuple[Step, ...], ...]
    passed: tuple[tuple[Move, ...], ...]

    @property
    def turns(self) -> int:
        return self.count + len(self.parts) - 1

    def working(self, turn: int) -> Iterator[tuple[int, int]]:
        """Parts at work in a turn, each with its instance."""
        for part in range(len(self.parts)):
            if 0 <= turn - part < self.count:
                yield part, turn - part


Step = Call | Loop | While | Branch | Spread | Map | Sync | Family | Exchange | Replicas | Pipeline


@frozen
class Program:
    """`offsets` gives each "shared" and "tile" buffer its byte offset in its arena.

    `inputs` are the "constant" buffers, then the graph's inputs. The first of the `outputs` may be
    some of those: what the program overwrites.
    """

    buffers: tuple[Buffer, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    offsets: dict[Buffer, int]
    shared_bytes: int
    tile_bytes: int
    tiles: int = 0
    """That homes are on; 0: none are, and any number of tiles may run it."""
