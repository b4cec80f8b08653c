"""LLVM IR as text: a `Module` of functions, and a `Function` that is written line by line.

What a module holds is data: each function's head, its lines, and which others it calls, so that
whoever takes a module apart has nothing to read out of text.

Registers hold a *register type*, memory a *memory type*: bfloat16 and float16 are computed as float
and rounded after every operation, bool is i1 in a register and one byte in memory.

Functions say that they run with denormals read and written as zeros. Else LLVM may ask for the
class of a float instead of comparing it with zero, beside other questions of the kind, and whether
a denormal is zero hangs on what stands nearby.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tilewright.frozen import frozen
from tilewright.machine.machine import Features

MEMORY_TYPE = {
    "float32": "float",
    "float64": "double",
    "bfloat16": "i16",
    "float16": "half",
    "bool": "i8",
    **{f"{sign}int{bits}": f"i{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
REGISTER_TYPE = MEMORY_TYPE | {"bfloat16": "float", "float16": "float", "bool": "i1"}

FLUSHES = '"denormal-fp-math"="preserve-sign,preserve-sign"'
"""What the control register is set to while functions run (`runtime/native.py`)."""


def vector(kind: str, width: int) -> str:
    """`kind` itself at width 0 (a scalar), else a vector type."""
    return f"<{width} x {kind}>" if width else kind


@frozen
class Written:
    """A function that is written. Others of the module see it; the linker, if it is `exported`."""

    symbol: str
    result: str
    arguments: str
    """Types and names, between commas."""
    attributes: str
    body: str
    """Its lines, labels included."""
    calls: frozenset[str] = frozenset()
    """Symbols of the functions that it calls, of whatever module."""
    exported: bool = False

    @property
    def inlined(self) -> bool:
        """Whether every caller gets a copy."""
        return "alwaysinline" in self.attributes.split()

    def define(self, exported: bool = False) -> str:
        """As text."""
        linkage = "" if self.exported or exported else "internal "
        return f"define {linkage}{self._head} {{\n{self.body}\n}}"

    def declare(self) -> str:
        """For a module that calls it, and has it from elsewhere."""
        return f"declare {self._head}"

    @property
    def _head(self) -> str:
        return f"{self.result} @{self.symbol}({self.arguments}) {self.attributes} {FLUSHES}"


class Module:
    """Functions by symbol, each once, and declarations of what else they call.

    `near` is the size of the tile's nearest memory.
    """

    def __init__(self, features: Features, near: int = 32 << 10):
        self.features = features
        self.near = near
        self.functions: dict[str, Written] = {}
        self.declarations: dict[str, str] = {}

    def declare(self, symbol: str, result: str, *arguments: str, attributes: str = "") -> None:
        """Declare an intrinsic or one of the few outside functions we may call."""
        text = f"declare {result} @{symbol}({', '.join(arguments)}) {attributes}"
        self.declarations[symbol] = text.rstrip()

    def add(self, function: Written) -> None:
        self.functions[function.symbol] = function

    def function(
        self, symbol: str, result: str, arguments: list[str], attributes: str = "noinline nounwind"
    ) -> Function:
        """A new function; its arguments are %a0, %a1, ... Call `close()` on it when written."""
        return Function(self, symbol, result, arguments, attributes)

    def text(self) -> str:
        functions = [function.define() for function in self.functions.values()]
        return "\n".join([*self.declarations.values(), "", *functions])


class Function:
    """A function body in the making. Methods that compute return the name of a new register."""

    def __init__(
        self, module: Module, symbol: str, result: str, arguments: list[str], attributes: str
    ):
        self.module = module
        self.symbol, self.result, self.attributes = symbol, result, attributes
        self.arguments = ", ".join(f"{kind} %a{i}" for i, kind in enumerate(arguments))
        self.exported = False
        self.calls: set[str] = set()
        self.lines: list[str] = ["entry:"]
        self._reserved: list[str] = []
        self._known: dict[str, str] = {}
        self.block = "entry"
        self._count = 0

    def argument(self, position: int) -> str:
        return f"%a{position}"

    def name(self, stem: str = "v") -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        """An instruction with a result: `let("fadd float %a, %b")`."""
        register = "%" + self.name()
        self.lines.append(f"  {register} = {text}")
        return register

    def reserve(self, kind: str, count: int) -> str:
        """Memory of the function's own for `count` elements of a type; one place, also in loops."""
        place = "%" + self.name("own")
        self._reserved.append(f"  {place} = alloca [{count} x {kind}], align 64")
        return place

    def known(self, text: str) -> str:
        """As `let`, at the function's beginning and once: of its arguments, or what is known."""
        if text not in self._known:
            self._known[text] = register = "%" + self.name("known")
            self._reserved.append(f"  {register} = {text}")
        return self._known[text]

    def label(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    def call(self, result: str, symbol: str, *arguments: tuple[str, str]) -> str:
        """Call a function given (type, value) pairs; `result` is its type, "void" gives "".

        Functions of the module itself are called by this alone: it keeps their symbols.
        """
        self.calls.add(symbol)
        text = f"call {result} @{symbol}({', '.join(f'{k} {v}' for k, v in arguments)})"
        if result == "void":
            self.do(text)
            return ""
        return self.let(text)

    def address(self, base: str, kind: str, index: str | int) -> str:
        """The address of element `index` (i64) of an array of memory type `kind`."""
        return self.let(f"getelementptr {kind}, ptr {base}, i64 {index}")

    @contextmanager
    def loop(
        self,
        start: str | int,
        stop: str | int,
        step: int = 1,
        carry: Sequence[tuple[str, str]] = (),
    ) -> Iterator[LoopHandle]:
        """`for index in range(start, stop, step)`; tested before the first turn.

        `carry` is a list of (type, initial value): inside, `handle.carry[i]` is the value at the
        start of a turn; assign `handle.next[i]`; after the loop, `handle.result[i]`.
        """
        head, body, done = self.name("head"), self.name("body"), self.name("done")
        before = self.block
        self.do(f"br label %{head}")
        self.label(head)
        index = "%" + self.name("i")
        phis = ["%" + self.name("c") for _ in carry]
        mark = len(self.lines)
        test = self.let(f"icmp slt i64 {index}, {stop}")
        self.do(f"br i1 {test}, label %{body}, label %{done}")
        self.label(body)
        handle = LoopHandle(index, list(phis), list(phis), list(phis))
        yield handle
        after = self.let(f"add i64 {index}, {step}")
        last = self.block
        self.do(f"br label %{head}")
        rows = [f"  {index} = phi i64 [ {start}, %{before} ], [ {after}, %{last} ]"]
        rows += [
            f"  {phi} = phi {kind} [ {first}, %{before} ], [ {following}, %{last} ]"
            for phi, (kind, first), following in zip(phis, carry, handle.next, strict=True)
        ]
        self.lines[mark:mark] = rows
        self.label(done)

    def close(self, result: str = "void") -> None:
        """End with `ret` and hand the text to the module."""
        self.do(f"ret {result}")
        entry, *lines = self.lines
        body = "\n".join([entry, *self._reserved, *lines])
        head = self.symbol, self.result, self.arguments, self.attributes
        self.module.add(Written(*head, body, frozenset(self.calls), self.exported))


@dataclass
class LoopHandle:
    """The inside of `Function.loop`."""

    index: str
    carry: list[str]
    next: list[str]
    result: list[str]
