"""LLVM text of matrix times vector, in the law's `lanes`: term e of a leaf goes to lane e mod 16.

In: a `ContractVector`. Out: its function. Where k is contiguous, a machine vector holds lanes of
one output, and some rows advance together (`Rows`); where outputs are, it holds one lane of many
outputs, and lanes are taken four at a time in the order of their halving (`_Columns`). Always: the
bits are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tilewright.codelets.contract.operand import Matrix, Reader
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.halving import QUARTERS, Lane, halved
from tilewright.codelets.emit.lanes import fold
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.codelets.contract.codelet import ContractVector

_CHAINS = 8
"""Machine vectors of accumulators that keep two multiply-adds a cycle busy."""
WRITTEN_OUT = 4
"""Sixteens of k that are written one after the other where vectors run along outputs: a loop of so
few turns is left at the wrong time (32 terms of 64 outputs: 69 ns for 45, Zen 4)."""


def emit(codelet: ContractVector, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    function = module.function(symbol, "void", ["ptr"] * 3)
    if codelet.out.size:
        operands = (codelet.lhs, codelet.rhs, codelet.out)
        dtypes = [operand.dtype for operand in operands]
        ranks = (2, 1, 1)
        strides = [o.strides[: len(o.strides) - r] for o, r in zip(operands, ranks, strict=True)]
        pointers = [function.argument(i) for i in range(3)]
        form = _Columns if by_columns(codelet) else Rows
        with walk(function, codelet.batch, pointers, dtypes, strides) as places:
            form(function, codelet).write(*places)
    function.close()


def by_columns(codelet: ContractVector) -> bool:
    """Whether machine vectors run along outputs."""
    step, k_step = codelet.lhs.strides[-2:]
    return step == 1 and k_step != 1 and codelet.m > 1


@frozen
class _Base:
    function: Function
    codelet: ContractVector

    @property
    def arithmetic(self) -> Arithmetic:
        return Arithmetic(self.codelet.sum_dtype)

    @property
    def width(self) -> int:
        """Lanes of a machine vector."""
        return self.arithmetic.lanes(self.function.module.features.vector_bits)

    @property
    def start(self) -> str:
        """What a lane starts from."""
        return self.arithmetic.start(self.codelet.k, self.width)

    @property
    def registers(self) -> int:
        return self.function.module.features.registers

    @property
    def matrix(self) -> Matrix:
        lhs = self.codelet.lhs
        return Matrix(lhs.dtype, *lhs.strides[-2:], left=True)

    @property
    def factor(self) -> Matrix:
        """The vector, as a matrix of one row."""
        rhs = self.codelet.rhs
        return Matrix(rhs.dtype, 0, rhs.strides[-1])

    def moved(self, places: list[str], terms: int) -> list[str]:
        """(matrix, vector) moved along k."""
        return [
            offset(self.function, place, operand.dtype, terms * operand.k_step)
            for place, operand in zip(places, (self.matrix, self.factor), strict=True)
        ]

    def leaves(
        self, places: list[str], trees: int, leaf: Callable[[list[str], int], list[str]]
    ) -> list[str]:
        """Sums over all of k in `trees` machine vectors; `leaf` gives those of one leaf."""
        before = -(-self.codelet.k // self.codelet.leaf) - 1
        if before < 1:
            return leaf(places, self.codelet.k)
        kind, add = self.arithmetic.kind, self.arithmetic.add
        tree = Pairwise(self.function, kind, [self.width] * trees, add, before)
        with repeat(self.function, before, [("ptr", place) for place in places]) as turn:
            tree.push(turn.index, leaf(turn.carry, self.codelet.leaf))
            turn.next[:] = self.moved(turn.carry, self.codelet.leaf)
        return tree.finish(leaf(turn.result, self.codelet.k - before * self.codelet.leaf))

    def store(self, total: str, out: str, width: int, valid: int) -> None:
        dtype, step = self.codelet.out.dtype, self.codelet.out.strides[-1]
        total = vectors.narrow(self.function, total, self.arithmetic.dtype, dtype, width)
        vectors.store(self.function, dtype, total, out, step, width, valid)


class Rows(_Base):
    """k is contiguous (or nothing is): one accumulator of 16 lanes for each of some rows."""

    @property
    def reader(self) -> Reader:
        return Reader(self.arithmetic.dtype, self.width)

    @property
    def together(self) -> int:
        """Rows whose accumulators fill the registers."""
        parts = self.reader.parts
        return max(1, min(LANES, (self.registers - 1 - parts) // parts))

    def write(self, matrix: str, factor: str, out: str) -> None:
        function, codelet = self.function, self.codelet
        out_step, way = codelet.out.strides[-1], -1 if codelet.backwards else 1
        for run in tiling.split(codelet.m, self.together)[::way]:
            start = run.start + (run.size * (run.count - 1) if codelet.backwards else 0)
            first = offset(function, matrix, codelet.lhs.dtype, start * self.matrix.step)
            place = offset(function, out, codelet.out.dtype, start * out_step)
            steps = [[way * run.size * self.matrix.step], [way * run.size * out_step]]
            dtypes = [codelet.lhs.dtype, codelet.out.dtype]
            with walk(function, [run.count], [first, place], dtypes, steps) as (here, there):
                self._tile(run.size, [here, factor], there)

    def _tile(self, rows: int, places: list[str], out: str) -> None:
        """Some outputs; each group's totals fill one machine vector."""
        function, width = self.function, self.width
        groups = -(-rows // width)
        totals = self.leaves(places, groups, partial(self._leaf, rows))
        for i, total in enumerate(totals):
            step = i * width * self.codelet.out.strides[-1]
            place = offset(function, out, self.codelet.out.dtype, step)
            self.store(total, place, width, min(width, rows - i * width))

    def _leaf(self, rows: int, places: list[str], length: int) -> list[str]:
        """One leaf's sums, side by side in machine vectors."""
        parts = self.reader.parts
        sums = self.summed(rows, places, length, [self.start] * (rows * parts))
        accumulators = [sums[i : i + parts] for i in range(0, len(sums), parts)]
        totals = fold(self.function, self.arithmetic.kind, accumulators, self.arithmetic.add)
        return [self._in_order(i, total.register, total.owners) for i, total in enumerate(totals)]

    def summed(self, rows: int, places: list[str], length: int, sums: list[str]) -> list[str]:
        """Lanes' sums of some rows, and `length` more terms."""
        function, kind = self.function, vector(self.arithmetic.kind, self.width)
        turns, rest = divmod(length, LANES)
        if turns:
            carry = [(kind, total) for total in sums]
            carry += [("ptr", place) for place in places]
            with repeat(function, turns, carry) as turn:
                *sums, matrix, factor = turn.carry
                sums = self.step(rows, [matrix, factor], LANES, sums)
                turn.next[:] = [*sums, *self.moved([matrix, factor], LANES)]
            *sums, matrix, factor = turn.result
            places = [matrix, factor]
        return self.step(rows, places, rest, sums) if rest else sums

    def _in_order(self, group: int, register: str, owners: tuple[int | None, ...]) -> str:
        wanted = range(group * self.width, (group + 1) * self.width)
        lanes = [owners.index(row) if row in owners else -1 for row in wanted]
        return vectors.shuffle(
            self.function, self.arithmetic.kind, self.width, register, "poison", lanes
        )

    def step(self, rows: int, places: list[str], length: int, sums: list[str]) -> list[str]:
        """16 terms of k, of which the first `length` exist."""
        function, sums, parts = self.function, list(sums), self.reader.parts
        for part in range(parts):
            if part * self.width >= length:
                break
            y = self.reader.read(function, self.factor, places[1], part, length)
            for row in range(rows):
                where = offset(function, places[0], self.matrix.dtype, row * self.matrix.step)
                x = self.reader.read(function, self.matrix, where, part, length)
                at = row * parts + part
                sums[at] = self.arithmetic.multiply_add(function, self.width, x, y, sums[at])
        return sums


class _Columns(_Base):
    """Outputs are contiguous: one accumulator for each lane and machine vector of outputs."""

    def write(self, matrix: str, factor: str, out: str) -> None:
        function, codelet = self.function, self.codelet
        panel = max(1, (_CHAINS if self.registers < 32 else 2 * _CHAINS) // len(QUARTERS))
        panel *= self.width
        dtypes = [codelet.lhs.dtype, codelet.out.dtype]
        panels, rest = divmod(codelet.m, panel)
        out_step, way = codelet.out.strides[-1], -1 if codelet.backwards else 1
        groups = [(0, panels, panel)] if panels else []
        groups += [(panels * panel, 1, rest)] if rest else []
        for start, count, width in groups[::way]:
            start += (count - 1) * width if codelet.backwards else 0
            here = offset(function, matrix, codelet.lhs.dtype, start)
            there = offset(function, out, codelet.out.dtype, start * out_step)
            steps = [[way * width], [way * width * out_step]]
            with walk(function, [count], [here, there], dtypes, steps) as (near, place):
                self._panel(width, [near, factor], place)

    def _panel(self, outputs: int, places: list[str], out: str) -> None:
        function, width = self.function, self.width
        valid = [min(width, outputs - i) for i in range(0, outputs, width)]
        totals = self.leaves(places, len(valid), partial(self._leaf, valid))
        for i, (total, count) in enumerate(zip(totals, valid, strict=True)):
            step = i * width * self.codelet.out.strides[-1]
            self.store(total, offset(function, out, self.codelet.out.dtype, step), width, count)

    def _leaf(self, valid: list[int], places: list[str], length: int) -> list[str]:
        """One leaf's sums: lanes l, l + 4, l + 8, l + 12 run along together."""
        quarters = [self._quarter(valid, places, length, first) for first in QUARTERS]

        def add(x: str, y: str) -> str:
            return self.arithmetic.add(self.function, self.width, x, y)

        totals = []
        for i in range(len(valid)):
            lanes = [lane[i] for quarter in quarters for lane in quarter]
            totals.append(halved(lanes, add, self.start))
        return totals

    def _quarter(
        self, valid: list[int], places: list[str], length: int, first: int
    ) -> list[list[Lane]]:
        """Four lanes' sums, for each vector of outputs; None for a lane without a term."""
        function, kind = self.function, vector(self.arithmetic.kind, self.width)
        lanes = [first + 4 * i for i in range(4)]
        turns, rest = divmod(length, LANES)
        sums: list[Lane] = [None] * (4 * len(valid))
        if turns <= WRITTEN_OUT:
            for term in range(turns * LANES):
                if term % LANES in lanes:
                    self._take(valid, places, term, sums, lanes.index(term % LANES))
            places = self.moved(places, turns * LANES)
        else:
            carry = [(kind, self.start) for _ in sums]
            carry += [("ptr", place) for place in places]
            with repeat(function, turns, carry) as turn:
                *totals, matrix, factor = turn.carry
                for i, lane in enumerate(lanes):
                    self._take(valid, [matrix, factor], lane, totals, i)
                turn.next[:] = [*totals, *self.moved([matrix, factor], LANES)]
            *totals, matrix, factor = turn.result
            sums, places = list(totals), [matrix, factor]
        for i, lane in enumerate(lanes):
            if lane < rest:
                self._take(valid, places, lane, sums, i)
        return [sums[i * len(valid) : (i + 1) * len(valid)] for i in range(4)]

    def _take(
        self, valid: list[int], places: list[str], term: int, sums: list, number: int
    ) -> None:
        """One term of k for all vectors of outputs."""
        function, arithmetic, width = self.function, self.arithmetic, self.width
        matrix, factor = self.moved(places, term)
        scalar = vectors.load_scalar(function, self.factor.dtype, factor)
        scalar = vectors.widen(function, scalar, self.factor.dtype, arithmetic.dtype, 0)
        x = vectors.splat(function, arithmetic.kind, width, scalar)
        for i, count in enumerate(valid):
            where = offset(function, matrix, self.matrix.dtype, i * width)
            y = vectors.load(function, self.matrix.dtype, where, 1, width, count)
            y = vectors.widen(function, y, self.matrix.dtype, arithmetic.dtype, width)
            at = number * len(valid) + i
            total = sums[at] or self.start
            sums[at] = arithmetic.multiply_add(function, width, x, y, total)
