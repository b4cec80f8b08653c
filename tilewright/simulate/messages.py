"""The messages of a move, by tile: who sends how many bytes to whom, without an object for any.

In: a move from home to home. Out: `pairs`: runs of elements within one block on either side, as
columns of tiles from and to and of bytes. Or, where what a message is sent from and where it goes
hang on different variables, `totals`: bytes by tile, in as many steps as either side has blocks: a
gather of 3,600 parts of 900 sums is 4,500 steps, not 3.2 million.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import Buffer, Move, View

Columns = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Tiles from, tiles to, bytes."""


@frozen
class Totals:
    """Bytes by tile: what leaves it, what comes, and what stays on it."""

    sent: np.ndarray
    received: np.ndarray
    own: np.ndarray


@frozen
class _Axis:
    """A dimension or a variable: how many, and how far each step of it is on either side."""

    count: int
    source: int
    target: int


def totals(move: Move, tiles: int) -> Totals | None:
    """None where an axis moves both sides from block to block, or a view reaches over a block."""
    axes = [axis for axis in _axes(move) if axis.count > 1]
    sides = [(move.source, "source"), (move.target, "target")]
    moving = [found for view, name in sides if (found := _moving(view, axes, name)) is not None]
    if len(moving) < 2 or set(moving[0]) & set(moving[1]):
        return None
    every = prod(axis.count for axis in axes)
    item = numpy_dtype(move.source.dtype).itemsize
    at = [
        _tiles_along(view, [axes[i] for i in some], name)
        for (view, name), some in zip(sides, moving, strict=True)
    ]
    froms, tos = (np.bincount(tile, minlength=tiles).astype(float) for tile in at)
    beside = every / (at[0].size * at[1].size)
    return Totals(
        froms * (item * at[1].size * beside), tos * (item * at[0].size * beside),
        froms * tos * (item * beside),
    )  # fmt: skip


def _axes(move: Move) -> list[_Axis]:
    source, target = move.source, move.target
    dims = zip(source.shape, source.strides, target.strides, strict=True)
    found = [_Axis(n, s, t) for n, s, t in dims]
    for var, count in zip(move.vars, move.counts, strict=True):
        steps = [sum(s for v, s in view.moves if v == var) for view in (source, target)]
        found.append(_Axis(count, *steps))
    return found


def _moving(view: View, axes: list[_Axis], side: str) -> list[int] | None:
    """Which axes go from block to block; the others must stay within one."""
    block, found = view.buffer.block, []
    low = high = view.offset % block
    for number, axis in enumerate(axes):
        step = getattr(axis, side)
        if step and step % block == 0:
            found.append(number)
            continue
        low += min(0, (axis.count - 1) * step)
        high += max(0, (axis.count - 1) * step)
    return found if low >= 0 and high < block else None


def _tiles_along(view: View, axes: list[_Axis], side: str) -> np.ndarray:
    """Of the blocks that some axes go through, one after the other."""
    found = np.array([view.offset // view.buffer.block], np.int64)
    for axis in axes:
        step = getattr(axis, side) // view.buffer.block
        found = (found[:, None] + np.arange(axis.count) * step).reshape(-1)
    assert view.buffer.homes is not None
    return view.buffer.homes.tile(found)


def pairs(move: Move) -> Columns:
    item = numpy_dtype(move.source.dtype).itemsize
    length = _run(move)
    at, to = (starts(view, move, length) for view in (move.source, move.target))
    left = np.full(at.shape, length)
    at, to, left = _cut(at, to, left, move.source.buffer.block)
    to, at, left = _cut(to, at, left, move.target.buffer.block)
    return tile_of(move.source.buffer, at), tile_of(move.target.buffer, to), left * float(item)


def lands(view: View, move: Move) -> tuple[np.ndarray, np.ndarray]:
    """Of one side of a move: the tile of each run of elements within a block, and its length."""
    length = _run(move)
    at = starts(view, move, length)
    at, _, left = _cut(at, at, np.full(at.shape, length), view.buffer.block)
    return tile_of(view.buffer, at), left


def sources(move: Move) -> Columns:
    """Of each message, by number: the tiles that it leaves, and how many bytes each."""
    length, block = _run(move), move.source.buffer.block
    at = starts(move.source, move, length)
    number = np.arange(at.size) // max(move.source.size // length, 1)
    parts = 1 + -(-np.maximum(length - (block - at % block), 0) // block)
    at, _, left = _cut(at, at, np.full(at.shape, length), block)
    item = numpy_dtype(move.source.dtype).itemsize
    return np.repeat(number, parts), tile_of(move.source.buffer, at), left * float(item)


def _cut(
    at: np.ndarray, other: np.ndarray, left: np.ndarray, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs cut where a block of the first column ends."""
    room = block - at % block
    if not at.size or np.all(left <= room):
        return at, other, left
    parts = 1 + -(-np.maximum(left - room, 0) // block)
    run = np.repeat(np.arange(at.size), parts)
    number = np.arange(run.size) - np.repeat(np.cumsum(parts) - parts, parts)
    begin = np.where(number == 0, 0, room[run] + (number - 1) * block)
    end = np.minimum(left[run], room[run] + number * block)
    return at[run] + begin, other[run] + begin, end - begin


def _run(move: Move) -> int:
    """How many elements lie side by side on both sides."""
    length, expected = 1, 1
    for n, s, t in zip(
        reversed(move.source.shape),
        reversed(move.source.strides),
        reversed(move.target.strides),
        strict=True,
    ):
        if n != 1 and (s != expected or t != expected):
            break
        length, expected = length * n, expected * n
    return length


def starts(view: View, move: Move, length: int) -> np.ndarray:
    """The first element of every run, for every value of the move's variables."""
    rows = view.size // max(length, 1)
    shape, strides, kept = [], [], rows
    for n, s in zip(view.shape, view.strides, strict=True):
        if kept > 1 and n > 1:
            shape.append(n)
            strides.append(s)
            kept //= n
    found = np.array([view.offset if rows else 0], np.int64)[: rows and 1]
    for var, count in zip(move.vars, move.counts, strict=True):
        step = sum(step for v, step in view.moves if v == var)
        found = (found[:, None] + np.arange(count) * step).reshape(-1)
    for n, s in zip(shape, strides, strict=True):
        found = (found[:, None] + np.arange(n) * s).reshape(-1)
    return found


def tile_of(buffer: Buffer, element: np.ndarray) -> np.ndarray:
    assert buffer.homes is not None
    return buffer.homes.tile(element // buffer.block)
