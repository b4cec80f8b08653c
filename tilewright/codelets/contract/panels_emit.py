"""LLVM text of a few rows times panels: see `panels.py`.

In: a `ContractPanels`. Out: its function. Some panels advance together, as many as registers hold
sums for: enough that no sum waits for itself, few enough streams that the caches foresee them. In
one step a machine vector of d neighbouring k is read, and used for every row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.tiling import Run, split
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.graph.law import LEAF

if TYPE_CHECKING:
    from tilewright.codelets.contract.panels import ContractPanels

_MOST_STREAMS = 4
"""Panels that advance together: four read as fast as one line after the other."""


def emit(codelet: ContractPanels, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    function = module.function(symbol, "void", ["ptr"] * 3)
    if codelet.out.size:
        _Writer(function, codelet).write()
    function.close()


_STEPS = 4
"""Steps of a turn of the innermost loop, whose own instructions then hardly count."""


@dataclass(frozen=True)
class _Writer:
    function: Function
    codelet: ContractPanels

    @property
    def width(self) -> int:
        """Lanes of a machine vector: all sums have 32 bits."""
        return min(LANES, self.function.module.features.vector_bits // 32)

    @property
    def parts(self) -> int:
        """Machine vectors of a panel."""
        return LANES // self.width

    @property
    def term(self) -> _Term:
        dtype = self.codelet.panels.dtype
        if dtype == "int8":
            return _Integers(self.function, self.codelet, self.width)
        if dtype == "float32":
            return _Singles(self.function, self.codelet, self.width)
        pairs = "avx512bf16" in self.function.module.features.names
        kind = _Dots if self.codelet.paired and pairs else _Halves
        return kind(self.function, self.codelet, self.width)

    def write(self) -> None:
        function, codelet = self.function, self.codelet
        lhs, panels, out = (function.argument(i) for i in range(3))
        room = function.module.features.registers * 3 // 4
        together = max(1, min(_MOST_STREAMS, room // (codelet.m * self.parts)))
        whole = codelet.n // LANES
        runs = split(whole, together) if whole else ()
        for run in (*runs, *([Run(whole, 1, 1)] if codelet.n % LANES else [])):
            here, there = self._at(panels, out, run.start)
            steps = [[self._panel * run.size], [LANES * run.size]]
            dtypes = [codelet.panels.dtype, codelet.out.dtype]
            valid = LANES if run.start < whole else codelet.n % LANES
            with walk(function, [run.count], [here, there], dtypes, steps) as (here, there):
                self._panels(lhs, here, there, run.size, valid)

    @property
    def _panel(self) -> int:
        """Elements of one."""
        return prod(self.codelet.panels.shape[1:])

    def _at(self, panels: str, out: str, number: int) -> list[str]:
        """Where a panel and its columns of the result begin."""
        return [
            offset(self.function, panels, self.codelet.panels.dtype, number * self._panel),
            offset(self.function, out, self.codelet.out.dtype, number * LANES),
        ]

    def _panels(self, lhs: str, panels: str, out: str, count: int, valid: int) -> None:
        """`count` panels, of which the last has `valid` columns."""
        sums = self._sums(lhs, panels, count)
        for place, total in enumerate(sums):
            rest, part = divmod(place, self.parts)
            panel, row = divmod(rest, self.codelet.m)
            left = (valid if panel == count - 1 else LANES) - part * self.width
            if left > 0:
                where = row * self.codelet.n + panel * LANES + part * self.width
                self._store(total, offset(self.function, out, self.codelet.out.dtype, where), left)

    def _store(self, total: str, target: str, left: int) -> None:
        dtype = self.codelet.out.dtype
        total = vectors.narrow(self.function, total, "float32", dtype, self.width)
        vectors.store(self.function, dtype, total, target, 1, self.width, min(self.width, left))

    def _sums(self, lhs: str, panels: str, count: int) -> list[str]:
        """(panel, row, part) over all of k: node after node of the law's tree."""
        term, k = self.term, self.codelet.k
        before = -(-k // term.node) - 1
        if before < 1:
            return self._node(term, [lhs, panels], count, k)[0]
        widths = [self.width] * (count * self.codelet.m * self.parts)
        tree = Pairwise(self.function, "float", widths, Arithmetic("float32").add, before)
        with repeat(self.function, before, [("ptr", lhs), ("ptr", panels)]) as turn:
            sums, turn.next[:] = self._node(term, turn.carry, count, term.node)
            tree.push(turn.index, sums)
        return tree.finish(self._node(term, turn.result, count, k - before * term.node)[0])

    def _node(
        self, term: _Term, places: Sequence[str], count: int, length: int
    ) -> tuple[list[str], list[str]]:
        """Sums over `length` of k as floats, and the operands' places after them."""
        number = count * self.codelet.m * self.parts
        sums, places = [term.start] * number, list(places)
        steps, rest = divmod(length, term.depth)
        turns, left = divmod(steps, _STEPS)
        for many, each in ((turns, _STEPS), (1, left)):
            if many and each:
                sums, places = self._loop(term, sums, places, count, many, each)
        if rest:
            sums = self._step(term.for_one, places[0], places[1], count, sums, rest)
        return [term.finished(total) for total in sums], places

    def _loop(
        self, term: _Term, sums: list[str], places: list[str], count: int, turns: int, steps: int
    ) -> tuple[list[str], list[str]]:
        """`turns` times `steps` steps."""
        row = vector(term.kind, self.width)
        carry = [*((row, total) for total in sums), *(("ptr", place) for place in places)]
        with repeat(self.function, turns, carry) as turn:
            *sums, lhs, panels = turn.carry
            for number in range(steps):
                here = self._moved(lhs, panels, number * term.depth)
                sums = self._step(term, here[0], here[1], count, sums, term.depth)
            turn.next[:] = [*sums, *self._moved(lhs, panels, steps * term.depth)]
        *sums, lhs, panels = turn.result
        return sums, [lhs, panels]

    def _moved(self, lhs: str, panels: str, terms: int) -> list[str]:
        codelet = self.codelet
        return [
            offset(self.function, lhs, codelet.lhs.dtype, terms),
            offset(self.function, panels, codelet.panels.dtype, LANES * terms),
        ]

    def _step(
        self, term: _Term, lhs: str, panels: str, count: int, sums: list[str], valid: int
    ) -> list[str]:
        """`valid` of the depth's k."""
        codelet, sums = self.codelet, list(sums)
        rows = [
            term.row(offset(self.function, lhs, codelet.lhs.dtype, row * codelet.k), valid)
            for row in range(codelet.m)
        ]
        for number in range(count):
            for part in range(self.parts):
                where = number * self._panel + part * self.width * term.depth
                columns = term.columns(
                    offset(self.function, panels, codelet.panels.dtype, where), valid
                )
                for row, x in enumerate(rows):
                    at = (number * codelet.m + row) * self.parts + part
                    sums[at] = term.added(x, columns, sums[at])
        return sums


@dataclass(frozen=True)
class _Term(ABC):
    """What one step of d neighbouring k adds to a vector of sums."""

    function: Function
    codelet: ContractPanels
    width: int

    kind = "float"
    depth = 2
    node = LEAF
    """Terms that are summed from 0, one step after the other."""

    @abstractmethod
    def row(self, place: str, valid: int) -> list[str]:
        """The d elements of one row of lhs at a place, of which `valid` exist, in every lane."""

    @abstractmethod
    def columns(self, place: str, valid: int) -> list[str]:
        """The d elements of each column."""

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        """By fma, one after the other."""
        arithmetic = Arithmetic("float32")
        for a, b in zip(x, y, strict=True):
            total = arithmetic.multiply_add(self.function, self.width, a, b, total)
        return total

    def finished(self, total: str) -> str:
        """As float32."""
        return total

    @property
    def start(self) -> str:
        """What sums start from."""
        return Arithmetic("float32").start(self.codelet.k, self.width)

    @property
    def for_one(self) -> _Term:
        """What takes a last k that has no neighbour."""
        return self

    def splat(self, kind: str, scalar: str) -> str:
        return vectors.splat(self.function, kind, self.width, scalar)

    def words(self, place: str) -> str:
        """A vector of 32 bits from memory."""
        row, align = vector("i32", self.width), itemsize(self.codelet.panels.dtype)
        return self.function.let(f"load {row}, ptr {place}, align {align}")


class _Singles(_Term):
    depth = 1

    def row(self, place: str, valid: int) -> list[str]:
        return [self.splat("float", vectors.load_scalar(self.function, "float32", place))]

    def columns(self, place: str, valid: int) -> list[str]:
        return [vectors.load(self.function, "float32", place, 1, self.width)]


class _Halves(_Term):
    """bfloat16 as float32: the upper half of a word is one already but for what lies below it."""

    def row(self, place: str, valid: int) -> list[str]:
        dtype, found = self.codelet.lhs.dtype, []
        for i in range(valid):
            value = vectors.load_scalar(
                self.function, dtype, offset(self.function, place, dtype, i)
            )
            value = vectors.widen(self.function, value, dtype, "float32", 0)
            found.append(self.splat("float", value))
        return self._ordered(found)

    def columns(self, place: str, valid: int) -> list[str]:
        row, words = vector("i32", self.width), self.words(place)
        shift = vectors.splat_constant("i32", 16, self.width)
        upper = vectors.splat_constant("i32", -0x10000, self.width)
        found = [self.function.let(f"shl {row} {words}, {shift}")]
        if valid == 2:
            found.append(self.function.let(f"and {row} {words}, {upper}"))
        floats = vector("float", self.width)
        return self._ordered(
            [self.function.let(f"bitcast {row} {bits} to {floats}") for bits in found]
        )

    def _ordered(self, pair: list[str]) -> list[str]:
        return pair[::-1] if self.codelet.paired else pair


class _Dots(_Term):
    """Pairs of bfloat16 by one instruction."""

    def row(self, place: str, valid: int) -> list[str]:
        pair = self.function.let(f"load i32, ptr {place}, align 2")
        return [self._pairs(self.splat("i32", pair))]

    @property
    def for_one(self) -> _Term:
        """With a product of zeros beside it, a sum of -0 would become +0."""
        return _Halves(self.function, self.codelet, self.width)

    def columns(self, place: str, valid: int) -> list[str]:
        return [self._pairs(self.words(place))]

    def _pairs(self, words: str) -> str:
        row, pairs = vector("i32", self.width), vector("bfloat", 2 * self.width)
        return self.function.let(f"bitcast {row} {words} to {pairs}")

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        row, pairs = vector("float", self.width), vector("bfloat", 2 * self.width)
        symbol = f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.width}"
        self.function.module.declare(symbol, row, row, pairs, pairs)
        arguments = f"{row} {total}, {pairs} {x[0]}, {pairs} {y[0]}"
        return self.function.let(f"call {row} @{symbol}({arguments})")


class _Integers(_Term):
    """int8 times int16, pairs of products added in 32 bits by one instruction where there is it."""

    kind = "i32"
    node = 2 * LEAF

    @property
    def start(self) -> str:
        return Arithmetic("int32").start(self.codelet.k, self.width)

    def row(self, place: str, valid: int) -> list[str]:
        if valid == 1:
            value = self.function.let(f"load i16, ptr {place}, align 2")
            return [self._halves(self.splat("i32", self.function.let(f"zext i16 {value} to i32")))]
        pair = self.function.let(f"load i32, ptr {place}, align 2")
        return [self._halves(self.splat("i32", pair))]

    def _halves(self, words: str) -> str:
        row, halves = vector("i32", self.width), vector("i16", 2 * self.width)
        return self.function.let(f"bitcast {row} {words} to {halves}")

    def columns(self, place: str, valid: int) -> list[str]:
        row, halves = vector("i8", 2 * self.width), vector("i16", 2 * self.width)
        small = self.function.let(f"load {row}, ptr {place}, align 1")
        return [self.function.let(f"sext {row} {small} to {halves}")]

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        row, halves = vector("i32", self.width), vector("i16", 2 * self.width)
        symbol = {8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}.get(self.width)
        if symbol and "avx2" in self.function.module.features.names:
            self.function.module.declare(symbol, row, halves, halves)
            pairs = self.function.let(f"call {row} @{symbol}({halves} {x[0]}, {halves} {y[0]})")
        else:
            pairs = self._by_elements(x[0], y[0])
        return self.function.let(f"add {row} {total}, {pairs}")

    def _by_elements(self, x: str, y: str) -> str:
        row, half = vector("i32", self.width), vector("i16", self.width)
        products = []
        for first in (0, 1):
            picks = list(range(first, 2 * self.width, 2))
            wide = []
            for value in (x, y):
                lanes = vectors.shuffle(
                    self.function, "i16", 2 * self.width, value, "poison", picks
                )
                wide.append(self.function.let(f"sext {half} {lanes} to {row}"))
            products.append(self.function.let(f"mul {row} {wide[0]}, {wide[1]}"))
        return self.function.let(f"add {row} {products[0]}, {products[1]}")

    def finished(self, total: str) -> str:
        row, floats = vector("i32", self.width), vector("float", self.width)
        return self.function.let(f"sitofp {row} {total} to {floats}")
