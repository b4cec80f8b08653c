"""The memory of a stream: where in it everything lies that calls of one level need.

In: the pieces of a level, the types of the state. Out: a `Layout`: bytes counted from a stream's
beginning. A piece has a context (`codegen/context.py`) and tables of its own; arenas are shared by
all, since nothing in them outlasts a call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from tilewright.c_export.pieces import Piece, Pieces
from tilewright.codegen.context import LINE, Context
from tilewright.codegen.meeting import barrier_bytes
from tilewright.frozen import frozen
from tilewright.graph.ir import Type

HEAD = {
    name: 8 * place
    for place, name in enumerate(
        ("level", "prepared", "unsettled", "late", "workers", "patience", "helper", "post", "wait")
    )
}
"""Words that a stream begins with; the last five are its help (`gang.py`)."""
HEAD_BYTES = 2 * LINE
_PAGE = 4096


@frozen
class Room:
    """Of a piece; `control` is what is zero before every run."""

    context: int
    inputs: int
    outputs: int
    control: int
    control_bytes: int
    fields: tuple[tuple[str, int], ...]
    """Pointers of the context into the control block."""


@frozen
class Layout:
    """`state`, `filled`, `carried`: where their arrays lie; `state_bytes`: what the first take.

    These are the same on every level; `filled` are ticks whose gaps have been filled (`gaps.py`).
    """

    rooms: dict[str, Room]
    state: tuple[int, ...]
    state_bytes: int
    filled: tuple[int, ...]
    carried: tuple[int, ...]
    shared: int
    tile: int
    tile_stride: int
    size: int


def layout_of(
    pieces: Pieces, state: Sequence[Type], held: Sequence[Type] = (), tiles: int = 1
) -> Layout:
    """`held` are arrays of a tick that belong to the state, too, as they were last, behind it."""
    at = HEAD_BYTES
    placed, at = _one_by_one([*state, *held], at)
    state_bytes = at - HEAD_BYTES
    filled, at = _one_by_one(held, at)
    carried, at = _one_by_one(pieces.carried, at)
    rooms = {}
    for piece in pieces.pieces:
        rooms[piece.name], at = _room(piece, at, tiles)
    images = [piece.image for piece in pieces.pieces]
    shared, at = at, at + _up(max(image.shared_bytes for image in images))
    stride = _up(max(image.tile_bytes for image in images) + LINE)
    tile, at = at, at + stride * tiles
    size = _up(at, _PAGE)
    return Layout(rooms, placed, state_bytes, filled, carried, shared, tile, stride, size)


def _one_by_one(types: Sequence[Type], at: int) -> tuple[tuple[int, ...], int]:
    places = []
    for kind in types:
        places.append(at)
        at += _up(kind.nbytes)
    return tuple(places), at


def _room(piece: Piece, at: int, tiles: int) -> tuple[Room, int]:
    image = piece.image
    context, at = at, at + _up(ctypes.sizeof(Context))
    inputs, at = at, at + _up(8 * max(1, len(piece.places)))
    outputs, at = at, at + _up(8 * max(1, piece.results))
    sizes = {
        "barrier": barrier_bytes(tiles),
        "cancel": LINE,
        "completed": LINE,
        "drained": LINE,
        "filled": LINE,
        "trips": tiles * trips_stride(piece),
        "queues": tiles * image.maps * LINE,
        "done": LINE,
    }
    control, fields = at, []
    for name, size in sizes.items():
        fields.append((name, at))
        at += size
    return Room(context, inputs, outputs, control, at - control, tuple(fields)), at


def trips_stride(piece: Piece) -> int:
    """Bytes from one worker's counters to the next worker's."""
    return _up(8 * len(piece.image.loops))


def _up(size: int, step: int = LINE) -> int:
    return -(-size // step) * step
