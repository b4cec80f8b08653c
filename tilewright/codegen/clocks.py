"""Clocks in a program that is profiled: ticks of every codelet, superstep and barrier.

In: the places where a codelet is called and where a superstep ends. Out: lines that read the clock
and add to counters of these names; no line at all in a program that is not profiled.

    "ticks SYMBOL", "calls SYMBOL"                      a codelet
    "work N", "wait N", "runs N"                        superstep N of `plan/supersteps.py`

A worker's clock runs from its start: work ends where a superstep does, and the wait ends where the
barrier lets go. So the ticks of all supersteps and waits are all the ticks of that worker.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from tilewright.codegen.counters import Counters
from tilewright.codegen.slots import Slots
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.machine.machine import Machine

_CYCLES = "llvm.readcyclecounter"
_ARM = 'call i64 asm sideeffect "mrs $0, cntvct_el0", "=r"()'
_LAST = "last reading"


def read_clock(function: Function) -> str:
    """The time stamp counter: steady, and the same for all threads."""
    if platform.machine() in ("aarch64", "arm64"):
        return function.let(_ARM)
    function.module.declare(_CYCLES, "i64")
    return function.call("i64", _CYCLES)


def clock_text(machine: Machine) -> str:
    """A module whose `tilewright_clock` gives the clock's reading, to set it against seconds."""
    module = Module(machine.tile.features)
    function = module.function("tilewright_clock", "i64", [], "nounwind")
    function.exported = True
    function.close(f"i64 {read_clock(function)}")
    return module.text()


class Clocks:
    """Writes nothing unless `on`."""

    def __init__(self, slots: Slots, counters: Counters, on: bool):
        self.slots, self.counters, self.on = slots, counters, on
        self.codelets: dict[str, tuple[int, int]] = {}
        self.supersteps = 0
        self.last = slots.number(_LAST) if on else -1

    def start(self, function: Function, frame: str) -> None:
        """In the entry, when the frame is there."""
        if self.on:
            self.slots.store(function, self.last, "i64", read_clock(function), frame)

    @contextmanager
    def codelet(self, function: Function, symbol: str) -> Iterator[None]:
        """Count ticks and calls of what is written inside."""
        if not self.on:
            yield
            return
        if symbol not in self.codelets:
            new = self.counters.new
            self.codelets[symbol] = new(f"ticks {symbol}"), new(f"calls {symbol}")
        start = read_clock(function)
        yield
        passed = function.let(f"sub i64 {read_clock(function)}, {start}")
        ticks, calls = self.codelets[symbol]
        self.counters.add(function, ticks, passed)
        self.counters.add(function, calls)

    def end_of_work(self, function: Function) -> None:
        """The next superstep, in the program's order, ends here for this worker."""
        if not self.on:
            return
        self._add_passed(function, self.counters.new(f"work {self.supersteps}"))
        self.counters.add(function, self.counters.new(f"runs {self.supersteps}"))
        self.supersteps += 1

    def end_of_wait(self, function: Function) -> None:
        """The barrier behind the superstep that ended last lets go here."""
        if self.on:
            self._add_passed(function, self.counters.new(f"wait {self.supersteps - 1}"))

    def _add_passed(self, function: Function, counter: int) -> None:
        """Ticks since the last reading, which this one replaces."""
        now = read_clock(function)
        passed = function.let(f"sub i64 {now}, {self.slots.load(function, self.last)}")
        self.slots.store(function, self.last, "i64", now)
        self.counters.add(function, counter, passed)
