"""What lies in tiles' memories, array by array: of what kind, how large, what brings it there.

In: a program with homes; how often loops of unknown length turn. Out: `Tensor`s, or kinds alone.

    given       arguments and constants: weights, data
    computed    what vertices write: activations, sums
    brought     copies of other tiles' blocks, which exchanges write
    working     what an instance has for itself in between
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Move,
    Pipeline,
    Program,
    Replicas,
    Step,
    While,
)
from tilewright.simulate.trips import Trips, whiles

KINDS = ("given", "computed", "brought", "working")


@dataclass
class Tensor:
    """`held` bytes on each of so many `tiles`; `brought` bytes come to it in a run, copies counted.

    `vertex` is the first that writes it, or reads it where none does, `line` the user's.
    """

    buffer: Buffer
    kind: str
    held: int
    tiles: int
    brought: float = 0.0
    vertex: str = ""
    line: str = ""


def kinds_of(program: Program) -> dict[Buffer, str]:
    """Of all that has a place in tiles' memories."""
    walk = _Walk({})
    walk.steps(program.steps, 1.0)
    return {buffer: walk.kind(buffer) for buffer in program.offsets}


def tensors(program: Program, trips: Trips | None = None) -> list[Tensor]:
    """Those that take most of all tiles' memories first.

    Raises `ArgumentError` where a loop of unknown length is in none of `trips`.
    """
    known = {
        number: float(np.mean(turns)) for number, turns in whiles(program, trips or {}).items()
    }
    walk = _Walk(known)
    walk.steps(program.steps, 1.0)
    found = []
    for buffer in program.offsets:
        tiles = program.tiles
        if buffer.homes is not None:
            tiles = buffer.homes.tiles().size * walk.chips.get(buffer, 1)
        call = walk.writers.get(buffer) or walk.readers.get(buffer)
        name, line = (call.codelet.name, call.source) if call else ("", "")
        found.append(
            Tensor(
                buffer, walk.kind(buffer), buffer.tile_bytes, tiles, walk.brought[buffer], name,
                line,
            )
        )  # fmt: skip
    return sorted(found, key=lambda tensor: -tensor.held * tensor.tiles)


@dataclass
class _Walk:
    """`turns` of loops of unknown length, by id: once, where they do not matter."""

    turns: dict[int, float]
    writers: dict[Buffer, Call] = field(default_factory=dict)
    readers: dict[Buffer, Call] = field(default_factory=dict)
    brought: dict[Buffer, float] = field(default_factory=lambda: defaultdict(float))
    hosts: set[Buffer] = field(default_factory=set)
    chips: dict[Buffer, int] = field(default_factory=dict)

    def kind(self, buffer: Buffer) -> str:
        if buffer.homes is None:
            return "working"
        if buffer in self.writers:
            return "computed"
        return "given" if buffer in self.hosts else "brought"

    def steps(self, steps: Sequence[Step], times: float, chips: int = 1) -> None:
        for step in steps:
            match step:
                case Call(codelet, views):
                    for number, view in enumerate(views):
                        known = self.writers if number >= len(codelet.inputs) else self.readers
                        known.setdefault(view.buffer, step)
                        self.chips[view.buffer] = chips
                case Exchange(moves):
                    for move in moves:
                        self.move(move, times, chips)
                case Loop(_, count, body):
                    self.steps(body, times * count, chips)
                case Family(_, _, _, body):
                    self.steps(body, times, chips)
                case While(condition, _, body):
                    turns = self.turns.get(id(step), 1.0)
                    self.steps((*condition, *body), times * turns, chips)
                case Branch(_, cases):
                    for case in cases:
                        self.steps(case, times, chips)
                case Replicas():
                    share = step.count / step.chips
                    self.steps(step.steps, times * share, step.chips)
                case Pipeline():
                    for part in step.parts:
                        self.steps(part, times * step.count, chips)
                    for move in (move for part in step.passed for move in part):
                        self.move(move, times * step.count, chips)

    def move(self, move: Move, times: float, chips: int) -> None:
        target, source = move.target.buffer, move.source.buffer
        if target.homes is None:
            return
        if source.homes is None:
            self.hosts.add(target)
        elements = move.source.size * int(np.prod(move.counts, dtype=np.int64))
        copies = target.homes.copy_tiles().size * chips
        self.brought[target] += times * elements * copies * numpy_dtype(target.dtype).itemsize
        self.chips[target] = chips
