"""A program as text: one step a line, bodies indented.

%3 = shared float32 880 at 4096             a buffer
contract_outer_f32_40x22x128 (%9 (40,128), %7[v1*2816] (128,22)) -> %3 (40,22)
spread v0 < 12:                             v0's values are dealt out to the tiles
%4 = home float32 96 in 12 over 0 + (12/3)  4 tiles from 0 on have three of 12 blocks each
family v0 < 12 over 0 + (12/3):             each instance on the tile that has that block
exchange %4[v0*8] (8) -> %5 (8), v0 < 12    messages between tiles
%5 (8) masked                               some of them are zeros (`masked.py`)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Move,
    Pipeline,
    Program,
    Replicas,
    Spread,
    Step,
    Sync,
    View,
    While,
    dense_strides,
)


def program_to_text(program: Program) -> str:
    """The buffers, then the steps."""
    return "\n".join([*_Writer(program).lines()])


class _Writer:
    def __init__(self, program: Program):
        self.program = program
        self.names: dict[Buffer, str] = {}
        self.vars: dict[int, str] = {}
        for buffer in program.buffers:
            short = buffer.space in ("input", "output", "constant")
            number = buffer.index if short else len(self.names)
            self.names[buffer] = f"%{buffer.space if short else ''}{number}"

    def lines(self) -> Iterator[str]:
        program = self.program
        yield f"program: {program.shared_bytes} bytes shared, {program.tile_bytes} bytes a tile"
        for buffer, name in self.names.items():
            place = f" at {program.offsets[buffer]}" if buffer in program.offsets else ""
            homes = f" in {buffer.homes.blocks} over {_homes(buffer.homes)}" if buffer.homes else ""
            yield f"  {name} = {buffer.space} {buffer.dtype} {buffer.size}{homes}{place}"
        yield "steps:"
        yield from self.steps(program.steps, "  ")

    def steps(self, steps: Sequence[Step], indent: str) -> Iterator[str]:
        for step in steps:
            yield from self.step(step, indent)

    def step(self, step: Step, indent: str) -> Iterator[str]:
        inside = indent + "  "
        match step:
            case Call():
                yield indent + self.call(step)
            case Sync(scope):
                yield indent + ("sync" if scope == "tiles" else f"sync {scope}")
            case Family(vars, counts, homes, body):
                yield f"{indent}family{self.grid(vars, counts)} over {_homes(homes)}:"
                yield from self.steps(body, inside)
            case Exchange(moves):
                for move in moves:
                    yield f"{indent}exchange {self.move(move)}"
            case Loop(var, count, body) | Spread(var, count, body) | Map(var, count, body):
                how = _how(step) if isinstance(step, Spread) else ""
                yield f"{indent}{type(step).__name__.lower()} {self.var(var)} < {count}{how}:"
                yield from self.steps(body, inside)
            case Replicas(var, count, chips, stride, body):
                where = f"{chips} chips of {stride} tiles"
                yield f"{indent}replicas {self.var(var)} < {count} over {where}:"
                yield from self.steps(body, inside)
            case Pipeline(var, count, stride, parts, passed):
                yield f"{indent}pipeline {self.var(var)} < {count} over chips of {stride} tiles:"
                for number, part in enumerate(parts):
                    yield f"{indent}part {number}:"
                    yield from self.steps(part, inside)
                    for move in passed[number] if number < len(passed) else ():
                        yield f"{inside}pass {self.move(move)}"
            case While(condition, test, body):
                yield indent + "while:"
                yield from self.steps(condition, inside)
                yield f"{indent}do if {self.view(test)}:"
                yield from self.steps(body, inside)
            case Branch(index, cases):
                for number, case in enumerate(cases):
                    yield f"{indent}case {self.view(index)} == {number}:"
                    yield from self.steps(case, inside)

    def move(self, move: Move) -> str:
        grid = self.grid(move.vars, move.counts)
        comma = "," if grid else ""
        return f"{self.view(move.source)} -> {self.view(move.target)}{comma}{grid}"

    def grid(self, vars: Sequence[int], counts: Sequence[int]) -> str:
        return "".join(f" {self.var(v)} < {n}" for v, n in zip(vars, counts, strict=True))

    def call(self, call: Call) -> str:
        count = len(call.codelet.inputs)
        read = ", ".join(map(self.view, call.views[:count]))
        written = ", ".join(map(self.view, call.views[count:]))
        asked = ", ".join(map(self.view, call.asked))
        return f"{call.codelet.name} ({read}) -> {written}" + f" asks for {asked}" * bool(asked)

    def var(self, var: int) -> str:
        return self.vars.setdefault(var, f"v{len(self.vars)}")

    def view(self, view: View) -> str:
        moves = "".join(f" + {self.var(var)}*{step}" for var, step in view.moves)
        place = f"[{view.offset}{moves}]" if view.offset or moves else ""
        shape = "(" + ",".join(map(str, view.shape)) + ")"
        dense = view.strides == dense_strides(view.shape)
        strides = "" if dense else " by (" + ",".join(map(str, view.strides)) + ")"
        name = self.names.get(view.buffer, f"%{view.buffer.space}")
        return f"{name}{place} {shape}{strides}" + " masked" * bool(view.masked)


def _how(step: Spread) -> str:
    return " with it" * step.joins + " evenly" * step.evenly


def _homes(homes: Homes) -> str:
    """`0 + (12/3) + (4*12)`: axes as extent/per_tile*stride, then copies."""
    axes = [_axis(axis) for axis in homes.axes]
    copies = [f"{count} copies*{stride}" for count, stride in homes.copies]
    return " + ".join([str(homes.first), *axes, *copies])


def _axis(axis: Axis) -> str:
    together = f"/{axis.per_tile}" if axis.per_tile != 1 else ""
    apart = f"*{axis.stride}" if axis.stride != 1 else ""
    return f"({axis.extent}{together}{apart})"
