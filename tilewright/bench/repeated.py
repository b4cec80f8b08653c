"""A codelet alone, in a loop: a program of one vertex on operands that start at cache lines."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from tilewright.codegen.context import LINE
from tilewright.codegen.host import compile_text
from tilewright.codegen.program import program_text
from tilewright.codelets.base import Operand
from tilewright.graph.ir import Type
from tilewright.machine.host import host_machine
from tilewright.plan.ir import Buffer, Call, Loop, Program, View, new_var
from tilewright.runtime.compiled import Compiled
from tilewright.runtime.executable import Executable
from tilewright.runtime.memory import aligned

GUESS = 5e10
"""Operations a second: how many turns a run of given length takes."""


class Repeated:
    """Compiled to run for about `seconds`; calling it gives its operations a second.

    Each timing comes after one run untimed, which brings operands back into the caches.
    """

    def __init__(self, codelet: Any, seconds: float = 5e-4):
        self.turns = max(1, round(seconds * GUESS / codelet.cost.flops))
        self.flops = codelet.cost.flops * self.turns
        program = _program(codelet, self.turns)
        text = program_text(program, host_machine())
        self.executable = Executable(
            Compiled(
                object=compile_text(text.text),
                inputs=tuple(Type(b.dtype, (b.size,)) for b in program.inputs),
                outputs=(),
                shared_bytes=program.shared_bytes,
                loops=tuple(text.loops),
                short=True,
                stages=SimpleNamespace(graph=None, program=program, llvm=text.text),
            )
        )
        self.arrays = [_contents(buffer) for buffer in program.inputs]
        self.executable(*self.arrays)

    def __call__(self) -> float:
        self.executable(*self.arrays)
        start = time.perf_counter()
        self.executable(*self.arrays)
        return self.flops / (time.perf_counter() - start)


def _program(codelet: Any, turns: int) -> Program:
    """`turns` calls. What is written lies in the arena: fresh arrays would fault page by page."""
    views = [_view(o, "input", i) for i, o in enumerate(codelet.inputs)]
    inputs = tuple(view.buffer for view in views)
    views += [_view(o, "shared", -1) for o in codelet.outputs]
    size, offsets = codelet.scratch, {}
    if size:
        views.append(View(Buffer("uint8", size, "shared"), (size,), (1,)))
    end = 0
    for view in views[len(inputs) :]:
        offsets[view.buffer] = end
        end += -(-view.buffer.nbytes // LINE) * LINE
    loop = Loop(new_var(), turns, (Call(codelet, tuple(views)),))
    return Program((*inputs, *offsets), inputs, (), (loop,), offsets, end, 0)


def _view(operand: Operand, space: str, position: int) -> View:
    reach = sum((n - 1) * s for n, s in zip(operand.shape, operand.strides, strict=True))
    buffer = Buffer(operand.dtype, reach + 1, space, position)
    return View(buffer, operand.shape, operand.strides)


def _contents(buffer: Buffer) -> np.ndarray:
    """Numbers that bfloat16 can hold, small enough for sums to stay ordinary."""
    kind = Type(buffer.dtype, (buffer.size,))
    array, _ = aligned(kind.shape, kind.numpy, kind.nbytes)
    array[...] = np.random.default_rng(0).integers(-8, 9, buffer.size) / 16
    return array
