"""LLVM text of rows times panels: see `panels.py`.

In: a `ContractPanels`. Out: its function. Some panels advance together, as many as registers hold
sums for: enough that no sum waits for itself, few enough streams that the caches foresee them. In
one step a machine vector of d neighbouring k is read, and used for every row of a tile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.operand import Matrix
from tilewright.codelets.contract.problem import Problem, Side
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.tiling import Run, Tiling, choose, split
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.graph.law import LEAF

if TYPE_CHECKING:
    from tilewright.codelets.contract.panels import ContractPanels

_FEW_ROWS = 4
"""Up to so many, reading the panels is what takes the time."""
_MOST_STREAMS = 4
"""Panels that advance together for few rows: four read as fast as one line after the other."""
_STEPS, _SUMS_STEPPED = 4, 8
"""Steps of a turn of the innermost loop, whose own instructions then hardly count; one, where more
sums than so many are taken in it."""


def emit(codelet: ContractPanels, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    arguments = len(codelet.inputs) + len(codelet.outputs)
    function = module.function(symbol, "void", ["ptr"] * arguments)
    if codelet.out.size:
        _Writer(function, codelet).write()
    function.close()


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

    @property
    def problem(self) -> Problem:
        """What becomes of sums, and where."""
        codelet = self.codelet
        left = Matrix(codelet.lhs.dtype, codelet.lhs.strides[0], codelet.lhs.strides[1])
        right = Matrix(codelet.panels.dtype, 1, LANES)
        sides = tuple(Side.of(side, False) for side in (*codelet.beside, *codelet.outputs))
        sums = Arithmetic("float32")
        return Problem(codelet.m, codelet.n, codelet.k, left, right, sides, sums, codelet.epilogue)

    def tiling(self, panels: int) -> Tiling:
        """Rows and panels that are summed together."""
        rows, registers = self.codelet.m, self.function.module.features.registers
        if rows > _FEW_ROWS:
            return choose(rows, panels, self.codelet.k, registers, parts=self.parts)
        most = registers * 3 // 4 // (rows * self.parts)
        return Tiling((Run(0, rows, 1),), split(panels, max(1, min(_MOST_STREAMS, most))))

    def write(self) -> None:
        """Groups of panels outside, so that a group is used while it is near."""
        function, codelet = self.function, self.codelet
        arguments = range(len(codelet.inputs) + len(codelet.outputs))
        lhs, panels, *sides = map(function.argument, arguments)
        problem = self.problem
        whole, rest = divmod(codelet.n, LANES)
        groups = [(0, whole, LANES)] if whole else []
        groups += [(whole, 1, rest)] if rest else []
        dtypes = [codelet.panels.dtype, *(side.dtype for side in problem.sides)]
        way = -1 if codelet.backwards else 1
        for first, count, valid in groups[::way]:
            tiling = self.tiling(count)
            for run in tiling.columns[::way]:
                at = first + run.start + (run.size * (run.count - 1) if way < 0 else 0)
                here = [self._panel_at(panels, at), *problem.moved(function, sides, 0, at * LANES)]
                columns = [LANES * run.size * side.column_step for side in problem.sides]
                steps = [[way * self._panel * run.size], *([way * step] for step in columns)]
                with walk(function, [run.count], here, dtypes, steps) as (near, *places):
                    for rows in tiling.rows:
                        self._rows(problem, rows, lhs, near, places, run.size, valid)

    def _rows(
        self,
        problem: Problem,
        run: Run,
        lhs: str,
        panels: str,
        places: Sequence[str],
        count: int,
        valid: int,
    ) -> None:
        """A run of rows against `count` panels, of which the last has `valid` columns."""
        function, row_step = self.function, self.codelet.lhs.strides[0]
        lhs = offset(function, lhs, self.codelet.lhs.dtype, run.start * row_step)
        here = [lhs, *problem.moved(function, places, run.start, 0)]
        steps = [row_step, *(side.row_step for side in problem.sides)]
        dtypes = [self.codelet.lhs.dtype, *(side.dtype for side in problem.sides)]
        along = [[run.size * step] for step in steps]
        with walk(function, [run.count], here, dtypes, along) as (lhs, *inside):
            sums = self._sums(lhs, panels, run.size, count)
            for place, total in enumerate(sums):
                rest, part = divmod(place, self.parts)
                panel, row = divmod(rest, run.size)
                left = (valid if panel == count - 1 else LANES) - part * self.width
                if left > 0:
                    column = panel * LANES + part * self.width
                    lanes = Lanes(column, self.width, min(self.width, left))
                    problem.finish(function, lanes, total, inside, row)

    @property
    def _panel(self) -> int:
        """Elements of one."""
        return prod(self.codelet.panels.shape[1:])

    def _panel_at(self, panels: str, number: int) -> str:
        return offset(self.function, panels, self.codelet.panels.dtype, number * self._panel)

    def _sums(self, lhs: str, panels: str, rows: int, count: int) -> list[str]:
        """(panel, row, part) over all of k: node after node of the law's tree."""
        term, k = self.term, self.codelet.k
        before = -(-k // term.node) - 1
        if before < 1:
            return self._node(term, [lhs, panels], rows, count, k)[0]
        widths = [self.width] * (count * rows * self.parts)
        tree = Pairwise(self.function, "float", widths, Arithmetic("float32").add, before)
        with repeat(self.function, before, [("ptr", lhs), ("ptr", panels)]) as turn:
            sums, turn.next[:] = self._node(term, turn.carry, rows, count, term.node)
            tree.push(turn.index, sums)
        rest = k - before * term.node
        return tree.finish(self._node(term, turn.result, rows, count, rest)[0])

    def _node(
        self, term: _Term, places: Sequence[str], rows: int, count: int, length: int
    ) -> tuple[list[str], list[str]]:
        """Sums over `length` of k as floats, and the operands' places after them."""
        number = count * rows * self.parts
        sums, places = [term.start] * number, list(places)
        steps, rest = divmod(length, term.depth)
        together = _STEPS if number <= _SUMS_STEPPED else 1
        turns, left = divmod(steps, together)
        for many, each in ((turns, together), (1, left)):
            if many and each:
                sums, places = self._loop(term, sums, places, rows, many, each)
        if rest:
            sums = self._step(term.for_one, places[0], places[1], rows, sums, rest)
        return [term.finished(total) for total in sums], places

    def _loop(
        self, term: _Term, sums: list[str], places: list[str], rows: int, turns: int, steps: int
    ) -> tuple[list[str], list[str]]:
        """`turns` times `steps` steps."""
        row = vector(term.kind, self.width)
        carry = [*((row, total) for total in sums), *(("ptr", place) for place in places)]
        with repeat(self.function, turns, carry) as turn:
            *sums, lhs, panels = turn.carry
            for number in range(steps):
                here = self._moved(lhs, panels, number * term.depth)
                sums = self._step(term, here[0], here[1], rows, sums, term.depth)
            turn.next[:] = [*sums, *self._moved(lhs, panels, steps * term.depth)]
        *sums, lhs, panels = turn.result
        return sums, [lhs, panels]

    def _moved(self, lhs: str, panels: str, terms: int) -> list[str]:
        codelet = self.codelet
        return [
            offset(self.function, lhs, codelet.lhs.dtype, terms * codelet.lhs.strides[1]),
            offset(self.function, panels, codelet.panels.dtype, LANES * terms),
        ]

    def _step(
        self, term: _Term, lhs: str, panels: str, rows: int, sums: list[str], valid: int
    ) -> list[str]:
        """`valid` of the depth's k: the side with fewer registers is read first and kept."""
        sums, parts = list(sums), self.parts
        count = len(sums) // (rows * parts)

        def row(number: int) -> list[str]:
            step = number * self.codelet.lhs.strides[0]
            return term.row(offset(self.function, lhs, self.codelet.lhs.dtype, step), valid)

        def columns(number: int, part: int) -> list[str]:
            where = number * self._panel + part * self.width * term.depth
            return term.columns(
                offset(self.function, panels, self.codelet.panels.dtype, where), valid
            )

        def add(x: list[str], y: list[str], at: int) -> None:
            sums[at] = term.added(x, y, sums[at])

        if rows <= count * parts:
            kept = [row(i) for i in range(rows)]
            for number, part in product(range(count), range(parts)):
                y = columns(number, part)
                for i, x in enumerate(kept):
                    add(x, y, (number * rows + i) * parts + part)
            return sums
        kept = [columns(number, part) for number in range(count) for part in range(parts)]
        for i in range(rows):
            x = row(i)
            for number, part in product(range(count), range(parts)):
                add(x, kept[number * parts + part], (number * rows + i) * parts + part)
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
