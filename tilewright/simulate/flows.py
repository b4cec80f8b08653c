"""Who sends how much to whom in an exchange: bytes by tile, and between chips.

In: the moves of an exchange, values of loop variables being 0 (what moves with a loop is as large
in every turn). Out: `Flows`. Messages are families of rows of elements, cut where a block ends;
there is no object for any of them, and the work grows with rows, not with tiles that get a copy.

A tile sends once what several tiles get: all of them listen. What a tile already has is no message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tilewright.graph.ir import numpy_dtype
from tilewright.machine.links import hops
from tilewright.plan.homes import Homes
from tilewright.plan.ir import Move
from tilewright.simulate.messages import pairs, sources, starts, tile_of, totals


@dataclass
class Flows:
    """Bytes by tile; `shared` of those received come on a bus that neighbours share. `links` are
    bytes that leave or enter each chip, the larger, over so many `hops` at most; `host` those that
    come from or go there. On a mesh (`mesh.py`) `told` is what comes to a tile as one of several,
    `card` what it reads of the card's memory itself, or writes there, `busiest_link` the bytes that
    pass over one."""

    sent: np.ndarray
    received: np.ndarray
    shared: np.ndarray
    local: np.ndarray
    links: np.ndarray
    host: float = 0.0
    messages: int = 0
    hops: int = 0
    told: np.ndarray | None = None
    card: np.ndarray | None = None
    busiest_link: float = 0.0

    @property
    def passed(self) -> float:
        """Bytes that tiles receive from each other."""
        told = 0.0 if self.told is None else float(self.told.sum())
        return float(self.received.sum() + self.shared.sum()) + told


def flows(moves: Sequence[Move], tiles: int, tiles_a_chip: int, bus: int = 1) -> Flows:
    sent, received, shared, local = (np.zeros(tiles) for _ in range(4))
    chips = -(-tiles // tiles_a_chip)
    within = len({chip for move in moves for chip in _chips(move, tiles_a_chip)}) <= 1
    found = Flows(sent, received, shared, local, np.zeros(1 if within else chips))
    inward, outward = found.links.copy(), found.links.copy()
    links = (inward, outward)
    for move in _listeners_together(moves, found, links, tiles_a_chip, bus):
        source, target = move.source.buffer, move.target.buffer
        size = move.source.size * prod(move.counts) * numpy_dtype(source.dtype).itemsize
        found.messages += prod(move.counts)
        if source.homes is None or target.homes is None:
            found.host += size
            continue
        _add(found, move, source.homes, target.homes, links, tiles_a_chip, bus)
    found.links = np.maximum(inward, outward) if not within else np.zeros(chips)
    return found


def _chips(move: Move, tiles_a_chip: int) -> Iterator[int]:
    """The first and the last of those that a move reaches."""
    for view in (move.source, move.target):
        if view.buffer.homes is not None:
            tiles = view.buffer.homes.tiles()
            yield from (int(tiles[0]) // tiles_a_chip, int(tiles[-1]) // tiles_a_chip)


def _listeners_together(
    moves: Sequence[Move],
    found: Flows,
    links: tuple[np.ndarray, np.ndarray],
    tiles_a_chip: int,
    bus: int,
) -> list[Move]:
    """Moves that send the same to several families: each element once, to all who listen.

    Those whose every message goes to one block are counted here; all others are given back.
    """
    alike: dict[tuple, list[Move]] = {}
    for move in moves:
        alike.setdefault(sends(move), []).append(move)
    rest: list[Move] = []
    for group in alike.values():
        one = group[0]
        placed = one.source.buffer.homes is not None
        if len(group) == 1 or not placed or not all(map(_is_within_blocks, group)):
            rest += group
            continue
        message, listener = _add_listeners(found, group, bus)
        if found.links.size > 1:
            _once_a_chip(found, one, message, listener, links, tiles_a_chip)
        found.messages += len(group) * prod(one.counts)
    return rest


def sends(move: Move) -> tuple:
    """Equal for moves that send the same elements, message by message."""
    view = move.source
    steps = tuple(sum(s for v, s in view.moves if v == var) for var in move.vars)
    return view.buffer, view.shape, view.strides, view.offset, steps, move.counts


def _is_within_blocks(move: Move) -> bool:
    view, block = move.target, move.target.buffer.block
    span = 1 + sum((n - 1) * abs(s) for n, s in zip(view.shape, view.strides, strict=True))
    steps = [sum(s for v, s in view.moves if v == var) for var in move.vars]
    aligned = all(step % block == 0 for step in steps) and view.offset % block + span <= block
    return move.target.buffer.homes is not None and aligned


def _add_listeners(found: Flows, group: Sequence[Move], bus: int) -> tuple[np.ndarray, np.ndarray]:
    """Of neighbours on a bus that get the same message, each gets it so many times as fast. Gives
    each message, by number, with each tile that listens."""
    one, tiles = group[0], found.sent.size
    froms, _, sizes = pairs(one)
    found.sent += np.bincount(froms, sizes, tiles)
    messages, listeners = [], []
    for move in group:
        homes = move.target.buffer.homes
        assert homes is not None
        to = tile_of(move.target.buffer, starts(move.target, move, move.target.size))
        every = to[:, None] + homes.copy_tiles()
        messages.append(np.repeat(np.arange(to.size), every.shape[1]))
        listeners.append(every.reshape(-1))
    message, listener = np.concatenate(messages), np.concatenate(listeners)
    size = float(one.source.size * numpy_dtype(one.source.dtype).itemsize)
    pair = message * tiles + listener // bus
    _, which, several = np.unique(pair, return_inverse=True, return_counts=True)
    both = several[which] == bus
    found.shared += np.bincount(listener[both], minlength=tiles) * size
    found.received += np.bincount(listener[~both], minlength=tiles) * size
    return message, listener


def _once_a_chip(
    found: Flows,
    move: Move,
    message: np.ndarray,
    listener: np.ndarray,
    links: tuple[np.ndarray, np.ndarray],
    tiles_a_chip: int,
) -> None:
    """A chip gets once what any of its tiles listens to, whatever family they are of."""
    inward, outward = links
    chips = inward.size
    pair = np.unique(message * chips + listener // tiles_a_chip)
    message, there = np.divmod(pair, chips)
    number, tile, sizes = sources(move)
    here = tile // tiles_a_chip
    parts = np.bincount(number, minlength=message.max(initial=0) + 1)
    first = np.cumsum(parts) - parts
    often = parts[message]  # each message leaves so many tiles
    run = np.repeat(first[message], often) + _within(often)
    to, at, size = np.repeat(there, often), here[run], sizes[run]
    gone = to != at
    np.add.at(outward, at[gone], size[gone])
    np.add.at(inward, to[gone], size[gone])
    found.hops = max(found.hops, int(hops(at, to, chips).max(initial=0)))


def _within(often: np.ndarray) -> np.ndarray:
    """0, 1, ... of each of so many."""
    return np.arange(often.sum()) - np.repeat(np.cumsum(often) - often, often)


def _add(
    found: Flows,
    move: Move,
    source: Homes,
    target: Homes,
    links: tuple[np.ndarray, np.ndarray],
    tiles_a_chip: int,
    bus: int,
) -> None:
    copies = target.copy_tiles()
    tiles = found.sent.size
    if copies.size == 1 and found.links.size == 1 and (all_ := totals(move, tiles)):
        found.sent += all_.sent - all_.own
        found.received += all_.received - all_.own
        found.local += all_.own
        return
    froms, tos, sizes = pairs(move)
    own = np.isin(froms - tos, copies) if copies.size > 1 else froms == tos
    found.local += np.bincount(froms[own], sizes[own], tiles)
    gone = sizes if copies.size > 1 else np.where(own, 0.0, sizes)
    found.sent += np.bincount(froms, gone, tiles)
    first = np.bincount(tos, sizes, tiles)
    got = np.zeros(tiles)
    some = np.flatnonzero(first)
    np.add.at(got, (some[:, None] + copies).reshape(-1), np.repeat(first[some], copies.size))
    got -= np.bincount(froms[own], sizes[own], tiles)
    twice = bus > 1 and any(stride == 1 and n % bus == 0 for n, stride in target.copies)
    (found.shared if twice and not (some % bus).any() else found.received)[...] += got
    if found.links.size > 1:
        _between_chips(found, froms, tos, sizes, copies, links, tiles_a_chip)


def _between_chips(
    found: Flows,
    froms: np.ndarray,
    tos: np.ndarray,
    sizes: np.ndarray,
    copies: np.ndarray,
    links: tuple[np.ndarray, np.ndarray],
    tiles_a_chip: int,
) -> None:
    """Each chip gets once what any of its tiles gets."""
    inward, outward = links
    far = np.unique(copies // tiles_a_chip * tiles_a_chip)
    here = froms // tiles_a_chip
    for further in far.tolist():
        there = (tos + further) // tiles_a_chip
        leaves = here != there
        np.add.at(outward, here[leaves], sizes[leaves])
        np.add.at(inward, there[leaves], sizes[leaves])
        furthest = hops(here, there, inward.size).max(initial=0)
        found.hops = max(found.hops, int(furthest))
