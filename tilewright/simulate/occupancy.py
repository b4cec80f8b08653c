"""What lies in the memory of each tile: bytes by tile and by moment, and who has most of them.

In: a program with homes. Out: `Occupancy`; or, where a tile has less than it needs, a sentence.
A buffer counts from the first step that touches it to the last (`plan/memory.py`), on every tile
that has blocks or copies of it. Code, the state of vertices and lists of messages are not counted:
a share of each tile (`ROOM`) is left to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tilewright.machine.machine import Machine
from tilewright.plan.distribution import ROOM
from tilewright.plan.ir import Buffer, Pipeline, Program, Replicas
from tilewright.plan.memory import Life, lifetimes
from tilewright.plan.sources import calls_of

Lives = Mapping[Buffer, Life]

LARGEST = 3
"""Tenants that a sentence names."""


@dataclass(frozen=True)
class Occupancy:
    """`by_tile` at the fullest moment; `by_moment` of the fullest tile, step by step.

    `always` is what lives from the first step to the last. `tenants` are buffers at that moment on
    the fullest tile, largest first. `needed` is what offsets ask for: never less.
    """

    by_tile: np.ndarray
    by_moment: np.ndarray
    always: int
    tenants: tuple[Buffer, ...]
    needed: int

    @property
    def fullest(self) -> int:
        """The tile."""
        return int(np.argmax(self.by_tile)) if self.by_tile.size else 0


def occupancy(program: Program) -> Occupancy:
    lives = {b: life for b, life in lifetimes(program.steps).items() if b in program.offsets}
    last = max((life.last for life in lives.values()), default=0)
    by_tile, present = _at_fullest(lives, last, program.tiles)
    full = int(np.argmax(by_tile)) if program.tiles else 0
    for step in program.steps:
        if isinstance(step, Pipeline):  # each part has a fullest moment of its own
            chips = [_of_chip(lives, last, program.tiles, p, step) for p in range(len(step.parts))]
            by_tile = np.concatenate([held for held, _ in chips])
            by_tile = np.concatenate([by_tile, np.zeros(program.tiles - by_tile.size)])
            full = int(np.argmax(by_tile))
            present = chips[full // step.stride][1]
    by_moment = np.zeros(last + 2)
    for buffer, life in lives.items():
        if full in _tiles(buffer, program.tiles):
            by_moment[life.first] += buffer.tile_bytes
            by_moment[life.last + 1] -= buffer.tile_bytes
    for step in program.steps:
        if isinstance(step, Replicas):  # every chip has what the first has
            by_tile = np.resize(by_tile[: step.stride], program.tiles)
            by_tile[step.chips * step.stride :] = 0
    tenants = [b for b in present if full in _tiles(b, program.tiles)]
    always = sum(b.tile_bytes for b in tenants if lives[b].first <= 1 and lives[b].last >= last)
    order = sorted(tenants, key=lambda b: -b.tile_bytes)
    return Occupancy(by_tile, np.cumsum(by_moment)[:-1], always, tuple(order), program.tile_bytes)


def _at_fullest(lives: Lives, last: int, tiles: int) -> tuple[np.ndarray, list[Buffer]]:
    """Bytes by tile when there are most, as if every tile had all; and what is there then."""
    change = np.zeros(last + 2)
    for buffer, life in lives.items():
        change[life.first] += buffer.tile_bytes
        change[life.last + 1] -= buffer.tile_bytes
    moment = int(np.argmax(np.cumsum(change)))
    present = [b for b, life in lives.items() if life.first <= moment <= life.last]
    by_tile = np.zeros(tiles)
    for buffer in present:
        by_tile[_tiles(buffer, tiles)] += buffer.tile_bytes
    return by_tile, present


def _of_chip(
    lives: Lives, last: int, tiles: int, part: int, line: Pipeline
) -> tuple[np.ndarray, list[Buffer]]:
    """The same of one part of a pipeline."""
    chip = slice(part * line.stride, (part + 1) * line.stride)
    own = {
        buffer: life
        for buffer, life in lives.items()
        if buffer.homes is None or buffer.homes.tiles()[0] // line.stride == part
    }
    held, present = _at_fullest(own, last, tiles)
    return held[chip], present


def _tiles(buffer: Buffer, tiles: int) -> np.ndarray:
    return np.arange(tiles) if buffer.homes is None else buffer.homes.tiles()


def too_much(program: Program, machine: Machine) -> str:
    """What does not fit, by how much, the largest tenants, what would help; "" if all fits."""
    room = int(machine.tile.memory * ROOM)
    if program.tile_bytes <= room:
        return ""
    found = occupancy(program)
    others = int((found.by_tile > room).sum()) - 1
    whose = [_whose(b, program) for b in found.tenants[:LARGEST]]
    tenants = "; ".join(
        described(b, program) + (f", of {who}" if who else "")
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
