"""Where buffers lie in their arenas: live ones never overlap.

Steps are numbered in program order. A buffer lives from the first step that touches it to the last;
through the whole of a loop that it was alive before, or that fills it piece by piece; through all
spreads without a `Sync` between them; the test of a while loop, through its body. Buffers are then
placed largest first, each at the lowest offset where no buffer lives at the same time. "home" and
"tile" buffers lie in one memory, that of each tile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tilewright.frozen import frozen
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Pipeline,
    Replicas,
    Spread,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.offsets import Life, Row, pack


@dataclass
class Placement:
    offsets: dict[Buffer, int] = field(default_factory=dict)
    shared_bytes: int = 0
    tile_bytes: int = 0


def place_buffers(steps: Sequence[Step]) -> Placement:
    """Offsets for every "shared" and "tile" buffer that the steps touch."""
    lives = lifetimes(steps)
    placement = Placement()
    for name, spaces in (("shared_bytes", ("shared",)), ("tile_bytes", ("tile", "home"))):
        chosen = {b: life for b, life in lives.items() if b.space in spaces}
        setattr(placement, name, _packed(chosen, placement.offsets))
    return placement


def lifetimes(steps: Sequence[Step]) -> dict[Buffer, Life]:
    """First and last moment of each buffer, loops counted whole for what outlives a turn."""
    lives: dict[Buffer, Life] = {}
    clock = _Clock(lives)
    clock.walk(steps)
    return lives


def lives_and_loops(steps: Sequence[Step]) -> tuple[dict[Buffer, Life], list[Life]]:
    """The same, and from when to when each loop turns, inner ones before those around them."""
    clock = _Clock({})
    clock.walk(steps)
    return clock.lives, clock.loops


class _Clock:
    def __init__(self, lives: dict[Buffer, Life]):
        self.lives = lives
        self.loops: list[Life] = []
        self.time = 0
        self.moving: dict[Buffer, set[Var]] = defaultdict(set)

    def touch(self, view: View) -> None:
        self.moving[view.buffer].update(var for var, _ in view.moves)
        life = self.lives.get(view.buffer)
        if life is None:
            self.lives[view.buffer] = Life(self.time, self.time)
        else:
            life.last = self.time

    def walk(self, steps: Sequence[Step | _Read]) -> set[Buffer]:
        """Visit steps; the buffers they touched."""
        touched: set[Buffer] = set()
        together: set[Buffer] = set()
        start = self.time
        for step in steps:
            self.time += 1
            if not isinstance(step, Spread):
                together, start = set(), self.time
            match step:
                case Call(_, views):
                    for view in views:
                        self.touch(view)
                        touched.add(view.buffer)
                case Spread():
                    together |= self.repeat(step.steps, step.var)
                    touched |= together
                    self.overlap(together, start)
                case Loop() | Map() | Replicas():
                    start = self.time
                    touched |= self.repeat(step.steps, step.var)
                    if isinstance(step, Loop):
                        self.loops.append(Life(start, self.time))
                case Pipeline(var, _, _, parts, passed):
                    between = Exchange(tuple(move for moves in passed for move in moves))
                    touched |= self.pipeline(var, parts, between)
                case Family():
                    touched |= self.repeat(step.steps, *step.vars)
                case Exchange(moves):
                    for move in moves:
                        for view in (move.source, move.target):
                            self.touch(view)
                            touched.add(view.buffer)
                case While(condition, test, body):
                    # Tile 0 may be far into the body before another tile looks at the test.
                    start = self.time
                    touched |= self.repeat((*condition, _Read(test), *body, _Read(test)))
                    self.loops.append(Life(start, self.time))
                case _Read(view):
                    self.touch(view)
                    touched.add(view.buffer)
                case Branch(index, cases):
                    self.touch(index)
                    touched.add(index.buffer)
                    for case in cases:
                        touched |= self.walk(case)
                case Sync():
                    pass
        return touched

    def pipeline(self, var: Var, parts: Sequence[Sequence[Step]], passed: Exchange) -> set[Buffer]:
        """What is passed on lives from turn to turn."""
        between = self.walk((passed,))
        return between | self.repeat((*(s for part in parts for s in part), passed), var)

    def overlap(self, buffers: set[Buffer], start: int) -> None:
        """All live from `start` to now."""
        for buffer in buffers:
            life = self.lives[buffer]
            life.first, life.last = min(life.first, start), self.time

    def repeat(self, steps: Sequence[Step | _Read], *vars: Var) -> set[Buffer]:
        """A body that runs again: what was alive before it stays alive to its end."""
        start = self.time
        touched = self.walk(steps)
        self.time += 1
        for buffer in touched:
            life = self.lives[buffer]
            if not self.moving[buffer].isdisjoint(vars):
                life.first = min(life.first, start)
            if life.first <= start:
                life.last = self.time
        return touched


@frozen
class _Read:
    view: View


def _packed(lives: dict[Buffer, Life], offsets: dict[Buffer, int]) -> int:
    """The end of the highest buffer. Where tiles have little memory, and gaps would take much of
    it, also with those first that live longest."""
    found: dict[Buffer, int] = {}
    end = pack(sorted(lives.items(), key=_by_size), found)
    if any(buffer.homes for buffer in lives) and end > GAPS * _most(lives):
        other: dict[Buffer, int] = {}
        again = pack(sorted(lives.items(), key=_by_life), other)
        if again < end:
            end, found = again, other
    offsets.update(found)
    return end


GAPS = 1.1
"""Times what lives at once, that offsets may ask for before others are tried."""


def _by_size(row: Row) -> tuple[int, int]:
    return -row[0].tile_bytes, row[1].first


def _by_life(row: Row) -> tuple[int, int]:
    return row[1].first - row[1].last, -row[0].tile_bytes


def _most(lives: dict[Buffer, Life]) -> int:
    """Bytes at the fullest moment, as if each tile had all."""
    change: dict[int, int] = defaultdict(int)
    for buffer, life in lives.items():
        change[life.first] += buffer.tile_bytes
        change[life.last + 1] -= buffer.tile_bytes
    return max(accumulate(change[moment] for moment in sorted(change)), default=0)
