"""Queues: the instances of a `Map` or `Spread`, taken by whichever worker is free.

In: the body's function, and how many instances there are. Out: lines that draw a number, run the
body with it, and draw again. Which worker computes an instance changes no bit, and nobody waits for
a slow one.

    Map      one queue, in order: instances are long, and may be streamed
    Spread   a share of neighbours for each worker, who then helps the others: a worker meets the
             same part of the data again in the next run, so that it stays in its cache; dealt out
             evenly, it helps nobody, and there is no queue

Each worker draws one number too many from a queue, so every run starts where the last one ended,
and a worker keeps the number of runs in its frame. A queue's counter has a line for each worker's
share.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.codegen.calls import ring
from tilewright.codegen.control import Control
from tilewright.codegen.slots import Slots
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.plan.ir import Var


def declare_queues(module: Module) -> None:
    module.declare("tw_wait_slot", "i32", "ptr", "i64")
    module.declare("tw_next", "i64", "ptr", "i64")
    module.declare("tw_finished", "void", "ptr", "i64")


class Queues:
    """`sites` is how many queues there are."""

    def __init__(self, slots: Slots, control: Control):
        self.slots, self.control = slots, control
        self.sites = 0

    def new(self, var: Var, streams: bool) -> int:
        """The number of a new queue; the slots of its variable. Come here before the body."""
        self.sites += 1
        self.slots.number(var)
        if streams:
            self.slots.number(ring(var))
        return self.sites - 1

    def map(
        self, function: Function, site: int, var: Var, count: int, body: str, streams: bool
    ) -> None:
        """Draw from one queue of `count`."""
        context, workers = self._known(function)
        drawn = function.let(f"add i64 {workers}, {count}")
        base = function.let(f"mul i64 {self._turn(function, site)}, {drawn}")
        line = function.let(f"mul i64 {workers}, {site}")
        draw, done = function.name("draw"), function.name("done")
        function.do(f"br label %{draw}")
        function.label(draw)
        instance = self._draw(function, line, base, count, done)
        self.slots.store(function, self.slots.number(var), "i64", instance)
        if streams:
            self._wait_for_place(function, context, var, instance, done)
        self._run(function, body, done)
        if streams:
            function.call("void", "tw_finished", ("ptr", context), ("i64", instance))
        function.do(f"br label %{draw}")
        function.label(done)

    def spread(self, function: Function, site: int, var: Var, count: int, body: str) -> None:
        """Draw from the worker's own share, then from those of its neighbours."""
        _, workers = self._known(function)
        worker = self.slots.fixed(function, "worker")
        turn = self._turn(function, site)
        share, draw, following, done = map(function.name, ("share", "draw", "following", "done"))
        before = function.block
        function.do(f"br label %{share}")
        function.label(share)
        others, after = "%" + function.name("others"), "%" + function.name("others")
        function.do(f"{others} = phi i64 [ 0, %{before} ], [ {after}, %{following} ]")
        unwrapped = function.let(f"add i64 {worker}, {others}")
        owner = function.let(f"urem i64 {unwrapped}, {workers}")
        first, end = self._bound(function, owner, 0, count), self._bound(function, owner, 1, count)
        size = function.let(f"sub i64 {end}, {first}")
        drawn = function.let(f"add i64 {workers}, {size}")
        base = function.let(f"mul i64 {turn}, {drawn}")
        lines = function.let(f"mul i64 {workers}, {site}")
        line = function.let(f"add i64 {lines}, {owner}")
        function.do(f"br label %{draw}")
        function.label(draw)
        number = self._draw(function, line, base, size, following)
        instance = function.let(f"add i64 {first}, {number}")
        self.slots.store(function, self.slots.number(var), "i64", instance)
        self._run(function, body, done)
        function.do(f"br label %{draw}")
        function.label(following)
        function.do(f"{after} = add i64 {others}, 1")
        more = function.let(f"icmp ult i64 {after}, {workers}")
        function.do(f"br i1 {more}, label %{share}, label %{done}")
        function.label(done)

    def evenly(self, function: Function, var: Var, count: int, body: Callable[[], str]) -> None:
        """The worker's own share, in order, and no queue. Come here before the body."""
        worker, slot = self.slots.fixed(function, "worker"), self.slots.number(var)
        symbol = body()
        first, end = (self._bound(function, worker, add, count) for add in (0, 1))
        test, run, done = map(function.name, ("test", "share", "done"))
        self.slots.store(function, slot, "i64", first)
        function.do(f"br label %{test}")
        function.label(test)
        instance = self.slots.load(function, slot)
        more = function.let(f"icmp slt i64 {instance}, {end}")
        function.do(f"br i1 {more}, label %{run}, label %{done}")
        function.label(run)
        self._run(function, symbol, done)
        again = self.slots.load(function, slot)
        self.slots.store(function, slot, "i64", function.let(f"add i64 {again}, 1"))
        function.do(f"br label %{test}")
        function.label(done)

    def _known(self, function: Function) -> tuple[str, str]:
        """The context, and how many workers there are."""
        return self.slots.fixed(function, "context"), self.slots.context(function, "workers")

    def _bound(self, function: Function, owner: str, add: int, count: int) -> str:
        """Where the share of `owner` + `add` begins."""
        number = function.let(f"add i64 {owner}, {add}")
        scaled = function.let(f"mul i64 {number}, {count}")
        return function.let(f"udiv i64 {scaled}, {self.slots.context(function, 'workers')}")

    def _turn(self, function: Function, site: int) -> str:
        """How often this worker has run the queue before."""
        slot = self.slots.number(("turn", site))
        turn = self.slots.load(function, slot)
        self.slots.store(function, slot, "i64", function.let(f"add i64 {turn}, 1"))
        return turn

    def _draw(self, function: Function, line: str, base: str, size: str | int, empty: str) -> str:
        """The next number below `size`; goes to `empty` if there is none."""
        context = self.slots.fixed(function, "context")
        ticket = function.call("i64", "tw_next", ("ptr", context), ("i64", line))
        number = function.let(f"sub i64 {ticket}, {base}")
        more = function.let(f"icmp slt i64 {number}, {size}")
        found = function.name("found")
        function.do(f"br i1 {more}, label %{found}, label %{empty}")
        function.label(found)
        return number

    def _run(self, function: Function, body: str, done: str) -> None:
        """Run the body; go to `done` if cancelled meanwhile."""
        function.call("void", body, ("ptr", "%a0"))
        finished = function.name("finished")
        self.control.go_on(function, finished, done)
        function.label(finished)

    def _wait_for_place(
        self, function: Function, context: str, var: Var, instance: str, done: str
    ) -> None:
        """Begin when the ring has a place for the instance; go to `done` if cancelled instead."""
        left = function.call("i32", "tw_wait_slot", ("ptr", context), ("i64", instance))
        begin = function.name("begin")
        stop = function.let(f"icmp ne i32 {left}, 0")
        function.do(f"br i1 {stop}, label %{done}, label %{begin}")
        function.label(begin)
        places = self.slots.context(function, "ring_slots")
        at = function.let(f"urem i64 {instance}, {places}")
        self.slots.store(function, self.slots.number(ring(var)), "i64", at)
