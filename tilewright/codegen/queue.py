"""Queues: the instances of a `Map` or `Spread`, taken by whichever worker is free.

In: the body's function, and how many instances there are. Out: lines that draw a number, run the
body with it, and draw again. Which worker computes an instance changes no bit, and nobody waits for
a slow one. Each worker draws one number too many, so every run of a queue starts where the last one
ended, and a worker keeps that number in its frame.
"""

from __future__ import annotations

from tilewright.codegen.calls import ring
from tilewright.codegen.control import Control
from tilewright.codegen.slots import Slots
from tilewright.codelets.llvm import Function, Module
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

    def run(
        self, function: Function, site: int, var: Var, count: int, body: str, streams: bool
    ) -> None:
        context = self.slots.fixed(function, "context")
        base = self._base(function, count, site)
        head, turn, done = (function.name(s) for s in ("next", "turn", "done"))
        function.do(f"br label %{head}")
        function.label(head)
        ticket = function.call("i64", "tw_next", ("ptr", context), ("i64", str(site)))
        instance = function.let(f"sub i64 {ticket}, {base}")
        more = function.let(f"icmp slt i64 {instance}, {count}")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        self.slots.store(function, self.slots.number(var), "i64", instance)
        if streams:
            self._wait_for_place(function, context, var, instance, done)
        function.call("void", body, ("ptr", "%a0"))
        flag = self.control.cancelled(function)
        finished = function.name("finished")
        function.do(f"br i1 {flag}, label %{done}, label %{finished}")
        function.label(finished)
        if streams:
            function.call("void", "tw_finished", ("ptr", context), ("i64", instance))
        function.do(f"br label %{head}")
        function.label(done)

    def _base(self, function: Function, count: int, site: int) -> str:
        """The first number of this run of the queue: every earlier run drew count + workers."""
        slot = self.slots.number(("base", site))
        workers = self.slots.context(function, "workers")
        base = self.slots.load(function, slot)
        drawn = function.let(f"add i64 {workers}, {count}")
        self.slots.store(function, slot, "i64", function.let(f"add i64 {base}, {drawn}"))
        return base

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
