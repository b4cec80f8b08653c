"""Program -> LLVM text and `Image`: codelets as functions, and functions that call them in order.

Every worker (thread) runs `tilewright_run(context, worker)`. What it needs at each call lies in a
*frame* on its stack: pointers to the arenas and arrays, and the present value of every loop
variable. Runs of steps become functions of the frame, so that no function grows long.

Steps that are tile 0's own are guarded by `worker == 0`; loops and branches in which all tiles take
part are run by all workers alike, on conditions that tile 0 wrote before a `Sync`.

    slots        the frame                       counters    turns of loops, for the host
    calls        codelets and their operands     clocks      ticks, where profiled
    control      loops and branches              queue       spreads and maps
    resident     loops of small vertices         regions     which those are
    streaming    which results leave row by row
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from tilewright.codegen.calls import Calls
from tilewright.codegen.clocks import Clocks
from tilewright.codegen.control import Control, declare_cancelled
from tilewright.codegen.counters import Counters
from tilewright.codegen.once_called import into_callers
from tilewright.codegen.queue import Queues, declare_queues
from tilewright.codegen.regions import Region, Regions
from tilewright.codegen.resident import Resident
from tilewright.codegen.slots import Slots, given
from tilewright.codegen.streaming import ring_buffers, streaming_map
from tilewright.codelets.base import Codelet
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.vectors import load_scalar
from tilewright.frozen import frozen
from tilewright.graph.ir import Type
from tilewright.image import Image, Interface, Streamed
from tilewright.machine.cost import price
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Branch, Call, Loop, Map, Program, Spread, Step, Sync, While
from tilewright.plan.supersteps import stretches
from tilewright.plan.synchronise import is_shared_work

CALLS_PER_FUNCTION = 64
ONCE = "noinline nounwind optnone"
"""What functions are that run once and do nothing but call others: LLVM, which takes 0.4 ms for the
least of functions, takes a tenth of that for them."""
RESIDENT = "resident"
"""Functions of loops in registers, which have all registers to themselves: they stay functions."""
BETWEEN_LOOKS = 0.01
"""Seconds of work after which a worker looks whether the run is cancelled."""


@frozen(eq=False)
class Emitted:
    """The module, what running it takes but for machine code, and codelets by their symbols.

    `turns` says which of the image's `loops` counts the turns of a `While`, by the step's id.
    """

    module: Module
    image: Image
    symbols: Mapping[str, Codelet]
    turns: Mapping[int, str]


def emit(program: Program, machine: Machine, profile: bool = False) -> Emitted:
    """LLVM text of a whole program for a machine; its only exported symbol is `tilewright_run`.

    With `profile`, ticks of every codelet, superstep and barrier are counted among the trips, under
    the names in `codegen/clocks.py`.
    """
    return _Emitter(program, machine, profile).emit()


class _Emitter:
    """Puts the parts together; methods that take steps give the symbol of a function of them."""

    def __init__(self, program: Program, machine: Machine, profile: bool):
        self.program = program
        self.machine = machine
        self.streaming = streaming_map(program)
        self.rings = ring_buffers(program, self.streaming)
        self.module = Module(machine.tile.features, machine.tile.memories[0].size)
        self.slots = Slots()
        self.counters = Counters(self.slots)
        self.clocks = Clocks(self.slots, self.counters, profile)
        self.calls = Calls(program, self.rings, self.module, self.slots, self.clocks)
        self.control = Control(self.slots, self.counters)
        self.queues = Queues(self.slots, self.control)
        self.regions = Regions(program, self.rings)
        self.resident = Resident(self.calls, self.control, self.slots, self.counters)
        self.functions: list[str] = []
        self.around = 0

    def emit(self) -> Emitted:
        self.module.declare("tw_barrier", "i32", "ptr", "i64")
        declare_cancelled(self.module)
        declare_queues(self.module)
        self._entry(self._together(self.program.steps))
        into_callers(self.module, [s for s in self.functions if not s.startswith(RESIDENT)])
        symbols = {symbol: codelet for codelet, symbol in self.calls.symbols.items()}
        return Emitted(self.module, self._image(), symbols, self.counters.turns)

    def _image(self) -> Image:
        """Of arrays without dimensions, as the program sees them."""
        program, rows = self.program, tuple(sorted(b.index for b in self.rings))
        count = self.streaming.count if self.streaming else 0
        return Image(
            interface=Interface(
                tuple(Type(b.dtype, (b.size,)) for b in program.inputs if b.space == "input"),
                tuple(Type(b.dtype, (b.size,)) for b in program.outputs if b.space == "output"),
            ),
            overwrites=tuple(b.index for b in program.outputs if b.space == "input"),
            shared_bytes=program.shared_bytes,
            tile_bytes=program.tile_bytes,
            shared_work=any(map(is_shared_work, program.steps)),
            maps=self.queues.sites,
            loops=tuple(self.counters.names),
            streamed=Streamed(count, outputs=rows) if rows else None,
        )

    def _entry(self, body: str) -> None:
        """The exported function: fill the frame, run, say whether we were cancelled."""
        function = self.module.function("tilewright_run", "i32", ["ptr", "i64"], ONCE)
        function.exported = True
        frame = self.slots.allocate(function)
        self.clocks.start(function, frame)
        function.call("void", body, ("ptr", frame))
        stop = function.let(f"load i8, ptr {given(function, 'cancel', 'ptr')}")
        function.close(f"i32 {function.let(f'zext i8 {stop} to i32')}")

    def _function(self, stem: str, steps: Sequence[Step] | None = None) -> Function:
        """A new function of the frame; of `steps`, if that is all that it does."""
        symbol = f"{stem}_{len(self.functions) + 1}"
        self.functions.append(symbol)
        once = steps is not None and not self.around and not any(map(_is_control, steps))
        return self.module.function(symbol, "void", ["ptr"], *([ONCE] if once else []))

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """What is written meanwhile runs more than once."""
        self.around += 1
        yield
        self.around -= 1

    # --- steps of all workers ----------------------------------------------------------------

    def _together(self, steps: Sequence[Step]) -> str:
        """All workers call it together. Supersteps end in the order of `plan/supersteps.py`."""
        function = self._function("steps", steps)
        for stretch in stretches(steps):
            for run in _runs(stretch.steps):
                if isinstance(run[0], Spread | Map):
                    function.call("void", self._queue(run[0]), ("ptr", "%a0"))
                else:
                    self.control.only_first(function, self._alone(run))
            if stretch.is_superstep:
                self.clocks.end_of_work(function)
            if stretch.end is not None:
                self._end(function, stretch.end)
        function.close()
        return function.symbol

    def _end(self, function: Function, step: Step) -> None:
        if isinstance(step, Sync):
            context = self.slots.fixed(function, "context")
            worker = self.slots.fixed(function, "worker")
            function.call("i32", "tw_barrier", ("ptr", context), ("i64", worker))
            self.clocks.end_of_wait(function)
        else:
            self._control_step(function, step, shared=True)
        self.control.leave_if_cancelled(function)

    def _queue(self, step: Spread | Map) -> str:
        function = self._function("queue")
        if isinstance(step, Spread) and step.evenly:
            with self._inside():
                self.queues.evenly(function, step.var, step.count, partial(self._alone, step.steps))
            function.close()
            return function.symbol
        streams = step is self.streaming and bool(self.rings)
        site = self.queues.new(step.var, streams)
        with self._inside():
            body = self._alone(step.steps)
        if isinstance(step, Map):
            self.queues.map(function, site, step.var, step.count, body, streams)
        else:
            self.queues.spread(function, site, step.var, step.count, body)
        function.close()
        return function.symbol

    # --- steps of one worker -----------------------------------------------------------------

    def _alone(self, steps: Sequence[Step]) -> str:
        """One worker calls it: tile 0, or whoever has taken an instance."""
        size = CALLS_PER_FUNCTION
        chunks = [steps[i : i + size] for i in range(0, len(steps), size)] or [()]
        if len(chunks) == 1:
            return self._straight(chunks[0])
        function = self._function("steps")
        for chunk in chunks:
            function.call("void", self._straight(chunk), ("ptr", "%a0"))
            self.control.leave_if_cancelled(function)
        function.close()
        return function.symbol

    def _straight(self, steps: Sequence[Step]) -> str:
        function, work = self._function("tile", steps), 0.0
        most = BETWEEN_LOOKS * self.machine.chip.clock
        for step in steps:
            if isinstance(step, Call):
                self.calls.call(function, step.codelet, (*step.views, *step.asked))
                work += price(step.codelet.work, self.machine.tile).cycles
            else:
                self._control_step(function, step, shared=False)
                work = most
            if work >= most:
                self.control.leave_if_cancelled(function)
                work = 0
        function.close()
        return function.symbol

    def _resident(self, region: Region) -> str:
        function = self._function(RESIDENT)
        self.resident.write(function, region)
        return function.symbol

    # --- steps of either ---------------------------------------------------------------------

    def _control_step(self, function: Function, step: Step, *, shared: bool) -> None:
        region = None if shared or self.clocks.on else self.regions.of(step)
        if region is not None:
            function.call("void", self._resident(region), ("ptr", "%a0"))
            return
        steps = self._together if shared else self._alone
        match step:
            case Loop(var, count, body):
                with self._inside():
                    symbol = steps(body)
                self.control.loop(function, self.slots.number(var), count, symbol)
            case While(condition, test, body):
                test_at = partial(self.calls.address, view=test)
                with self._inside():
                    bodies = steps(condition), steps(body)
                self.control.while_loop(function, bodies[0], test_at, bodies[1], step)
            case Branch(index, cases):
                bodies = [steps(case) for case in cases]
                address = self.calls.address(function, index)
                number = load_scalar(function, index.dtype, address)
                calls = [partial(function.call, "void", body, ("ptr", "%a0")) for body in bodies]
                self.control.branch(function, index.dtype, number, calls)
            case _:
                raise AssertionError(f"{step} inside one tile's share")


def _is_control(step: Step) -> bool:
    return isinstance(step, Loop | While | Branch)


def _runs(steps: Sequence[Step]) -> list[list[Step]]:
    """Each spread or map by itself; tile 0's steps between them in runs."""
    runs: list[list[Step]] = []
    for step in steps:
        if is_shared_work(step) or not runs or is_shared_work(runs[-1][0]):
            runs.append([step])
        else:
            runs[-1].append(step)
    return runs
