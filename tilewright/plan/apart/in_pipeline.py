"""A pipeline over chips: the program of all instances, from that of each part on one chip.

In: what all instances share and have of their own (`replicas.py`), the parts (`pipeline.py`), each
part's program for one chip. Out: a `Program`: what is shared is brought once, then a `Pipeline`.
Always: a part is at home on the chip of its number; what it is given lies evenly over its chip's
tiles, and comes there after the turn in which the part before made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tilewright.graph.ir import Value
from tilewright.machine.machine import Machine
from tilewright.plan.apart.pipeline import Part
from tilewright.plan.apart.replicas import Instances
from tilewright.plan.homes import Homes, evenly
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
    Step,
    Var,
    View,
    While,
    new_var,
)
from tilewright.plan.memory import place_buffers


def pipelined(
    found: Instances, parts: Sequence[Part], programs: Sequence[Program], machine: Machine
) -> Program:
    whole, var = found.graph, new_var()
    inputs = [Buffer(v.dtype, v.type.size, "input", i) for i, v in enumerate(whole.inputs)]
    outputs = [Buffer(v.dtype, v.type.size, "output", i) for i, v in enumerate(whole.outputs)]
    hosts = {
        value: (inputs[position], is_row)
        for value, (position, is_row) in zip(found.body.inputs, found.given, strict=True)
    }
    ends = dict(zip(found.body.outputs, outputs, strict=True))
    chips, constants = [], []
    for number, (part, program) in enumerate(zip(parts, programs, strict=True)):
        first = number * machine.chip.tiles
        given = {v: _evenly(v, first, machine.chip.tiles) for v in part.given}
        own = len(program.inputs) - len(part.graph.inputs)
        constants += program.inputs[:own]
        chip = _Chip(first, var, given)
        for buffer, value in zip(program.inputs[own:], part.graph.inputs, strict=True):
            chip.known[buffer] = (given[value], False) if value in given else hosts[value]
        for buffer, value in zip(program.outputs, part.graph.outputs, strict=True):
            chip.results[buffer] = (ends.get(value), value if value in part.leaves else None)
        chips.append((chip, tuple(chip.top(program.steps))))
    brought = tuple(move for chip, _ in chips for move in chip.brought)
    passed = tuple(
        tuple(_passed(chip.left[value], after.given[value]) for value in after.given)
        for (chip, _), (after, _) in pairwise(chips)
    )
    line = Pipeline(
        var, found.count, machine.chip.tiles, tuple(steps for _, steps in chips), passed
    )
    steps: tuple[Step, ...] = (*((Exchange(brought),) if brought else ()), line)
    placed = place_buffers(steps)
    return Program(
        buffers=(*inputs, *outputs, *constants, *placed.offsets),
        inputs=(*constants, *inputs),
        outputs=tuple(outputs),
        steps=steps,
        offsets=placed.offsets,
        shared_bytes=0,
        tile_bytes=placed.tile_bytes,
        tiles=machine.tiles,
    )


def _evenly(value: Value, first: int, tiles: int) -> Buffer:
    share = max(-(-value.type.size // tiles), 1)
    blocks = max(-(-value.type.size // share), 1)
    homes = evenly(blocks, blocks, first)
    return Buffer(value.dtype, blocks * share, "home", homes=homes)


def _passed(source: View, target: Buffer) -> Move:
    return Move(source, View(target, source.shape, (1,)))


@dataclass
class _Chip:
    """Steps of a part, on a chip whose tiles begin with `first`; `given` is where that lies which
    the part before leaves to it.

    `known` are its inputs: arrays of the host, whether an instance has a row of them, or what lies
    at home here. `results` are its outputs: the host's array, if any, and the value that is passed
    on, if it is one; `left` is where those lie. `brought` is what all instances share.
    """

    first: int
    var: Var
    given: dict[Value, Buffer]
    known: dict[Buffer, tuple[Buffer, bool]] = field(default_factory=dict)
    results: dict[Buffer, tuple[Buffer | None, Value | None]] = field(default_factory=dict)
    moved: dict[Buffer, Buffer] = field(default_factory=dict)
    left: dict[Value, View] = field(default_factory=dict)
    brought: list[Move] = field(default_factory=list)

    def top(self, steps: Sequence[Step]) -> Iterator[Step]:
        """Of no loop: here what is shared comes once, and results go where they are wanted."""
        for step in steps:
            if isinstance(step, Exchange):
                moves = tuple(m for move in step.moves for m in self.ended(move))
                if moves:
                    yield Exchange(moves)
            else:
                yield self.step(step)

    def ended(self, move: Move) -> Iterator[Move]:
        host, value = self.results.get(move.target.buffer, (move.target.buffer, None))
        if value is not None:
            self.left[value] = self.view(move.source)
        if host is None:
            return
        new = self.move(move)
        if self._is_shared(move.source):
            self.brought.append(new)
        else:
            yield new

    def _is_shared(self, view: View) -> bool:
        if view.buffer.space == "constant":
            return True
        buffer, is_row = self.known.get(view.buffer, (view.buffer, True))
        return buffer.space == "input" and not is_row

    def step(self, step: Step) -> Step:
        match step:
            case Exchange(moves):
                return Exchange(tuple(map(self.move, moves)))
            case Family(_, _, homes, body):
                return replace(step, homes=self.homes(homes), steps=self.all(body))
            case Call(_, views):
                return replace(step, views=tuple(map(self.view, views)))
            case Loop(_, _, body):
                return replace(step, steps=self.all(body))
            case While(condition, test, body):
                return While(self.all(condition), self.view(test), self.all(body))
            case Branch(index, cases):
                return replace(step, index=self.view(index), cases=tuple(map(self.all, cases)))
        return step

    def all(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(map(self.step, steps))

    def move(self, move: Move) -> Move:
        return replace(move, source=self.view(move.source), target=self.view(move.target))

    def homes(self, homes: Homes) -> Homes:
        return replace(homes, first=homes.first + self.first)

    def view(self, view: View) -> View:
        buffer = view.buffer
        if buffer in self.known:
            mine, is_row = self.known[buffer]
            rows = ((self.var, buffer.size),) if is_row else ()
            return replace(view, buffer=mine, moves=(*view.moves, *rows))
        host, _ = self.results.get(buffer, (None, None))
        if host is not None:
            return replace(view, buffer=host, moves=(*view.moves, (self.var, buffer.size)))
        if buffer.homes is None:
            return view
        if buffer not in self.moved:
            self.moved[buffer] = Buffer(
                buffer.dtype, buffer.size, "home", homes=self.homes(buffer.homes)
            )
        return replace(view, buffer=self.moved[buffer])
