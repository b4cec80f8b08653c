"""A vertex alone, in a loop of our own program, and how long a turn takes: for measurements.

`Alone` times any codelet, operands at the start of cache lines, by the processor time of the
thread that runs it. `FmaPeak` is a loop of multiply-adds on registers, which a benchmark on a noisy
machine times again in every round.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.context import LINE
from tilewright.codegen.program import emit
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.peak import PeakFma
from tilewright.graph.ir import Type
from tilewright.machine.host import host_machine
from tilewright.plan.ir import Buffer, Call, Loop, Program, View, new_var
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.runtime.memory import aligned


class Alone:
    """`turns` calls of a codelet in a loop."""

    def __init__(self, codelet: Codelet, turns: int = 1):
        self.codelet, self.turns = codelet, turns
        self.run = executable(_program(codelet, turns))
        self.arrays = [_contents(b.dtype, b.size) for b in self.run.compiled.program.inputs]
        self.run(*self.arrays)

    def seconds(self) -> float:
        """Of one turn, now, on the thread that asks."""
        start = time.thread_time_ns()
        self.run(*self.arrays)
        return (time.thread_time_ns() - start) * 1e-9 / self.turns


class FmaPeak:
    """A loop of multiply-adds on registers; `flops()` times it once (about a millisecond)."""

    def __init__(self, turns: int = 100_000):
        self.codelet = PeakFma("float32", turns)
        self.loop = Alone(self.codelet)

    def run(self) -> None:
        self.loop.run(*self.loop.arrays)

    def flops(self) -> float:
        """Operations a second, now, by the clock on the wall."""
        start = time.perf_counter()
        self.run()
        return self.codelet.work.flops / (time.perf_counter() - start)


def executable(program: Program, workers: int = 1) -> Executable:
    """A program made by hand, without results."""
    emitted = emit(program, host_machine())
    image = replace(
        emitted.image,
        object=compile_cached(emitted.module),
        tiles=workers,
        shared_work=workers > 1,
    )
    return Executable(Made(image, program, emitted.module.text()))


def _program(codelet: Codelet, turns: int) -> Program:
    """What is written lies in the arena: fresh arrays would fault page by page."""
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


def _contents(dtype: str, size: int) -> np.ndarray:
    """Numbers that bfloat16 can hold, small enough for sums to stay ordinary."""
    kind = Type(dtype, (size,))
    array, _ = aligned(kind.shape, kind.numpy, kind.nbytes)
    array[...] = np.random.default_rng(0).integers(-8, 9, size) / 16
    return array
