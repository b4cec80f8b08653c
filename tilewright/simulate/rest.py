"""What a tile's memory holds beside arrays, by tile: code, states of vertices, lists of messages.

In: a program with homes. Out: bytes by tile, by kind. All of it is an estimate by counts that a
plan has; the bytes of each are assumed, as nobody publishes what a compiler of ours would emit. A
plan leaves a tenth of each tile to it (`plan/apart/distribution.py`), whatever it comes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.plan.homes import Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Exchange,
    Family,
    Loop,
    Pipeline,
    Program,
    Replicas,
    Step,
    While,
)
from tilewright.plan.sources import calls_of

CODE = 64 * 8
"""Bytes of a codelet: 64 bundles of two instructions."""
FIELD = 4
"""Of each operand of a vertex, and of the vertex: where it lies, what runs it."""
MESSAGE = 8
"""Of each message that a tile sends or gets: when, and where from or to."""
KINDS = ("code", "state of vertices", "lists of messages")


def rest_of(program: Program) -> Mapping[str, np.ndarray]:
    """By kind. Instances on chips of their own: those of the first chip."""
    found = {kind: np.zeros(program.tiles) for kind in KINDS}
    homes: dict[Codelet, set[Homes]] = {}
    for step in _steps(program.steps):
        if isinstance(step, Exchange):
            for move in step.moves:
                for side in (move.source.buffer, move.target.buffer):
                    _add_messages(found["lists of messages"], side, prod(move.counts))
            continue
        calls, tiles = list(calls_of(step.steps)), step.homes.tile(np.arange(step.homes.blocks))
        size = FIELD * sum(1 + len(call.views) for call in calls)
        found["state of vertices"] += size * np.bincount(tiles, minlength=program.tiles)
        for call in calls:
            homes.setdefault(call.codelet, set()).add(step.homes)
    for some in homes.values():
        here = np.zeros(program.tiles, bool)
        for one in some:
            here[one.tiles()] = True
        found["code"] += CODE * here
    return found


def _add_messages(found: np.ndarray, buffer: Buffer, messages: int) -> None:
    """As if each tile had as many as any other, one at least."""
    if buffer.homes is not None:
        tiles = buffer.homes.tiles()
        copies = buffer.homes.copy_tiles().size
        found[tiles] += MESSAGE * max(messages * copies / tiles.size, 1.0)


def _steps(steps: Sequence[Step]) -> Iterator[Family | Exchange]:
    for step in steps:
        match step:
            case Family() | Exchange():
                yield step
            case Loop() | Replicas():
                yield from _steps(step.steps)
            case While(condition, _, body):
                yield from _steps((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from _steps(case)
            case Pipeline():
                for part in step.parts:
                    yield from _steps(part)
                yield Exchange(tuple(move for some in step.passed for move in some))
