"""Program -> LLVM text: codelets as functions, and functions that call them in order.

Every worker (thread) runs `tilewright_run(context, worker)`. What it needs at each call lies in a
*frame* on its stack: pointers to the arenas and arrays, and the present value of every loop
variable. Runs of steps become functions of the frame, so that no function grows long.

Steps that are tile 0's own are guarded by `worker == 0`; loops and branches in which all tiles take
part are run by all workers alike, on conditions that tile 0 wrote before a `Sync`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tilewright.codegen.context import FIELDS
from tilewright.codelets.base import Codelet
from tilewright.codelets.llvm import MEMORY_TYPE, Features, Function, Module
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.synchronise import is_shared_work

FRAME = ("context", "shared", "tile", "inputs", "outputs", "worker")
CALLS_PER_FUNCTION = 64


@dataclass
class ProgramText:
    """The module's text, and what the runtime must know to run it."""

    text: str
    loops: list[str] = field(default_factory=list)
    maps: int = 0
    streamed: tuple[int, ...] = ()
    """Outputs, by position, that one top-level map writes a row of in every instance."""
    instances: int = 0
    """The length of that map, or 0."""
    symbols: dict[str, Codelet] = field(default_factory=dict)


def program_text(program: Program, features: Features, profile: bool = False) -> ProgramText:
    """LLVM text of a whole program; its only exported symbol is `tilewright_run`.

    With `profile`, clock ticks and calls of every codelet, and ticks at barriers, are counted among
    the trips, under the names "ticks SYMBOL" and "calls SYMBOL".
    """
    return _Emitter(program, features, profile).emit()


class _Emitter:
    def __init__(self, program: Program, features: Features, profile: bool = False):
        self.program = program
        self.profile = profile
        self.timers: dict[str, tuple[int, int]] = {}
        self.module = Module(features)
        self.symbols: dict[Codelet, str] = {}
        self.slots: dict[Var, int] = {}
        self.rings: dict[Var, int] = {}
        self.loops: list[str] = []
        self.maps = 0
        self.functions = 0
        self.streaming = _streaming_map(program)
        self.ring_buffers = _ring_buffers(program, self.streaming)

    def emit(self) -> ProgramText:
        self._declare()
        body = self._steps(self.program.steps, shared=True)
        self._run(body)
        streamed = tuple(sorted(b.index for b in self.ring_buffers))
        instances = self.streaming.count if self.streaming and streamed else 0
        symbols = {symbol: codelet for codelet, symbol in self.symbols.items()}
        return ProgramText(self.module.text(), self.loops, self.maps, streamed, instances, symbols)

    def _declare(self) -> None:
        self.module.declare("tw_barrier", "i32", "ptr", "i64")
        self.module.declare("tw_wait_slot", "i32", "ptr", "i64")
        self.module.declare("tw_next", "i64", "ptr", "i64")
        self.module.declare("tw_finished", "void", "ptr", "i64")

    # --- frame -------------------------------------------------------------------------------

    def _slot(self, var: Var) -> int:
        return self.slots.setdefault(var, len(FRAME) + len(self.slots) + len(self.rings))

    def _ring(self, var: Var) -> int:
        return self.rings.setdefault(var, len(FRAME) + len(self.slots) + len(self.rings))

    def _load_slot(self, function: Function, slot: int, kind: str = "i64") -> str:
        return function.let(f"load {kind}, ptr {function.address('%a0', 'i64', slot)}")

    def _store_slot(self, function: Function, slot: int, kind: str, value: str) -> None:
        function.do(f"store {kind} {value}, ptr {function.address('%a0', 'i64', slot)}")

    def _context(self, function: Function, name: str, kind: str = "i64") -> str:
        context = self._load_slot(function, FRAME.index("context"), "ptr")
        address = function.address(context, "i64", FIELDS[name])
        return function.let(f"load {kind}, ptr {address}")

    def _run(self, body: str) -> None:
        """The exported entry: fill the frame, run, say whether we were cancelled."""
        function = self.module.function("tilewright_run", "i32", ["ptr", "i64"], "nounwind")
        function.header = function.header.replace("internal ", "")
        size = len(FRAME) + len(self.slots) + len(self.rings)
        frame = function.let(f"alloca [{max(size, 1)} x i64], align 64")
        for slot in range(len(FRAME), size):
            function.do(f"store i64 0, ptr {function.address(frame, 'i64', slot)}")

        def fill(name: str, kind: str, value: str) -> None:
            at = function.address(frame, "i64", FRAME.index(name))
            function.do(f"store {kind} {value}, ptr {at}")

        def field_of(name: str, kind: str) -> str:
            at = function.address("%a0", "i64", FIELDS[name])
            return function.let(f"load {kind}, ptr {at}")

        fill("context", "ptr", "%a0")
        fill("worker", "i64", "%a1")
        for name in ("shared", "inputs", "outputs"):
            fill(name, "ptr", field_of(name, "ptr"))
        stride = field_of("tile_arena_stride", "i64")
        skip = function.let(f"mul i64 %a1, {stride}")
        fill("tile", "ptr", function.address(field_of("tile_arenas", "ptr"), "i8", skip))
        function.call("void", body, ("ptr", frame))
        flag = function.let(f"load i32, ptr {field_of('cancel', 'ptr')}")
        function.close(f"i32 {flag}")

    # --- steps -------------------------------------------------------------------------------

    def _new_function(self, stem: str) -> Function:
        self.functions += 1
        return self.module.function(f"{stem}_{self.functions}", "void", ["ptr"])

    def _steps(self, steps: Sequence[Step], *, shared: bool) -> str:
        """A function that runs the steps; `shared`: all workers call it together."""
        runs = _runs(steps) if shared else [("own", chunk) for chunk in _chunks(steps)]
        if len(runs) == 1 and not shared:
            return self._straight(runs[0][1])
        function = self._new_function("steps")
        for kind, run in runs:
            if kind == "shared":
                self._shared_step(function, run[0])
            elif shared:
                symbol = self._steps(run, shared=False)
                self._only_first(function, symbol)
            else:
                function.call("void", self._straight(run), ("ptr", "%a0"))
        function.close()
        return function.symbol

    def _only_first(self, function: Function, symbol: str) -> None:
        worker = self._load_slot(function, FRAME.index("worker"))
        first = function.let(f"icmp eq i64 {worker}, 0")
        then, after = function.name("first"), function.name("after")
        function.do(f"br i1 {first}, label %{then}, label %{after}")
        function.label(then)
        function.call("void", symbol, ("ptr", "%a0"))
        function.do(f"br label %{after}")
        function.label(after)

    def _straight(self, steps: Sequence[Step]) -> str:
        """A function of steps that one tile runs by itself."""
        function = self._new_function("tile")
        for step in steps:
            match step:
                case Call(codelet, views):
                    self._call(function, codelet, views)
                case Loop(var, count, body):
                    self._loop(function, var, "0", str(count), body, shared=False)
                case While():
                    self._while(function, step, shared=False)
                case Branch(index, cases):
                    self._branch(function, index, cases, shared=False)
                case _:
                    raise AssertionError(f"{step} inside one tile's share")
        function.close()
        return function.symbol

    def _shared_step(self, function: Function, step: Step) -> None:
        match step:
            case Sync():
                self._barrier(function)
            case Spread():
                self._spread(function, step)
            case Map():
                self._map(function, step)
            case Loop(var, count, body):
                self._loop(function, var, "0", str(count), body, shared=True)
            case While():
                self._while(function, step, shared=True)
            case Branch(index, cases):
                self._branch(function, index, cases, shared=True)

    def _barrier(self, function: Function) -> None:
        context = self._load_slot(function, FRAME.index("context"), "ptr")
        worker = self._load_slot(function, FRAME.index("worker"))
        with self._timed(function, "barrier"):
            function.call("i32", "tw_barrier", ("ptr", context), ("i64", worker))

    def _symbol(self, codelet: Codelet) -> str:
        if codelet not in self.symbols:
            symbol = f"{codelet.name}_{len(self.symbols)}"
            self.symbols[codelet] = symbol
            codelet.emit(self.module, symbol)
        return self.symbols[codelet]

    def _call(self, function: Function, codelet: Codelet, views: Sequence[View]) -> None:
        addresses = [("ptr", self._address(function, view)) for view in views]
        symbol = self._symbol(codelet)
        with self._timed(function, symbol):
            function.call("void", symbol, *addresses)

    @contextmanager
    def _timed(self, function: Function, name: str) -> Iterator[None]:
        """Count ticks and calls of what is written inside, if we profile."""
        if not self.profile:
            yield
            return
        if name not in self.timers:
            self.timers[name] = self._new_loop(f"ticks {name}"), self._new_loop(f"calls {name}")
        self.module.declare("llvm.readcyclecounter", "i64")
        start = function.call("i64", "llvm.readcyclecounter")
        yield
        passed = function.let(f"sub i64 {function.call('i64', 'llvm.readcyclecounter')}, {start}")
        ticks, calls = self.timers[name]
        self._count(function, ticks, passed)
        self._count(function, calls)

    def _address(self, function: Function, view: View) -> str:
        buffer = view.buffer
        itemsize = numpy_dtype(buffer.dtype).itemsize
        if buffer.space in ("shared", "tile"):
            base = self._load_slot(function, FRAME.index(buffer.space), "ptr")
            offset = self.program.offsets[buffer] + view.offset * itemsize
        else:
            base = self._array(function, buffer)
            offset = view.offset * itemsize
        address = function.address(base, "i8", offset) if offset else base
        for var, step in view.moves:
            ring = var in self.rings and buffer in self.ring_buffers
            index = self._load_slot(function, self.rings[var] if ring else self._slot(var))
            address = function.address(
                address, "i8", function.let(f"mul i64 {index}, {step * itemsize}")
            )
        return address

    def _array(self, function: Function, buffer: Buffer) -> str:
        side = "outputs" if buffer.space == "output" else "inputs"
        index = buffer.index
        if buffer.space == "input":
            index += sum(b.space == "constant" for b in self.program.inputs)
        array = self._load_slot(function, FRAME.index(side), "ptr")
        return function.let(f"load ptr, ptr {function.address(array, 'ptr', index)}")

    # --- control -----------------------------------------------------------------------------

    def _loop(
        self,
        function: Function,
        var: Var,
        start: str,
        stop: str,
        steps: Sequence[Step],
        *,
        shared: bool,
    ) -> None:
        body = self._steps(steps, shared=shared)
        counter = self._new_loop(f"loop{len(self.loops)}")
        head, turn, done = (function.name(s) for s in ("loop", "turn", "done"))
        self._store_slot(function, self._slot(var), "i64", start)
        function.do(f"br label %{head}")
        function.label(head)
        index = self._load_slot(function, self._slot(var))
        more = function.let(f"icmp slt i64 {index}, {stop}")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        function.call("void", body, ("ptr", "%a0"))
        self._count(function, counter)
        following = function.let(f"add i64 {index}, 1")
        self._store_slot(function, self._slot(var), "i64", following)
        self._unless_cancelled(function, head, done)
        function.label(done)

    def _while(self, function: Function, step: While, *, shared: bool) -> None:
        condition = self._steps(step.condition, shared=shared)
        body = self._steps(step.steps, shared=shared)
        counter = self._new_loop(f"while{len(self.loops)}")
        head, turn, done = (function.name(s) for s in ("while", "turn", "done"))
        function.do(f"br label %{head}")
        function.label(head)
        function.call("void", condition, ("ptr", "%a0"))
        test = function.let(f"load i8, ptr {self._address(function, step.test)}")
        more = function.let(f"icmp ne i8 {test}, 0")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        function.call("void", body, ("ptr", "%a0"))
        self._count(function, counter)
        self._unless_cancelled(function, head, done)
        function.label(done)

    def _branch(
        self, function: Function, index: View, cases: Sequence[Sequence[Step]], *, shared: bool
    ) -> None:
        bodies = [self._steps(case, shared=shared) for case in cases]
        kind = MEMORY_TYPE[index.dtype]
        raw = function.let(f"load {kind}, ptr {self._address(function, index)}")
        last = str(len(cases) - 1)
        if kind == "i8":
            raw, kind = function.let(f"zext i8 {raw} to i32"), "i32"
        low = function.let(f"icmp slt {kind} {raw}, 0")
        raw = function.let(f"select i1 {low}, {kind} 0, {kind} {raw}")
        high = function.let(f"icmp sgt {kind} {raw}, {last}")
        chosen = function.let(f"select i1 {high}, {kind} {last}, {kind} {raw}")
        labels = [function.name("case") for _ in cases]
        after = function.name("after")
        arms = " ".join(f"{kind} {i}, label %{label}" for i, label in enumerate(labels))
        function.do(f"switch {kind} {chosen}, label %{labels[-1]} [ {arms} ]")
        for label, body in zip(labels, bodies, strict=True):
            function.label(label)
            function.call("void", body, ("ptr", "%a0"))
            function.do(f"br label %{after}")
        function.label(after)

    def _spread(self, function: Function, step: Spread) -> None:
        """As a map: which tile computes a share changes no bit, and nobody waits for a slow one."""
        self._map(function, Map(step.var, step.count, step.steps))

    def _map(self, function: Function, step: Map) -> None:
        """Take the next instance until none is left. Each worker draws one number too many."""
        site, self.maps = self.maps, self.maps + 1
        streams = step is self.streaming and bool(self.ring_buffers)
        slot = self._slot(step.var)
        ring = self._ring(step.var) if streams else -1
        body = self._steps(step.steps, shared=False)
        context = self._load_slot(function, FRAME.index("context"), "ptr")
        base = self._map_base(function, step, site)
        head, turn, done = (function.name(s) for s in ("next", "turn", "done"))
        function.do(f"br label %{head}")
        function.label(head)
        ticket = function.call("i64", "tw_next", ("ptr", context), ("i64", str(site)))
        instance = function.let(f"sub i64 {ticket}, {base}")
        more = function.let(f"icmp slt i64 {instance}, {step.count}")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        self._store_slot(function, slot, "i64", instance)
        if streams:
            left = function.call("i32", "tw_wait_slot", ("ptr", context), ("i64", instance))
            begin = function.name("begin")
            stop = function.let(f"icmp ne i32 {left}, 0")
            function.do(f"br i1 {stop}, label %{done}, label %{begin}")
            function.label(begin)
            slots = self._context(function, "ring_slots")
            at = function.let(f"urem i64 {instance}, {slots}")
            self._store_slot(function, ring, "i64", at)
        function.call("void", body, ("ptr", "%a0"))
        flag = self._cancelled(function)
        finished = function.name("finished")
        function.do(f"br i1 {flag}, label %{done}, label %{finished}")
        function.label(finished)
        if streams:
            function.call("void", "tw_finished", ("ptr", context), ("i64", instance))
        function.do(f"br label %{head}")
        function.label(done)

    def _map_base(self, function: Function, step: Map, site: int) -> str:
        """The first number of this run of the map: every earlier run drew count + workers."""
        slot = self._slot(-1 - site)
        workers = self._context(function, "workers")
        base = self._load_slot(function, slot)
        drawn = function.let(f"add i64 {workers}, {step.count}")
        self._store_slot(function, slot, "i64", function.let(f"add i64 {base}, {drawn}"))
        return base

    # --- progress and cancelling -------------------------------------------------------------

    def _new_loop(self, name: str) -> int:
        self.loops.append(name)
        return len(self.loops) - 1

    def _count(self, function: Function, counter: int, amount: str = "1") -> None:
        trips = self._context(function, "trips", "ptr")
        stride = self._context(function, "trips_stride")
        worker = self._load_slot(function, FRAME.index("worker"))
        row = function.address(trips, "i8", function.let(f"mul i64 {worker}, {stride}"))
        at = function.address(row, "i64", counter)
        value = function.let(f"load i64, ptr {at}")
        function.do(f"store i64 {function.let(f'add i64 {value}, {amount}')}, ptr {at}")

    def _cancelled(self, function: Function) -> str:
        flag = self._context(function, "cancel", "ptr")
        value = function.let(f"load atomic i32, ptr {flag} monotonic, align 4")
        return function.let(f"icmp ne i32 {value}, 0")

    def _unless_cancelled(self, function: Function, on: str, stop: str) -> None:
        """Go on with the loop, or leave it. Once cancelled, no barrier waits for anybody."""
        flag = self._cancelled(function)
        function.do(f"br i1 {flag}, label %{stop}, label %{on}")


def _chunks(steps: Sequence[Step]) -> list[Sequence[Step]]:
    size = CALLS_PER_FUNCTION
    return [steps[i : i + size] for i in range(0, len(steps), size)] or [()]


def _runs(steps: Sequence[Step]) -> list[tuple[str, list[Step]]]:
    """Steps of all workers one by one ("shared"); those of tile 0 alone in runs ("own")."""
    runs: list[tuple[str, list[Step]]] = []
    for step in steps:
        shared = isinstance(step, Sync) or is_shared_work(step)
        if shared or not runs or runs[-1][0] == "shared":
            runs.append(("shared" if shared else "own", [step]))
        else:
            runs[-1][1].append(step)
    return runs


def _streaming_map(program: Program) -> Map | None:
    """The map that gives the program's results, if there is just one at its top."""
    maps = [step for step in program.steps if isinstance(step, Map)]
    return maps[0] if len(maps) == 1 else None


def _ring_buffers(program: Program, streaming: Map | None) -> set[Buffer]:
    """Outputs touched only by that map, a row in every instance."""
    if streaming is None:
        return set()
    inside = {v for v in _views(streaming.steps) if v.buffer.space == "output"}
    outside = {v.buffer for v in _views(s for s in program.steps if s is not streaming)}
    rings = set()
    for buffer in {v.buffer for v in inside}:
        steps = {dict(v.moves).get(streaming.var) for v in inside if v.buffer is buffer}
        if buffer not in outside and steps == {buffer.size // streaming.count}:
            rings.add(buffer)
    return rings


def _views(steps) -> list[View]:
    found: list[View] = []
    for step in steps:
        match step:
            case Call(_, views):
                found += views
            case Loop() | Spread() | Map():
                found += _views(step.steps)
            case While(condition, test, body):
                found += [test, *_views((*condition, *body))]
            case Branch(index, cases):
                found += [index, *(v for case in cases for v in _views(case))]
    return found
