"""Loops of small vertices as one function, with small arrays in registers.

In: a `Region`. Out: a function of the frame that does the same: small vertices are written in
place, one after the other, and *resident* arrays are read from memory at the beginning, written
back at the end, and in machine registers in between, through all turns. A scalar recurrence then
takes the time of its arithmetic, where calls and trips through memory would take a multiple. What
is larger is called as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from tilewright.codegen.calls import Calls
from tilewright.codegen.control import Control
from tilewright.codegen.counters import Counters
from tilewright.codegen.regions import Region, views_of
from tilewright.codegen.slots import Slots
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.small import InMemory, InRegister, Place, emit_small, is_small
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Step, Var, View, While


@frozen
class Resident:
    """Writes the functions of regions."""

    calls: Calls
    control: Control
    slots: Slots
    counters: Counters

    def write(self, function: Function, region: Region) -> None:
        """The whole body of a function of the frame."""
        _Writer(self, function, region).write()


class _Writer:
    """One function in the making."""

    def __init__(self, outer: Resident, function: Function, region: Region):
        self.outer, self.function, self.region = outer, function, region
        self.registers: dict[Buffer, InRegister] = {}
        self.indices: dict[Var, str] = {}
        self.bases: dict[View, str] = {}
        self.cancel = outer.slots.fixed(function, "cancel")
        self.row = outer.counters.row(function)

    def write(self) -> None:
        region, function = self.region, self.function
        self.indices = {var: self._variable("i64") for var in sorted(region.inside)}
        for buffer in region.resident:
            register = InRegister(buffer.dtype, "", buffer.size)
            self.registers[buffer] = replace(register, slot=self._variable(register.type))
        for view, _, _ in views_of((region.step,)):
            if self._outside(view):
                self._base(view)
        for buffer, register in self.registers.items():
            if buffer in region.outliving:
                every = range(buffer.size)
                register.write(function, every, self._memory(buffer).read(function, every))
            else:
                register.replace(function, "zeroinitializer")
        self._step(region.step)
        for buffer, register in self.registers.items():
            if buffer in region.outliving and buffer in region.written:
                every = range(buffer.size)
                self._memory(buffer).write(function, every, register.read(function, every))
        function.close()

    def _variable(self, kind: str) -> str:
        """Reserved in the function's first block."""
        name = "%" + self.function.name("x")
        self.function.lines.insert(1, f"  {name} = alloca {kind}")
        return name

    # Where things are.

    def _memory(self, buffer: Buffer) -> InMemory:
        return InMemory(buffer.dtype, self._base(View(buffer, (), ())))

    def _base(self, view: View) -> str:
        """The view's address but for the loops in the region.

        Those that others move are computed at the beginning.
        """
        moves, offset = self._outside(view), 0 if view.buffer in self.registers else view.offset
        key = View(view.buffer, (), (), offset, moves)
        if not moves:
            return self.outer.calls.address(self.function, key)
        if key not in self.bases:
            self.bases[key] = self.outer.calls.address(self.function, key)
        return self.bases[key]

    def _outside(self, view: View) -> tuple[tuple[Var, int], ...]:
        """How loops around the region move it."""
        return tuple(move for move in view.moves if move[0] not in self.region.inside)

    def _address(self, view: View) -> str:
        """The view's address for the present values of all loop variables."""
        function, address = self.function, self._base(view)
        size = numpy_dtype(view.dtype).itemsize
        for var, step in view.moves:
            if var in self.indices:
                index = function.let(f"load i64, ptr {self.indices[var]}")
                moved = function.let(f"mul i64 {index}, {step * size}")
                address = function.address(address, "i8", moved)
        return address

    def _place(self, view: View) -> Place:
        register = self.registers.get(view.buffer)
        if register is not None:
            return replace(register, first=view.offset)
        return InMemory(view.dtype, self._address(view))

    # Steps.

    def _steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Call):
                self._call(step)
            else:
                self._step(step)

    def _call(self, call: Call) -> None:
        if is_small(call.codelet):
            emit_small(self.function, call.codelet, [self._place(view) for view in call.views])
        else:
            addresses = [("ptr", self._address(view)) for view in call.views]
            self.function.call("void", self.outer.calls.symbol(call.codelet), *addresses)

    def _step(self, step: Step) -> None:
        match step:
            case Loop():
                self._loop(step)
            case While():
                self._while(step)
            case Branch():
                self._branch(step)
            case _:
                raise AssertionError(f"{step} inside one tile's share")

    def _loop(self, step: Loop) -> None:
        function, index = self.function, self.indices[step.var]
        function.do(f"store i64 0, ptr {index}")

        def test() -> str:
            return function.let(f"icmp slt i64 {self._load(index)}, {step.count}")

        def turn() -> None:
            self._steps(step.steps)
            self._increase(index)

        self._turns("loop", test, turn)

    def _while(self, step: While) -> None:
        def test() -> str:
            self._steps(step.condition)
            value = self._place(step.test).read(self.function, [0])
            return self.function.let(f"icmp ne i8 {value}, 0")

        self._turns("while", test, partial(self._steps, step.steps), step)

    def _turns(
        self, name: str, test: Callable[[], str], turn: Callable[[], None], step: object = None
    ) -> None:
        """Turns while the test holds and the run is not cancelled, counted for the host."""
        function, counters = self.function, self.outer.counters
        counter = counters.new(f"{name}{len(counters.names)}", step)
        at = function.address(self.row, "i64", counter)
        count = self._variable("i64")
        head, body, done = (function.name(stem) for stem in (name, "turn", "done"))
        function.do(f"store i64 {self._load(at)}, ptr {count}")
        function.do(f"br label %{head}")
        function.label(head)
        function.do(f"br i1 {test()}, label %{body}, label %{done}")
        function.label(body)
        turn()
        function.do(f"store i64 {self._increase(count)}, ptr {at}")
        self.outer.control.go_on(function, head, done, self.cancel)
        function.label(done)

    def _branch(self, step: Branch) -> None:
        index = self._place(step.index).read(self.function, [0])
        cases = [partial(self._steps, case) for case in step.cases]
        self.outer.control.branch(self.function, step.index.dtype, index, cases)

    def _load(self, number: str) -> str:
        return self.function.let(f"load i64, ptr {number}")

    def _increase(self, number: str) -> str:
        """One more, at an address."""
        more = self.function.let(f"add i64 {self._load(number)}, 1")
        self.function.do(f"store i64 {more}, ptr {number}")
        return more
