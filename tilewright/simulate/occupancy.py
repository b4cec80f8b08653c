"""What lies in the memory of each tile: bytes by tile and by moment, and who has most of them.

In: a program with homes. Out: `Occupancy`; or, where a tile has less than it needs, a sentence.
A buffer counts from the first step that touches it to the last (`plan/memory.py`), on every tile
that has blocks or copies of it. Code, the state of vertices and lists of messages are estimated
apart (`rest.py`): a share of each tile (`ROOM`) is left to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.frozen import frozen
from tilewright.machine.machine import Machine
from tilewright.plan.apart.distribution import ROOM
from tilewright.plan.ir import Buffer, Pipeline, Program, Replicas
from tilewright.plan.memory import Life, lives_and_loops
from tilewright.plan.sources import calls_of
from tilewright.simulate.rest import rest_of
from tilewright.simulate.tenants import KINDS, kinds_of

Lives = Mapping[Buffer, Life]

LARGEST = 3
"""Tenants that a sentence names."""


@frozen
class Occupancy:
    """`kinds` are bytes by tile at the fullest moment, by kind (`tenants.py`); `by_moment` of the
    fullest tile, step by step.

    `stays` is what of it was there before the outermost loop around that moment began, and is there
    when it ends, by tile (around none: the loop through which most lives, or the program).
    `tenants` are buffers at that moment on the fullest tile, largest first. `needed` is what
    offsets ask for: never less. `rest` is what is no array (`rest.py`).
    """

    kinds: Mapping[str, np.ndarray]
    stays: np.ndarray
    by_moment: np.ndarray
    tenants: tuple[Buffer, ...]
    needed: int
    rest: Mapping[str, np.ndarray]

    @property
    def by_tile(self) -> np.ndarray:
        """Of all kinds."""
        return sum(self.kinds.values(), np.zeros(self.stays.size))

    @property
    def fullest(self) -> int:
        """The tile."""
        return int(np.argmax(self.by_tile)) if self.stays.size else 0

    @property
    def always(self) -> int:
        """Bytes that stay on the fullest tile."""
        return int(self.stays[self.fullest]) if self.stays.size else 0


@frozen
class _Fullest:
    """What tiles hold at one moment."""

    kinds: dict[str, np.ndarray]
    stays: np.ndarray
    present: tuple[Buffer, ...]


def occupancy(program: Program) -> Occupancy:
    known, loops = lives_and_loops(program.steps)
    lives = {b: life for b, life in known.items() if b in program.offsets}
    kinds, end = kinds_of(program), max((life.last for life in lives.values()), default=0)
    clock = _Clock(program.tiles, kinds, loops or [Life(1, end)], end)
    found, rest = clock.at_fullest(lives), rest_of(program)
    full = _fullest(found)
    for step in program.steps:
        if isinstance(step, Pipeline):  # each part has a fullest moment of its own
            chips = [_of_chip(lives, clock, part, step) for part in range(len(step.parts))]
            found = _joined(chips, program.tiles)
            full = _fullest(found)
            found = replace(found, present=chips[full // step.stride].present)
    by_moment = np.zeros(end + 2)
    for buffer, life in lives.items():
        if full in _tiles(buffer, program.tiles):
            by_moment[life.first] += buffer.tile_bytes
            by_moment[life.last + 1] -= buffer.tile_bytes
    for step in program.steps:
        if isinstance(step, Replicas):  # every chip has what the first has
            found = _repeated(found, step, program.tiles)
            rest = {kind: _by_chips(some, step, program.tiles) for kind, some in rest.items()}
    tenants = [b for b in found.present if full in _tiles(b, program.tiles)]
    order = sorted(tenants, key=lambda b: -b.tile_bytes)
    return Occupancy(
        found.kinds, found.stays, np.cumsum(by_moment)[:-1], tuple(order), program.tile_bytes,
        rest,
    )  # fmt: skip


def _fullest(found: _Fullest) -> int:
    return int(np.argmax(sum(found.kinds.values()))) if found.kinds else 0


@frozen
class _Clock:
    """Moments of a program from 0 to `end`; `loops` are of it, or the whole."""

    tiles: int
    kinds: Mapping[Buffer, str]
    loops: Sequence[Life]
    end: int

    def at_fullest(self, lives: Lives) -> _Fullest:
        """When there is most, as if every tile had all."""
        change = np.zeros(self.end + 2)
        for buffer, life in lives.items():
            change[life.first] += buffer.tile_bytes
            change[life.last + 1] -= buffer.tile_bytes
        moment = int(np.argmax(np.cumsum(change)))
        present = tuple(b for b, life in lives.items() if life.first <= moment <= life.last)
        loops = [loop for loop in self.loops if loop.first < moment <= loop.last] or self.loops
        through = [_through(loop, present, lives) for loop in loops]
        staying = max(through, key=lambda some: sum(b.tile_bytes for b in some))
        if loops is not self.loops:
            staying = through[-1]  # of the outermost
        held, stays = {kind: np.zeros(self.tiles) for kind in KINDS}, np.zeros(self.tiles)
        for buffer in present:
            where = _tiles(buffer, self.tiles)
            held[self.kinds[buffer]][where] += buffer.tile_bytes
            if buffer in staying:
                stays[where] += buffer.tile_bytes
        return _Fullest(held, stays, present)


def _through(loop: Life, present: Sequence[Buffer], lives: Lives) -> set[Buffer]:
    """What lives through a whole loop."""
    return {b for b in present if lives[b].first <= loop.first and lives[b].last >= loop.last}


def _of_chip(lives: Lives, clock: _Clock, part: int, line: Pipeline) -> _Fullest:
    """The same of one part of a pipeline."""
    chip = slice(part * line.stride, (part + 1) * line.stride)
    own = {
        buffer: life
        for buffer, life in lives.items()
        if buffer.homes is None or buffer.homes.tiles()[0] // line.stride == part
    }
    found = clock.at_fullest(own)
    held = {kind: some[chip] for kind, some in found.kinds.items()}
    return _Fullest(held, found.stays[chip], found.present)


def _joined(chips: Sequence[_Fullest], tiles: int) -> _Fullest:
    def one(parts: Sequence[np.ndarray]) -> np.ndarray:
        found = np.concatenate(parts)
        return np.pad(found, (0, tiles - found.size))

    held = {kind: one([chip.kinds[kind] for chip in chips]) for kind in KINDS}
    return _Fullest(held, one([chip.stays for chip in chips]), ())


def _repeated(found: _Fullest, step: Replicas, tiles: int) -> _Fullest:
    held = {kind: _by_chips(some, step, tiles) for kind, some in found.kinds.items()}
    return replace(found, kinds=held, stays=_by_chips(found.stays, step, tiles))


def _by_chips(first: np.ndarray, step: Replicas, tiles: int) -> np.ndarray:
    every = np.resize(first[: step.stride], tiles)
    every[step.chips * step.stride :] = 0
    return every


def _tiles(buffer: Buffer, tiles: int) -> np.ndarray:
    return np.arange(tiles) if buffer.homes is None else buffer.homes.tiles()


def too_much(program: Program, machine: Machine) -> str:
    """What does not fit, by how much, the largest tenants, what would help; "" if all fits."""
    room = int(machine.tile.memory * ROOM)
    if program.tile_bytes <= room:
        return ""
    found, kinds = occupancy(program), kinds_of(program)
    others = int((found.by_tile > room).sum()) - 1
    whose = [_whose(b, program) for b in found.tenants[:LARGEST]]
    tenants = "; ".join(
        f"{described(b, program)}, {kinds[b]}" + (f", of {who}" if who else "")
        for b, who in zip(found.tenants, whose, strict=False)
    )
    first = found.tenants[0].homes if found.tenants else None
    alone = first is not None and first.tiles().size == 1 and whose[0]
    uncut = f"No way is known to cut {whose[0]} over tiles. " if alone else ""
    times = -(-program.tile_bytes // room)
    return (
        f"{machine.name}: tile {found.fullest} needs {program.tile_bytes:,} bytes, "
        f"{program.tile_bytes - room:,} more than the {room:,} that code and messages leave it. "
        f"{max(others, 0):,} of the other {program.tiles - 1:,} tiles fall short as well. "
        f"Largest: {tenants}. {uncut}"
        f"{times} times the tiles, smaller batches, or fewer bits a number would help."
    )


def _whose(buffer: Buffer, program: Program) -> str:
    """The first vertex that touches it, and the user's line."""
    for call in calls_of(program.steps):
        if any(view.buffer is buffer for view in call.views):
            line = f" ({call.source})" if call.source else ""
            return f"{call.codelet.name}{line}"
    return ""


def described(buffer: Buffer, program: Program) -> str:
    """A tenant in words."""
    if buffer.homes is None:
        return f"{buffer.tile_bytes:,} bytes of an instance's own {buffer.dtype}"
    homes = buffer.homes
    copies = homes.copy_tiles().size
    many = f", {copies:,} copies" if copies > 1 else ""
    return (
        f"{buffer.tile_bytes:,} bytes of {buffer.dtype}, {homes.blocks:,} blocks of "
        f"{buffer.block:,} on {homes.tiles().size:,} tiles{many}"
    )
