"""Control flow: loops, while loops, branches, and tile 0's own share.

In: functions of the frame that run the bodies, and where conditions lie. Out: lines that call them
as often as they should run. When the run is cancelled, loops end and functions return early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codegen.counters import Counters
from tilewright.codegen.slots import Slots
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, Module


def declare_cancelled(module: Module) -> None:
    """Cold: what surrounds a call of it gets the registers."""
    module.declare("tw_cancelled", "i32", "ptr", "i64", attributes="cold nounwind")


class Control:
    """Writes jumps into functions; `counters` count the turns of every loop."""

    def __init__(self, slots: Slots, counters: Counters):
        self.slots, self.counters = slots, counters

    def only_first(self, function: Function, body: str) -> None:
        """Worker 0 runs `body`."""
        worker = self.slots.fixed(function, "worker")
        first = function.let(f"icmp eq i64 {worker}, 0")
        then, after = function.name("first"), function.name("after")
        function.do(f"br i1 {first}, label %{then}, label %{after}")
        function.label(then)
        function.call("void", body, ("ptr", "%a0"))
        function.do(f"br label %{after}")
        function.label(after)

    def loop(self, function: Function, slot: int, count: int, body: str) -> None:
        """Run `body` with 0 .. count - 1 in `slot`."""
        counter = self.counters.new(f"loop{len(self.counters.names)}")
        head, turn, done = (function.name(s) for s in ("loop", "turn", "done"))
        self.slots.store(function, slot, "i64", "0")
        function.do(f"br label %{head}")
        function.label(head)
        index = self.slots.load(function, slot)
        more = function.let(f"icmp slt i64 {index}, {count}")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        function.call("void", body, ("ptr", "%a0"))
        self.counters.add(function, counter)
        following = function.let(f"add i64 {index}, 1")
        self.slots.store(function, slot, "i64", following)
        self.go_on(function, head, done)
        function.label(done)

    def while_loop(
        self,
        function: Function,
        condition: str,
        test: Callable[[Function], str],
        body: str,
        step: object,
    ) -> None:
        """Run `condition`, then `body` and again, until the byte at the address `test` is 0.

        `step` is whose turns they are.
        """
        counter = self.counters.new(f"while{len(self.counters.names)}", step)
        head, turn, done = (function.name(s) for s in ("while", "turn", "done"))
        function.do(f"br label %{head}")
        function.label(head)
        function.call("void", condition, ("ptr", "%a0"))
        value = function.let(f"load i8, ptr {test(function)}")
        more = function.let(f"icmp ne i8 {value}, 0")
        function.do(f"br i1 {more}, label %{turn}, label %{done}")
        function.label(turn)
        function.call("void", body, ("ptr", "%a0"))
        self.counters.add(function, counter)
        self.go_on(function, head, done)
        function.label(done)

    def branch(
        self, function: Function, dtype: str, index: str, cases: Sequence[Callable[[], object]]
    ) -> None:
        """Write the cases; `index` (memory type) chooses one, the first or last if out of range."""
        kind, last = MEMORY_TYPE[dtype], str(len(cases) - 1)
        if kind == "i8":
            index, kind = function.let(f"zext i8 {index} to i32"), "i32"
        low = function.let(f"icmp slt {kind} {index}, 0")
        index = function.let(f"select i1 {low}, {kind} 0, {kind} {index}")
        high = function.let(f"icmp sgt {kind} {index}, {last}")
        chosen = function.let(f"select i1 {high}, {kind} {last}, {kind} {index}")
        labels = [function.name("case") for _ in cases]
        after = function.name("after")
        arms = " ".join(f"{kind} {i}, label %{label}" for i, label in enumerate(labels))
        function.do(f"switch {kind} {chosen}, label %{labels[-1]} [ {arms} ]")
        for label, case in zip(labels, cases, strict=True):
            function.label(label)
            case()
            function.do(f"br label %{after}")
        function.label(after)

    def go_on(self, function: Function, on: str, stop: str, word: str = "") -> None:
        """Jump to `on`, or to `stop` if the run is cancelled: from then on no barrier waits.

        The word is 0 but for moments, and then we ask; `word` is its address, where it has been
        loaded before.
        """
        word = word or self.slots.fixed(function, "cancel")
        value = function.let(f"load atomic i32, ptr {word} monotonic, align 4")
        noticed = function.let(f"icmp ne i32 {value}, 0")
        ask = function.name("ask")
        function.do(f"br i1 {noticed}, label %{ask}, label %{on}")
        function.label(ask)
        context, worker = (self.slots.fixed(function, name) for name in ("context", "worker"))
        answer = function.call("i32", "tw_cancelled", ("ptr", context), ("i64", worker))
        cancelled = function.let(f"icmp ne i32 {answer}, 0")
        function.do(f"br i1 {cancelled}, label %{stop}, label %{on}")

    def leave_if_cancelled(self, function: Function) -> None:
        """Return from the function once the run is to stop; its caller then does the same."""
        leave, stay = function.name("leave"), function.name("stay")
        self.go_on(function, stay, leave)
        function.label(leave)
        function.do("ret void")
        function.label(stay)
