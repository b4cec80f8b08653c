"""Products of one row that sum over the same k, term by term together; and what is done row by row.

In: `ContractOuter`s with m = 1 over as many terms, one leaf each; `Rows`, an expression over a
matrix with a row for each term, if there is one. Out: their results. Always: each sum is taken in
its own order, so that the bits are those of one after the other; a row is read by all before it is
written.

A product of one row has few sums, each of which waits for its last multiply-add: 40 columns keep a
processor half busy, one column takes four cycles a term for nothing else. Side by side, they wait
together, and what they read is read once: the gradient of a narrow net's last layers and the
derivative of its tanh take a third less time (256 rows of 40, Zen 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract.codelet import ContractOuter
from tilewright.codelets.emit import memory, vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes, panels
from tilewright.codelets.emit.expression import LONG, emit_expression, instructions_of
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.tiling import Run
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.machine.cost import Count

MOST = 64
"""Columns of all products together: their sums stay in registers."""


@frozen
class Rows:
    """A short expression over a float32 matrix; `reads` and `writes` are strides of its arrays."""

    expression: Expression
    shape: tuple[int, int]
    reads: tuple[tuple[int, ...], ...]
    writes: tuple[tuple[int, ...], ...]

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return tuple(Operand("float32", self.shape, steps) for steps in self.reads)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return tuple(Operand("float32", self.shape, steps) for steps in self.writes)

    @property
    def work(self) -> Count:
        moved = Count(loads=nbytes(*self.inputs), stores=nbytes(*self.outputs))
        return self.expression.work(self.shape[0] * self.shape[1]) + moved

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(evaluate_expression(self.expression, arrays, self.shape))

    @property
    def is_near(self) -> bool:
        """Whether a row is a few vectors, side by side or repeated, and little to do."""
        dtypes = {*self.expression.inputs, *map(self.expression.dtype, self.expression.outputs)}
        near = all(s[1] in (0, 1) for s in self.reads) and all(s[1] == 1 for s in self.writes)
        light = instructions_of(self.expression) <= LONG
        numbered = any(step.op == "iota" for step in self.expression.instructions)
        return (
            near and light and not numbered and dtypes == {"float32"} and 1 < self.shape[1] <= MOST
        )


@frozen
class SideBySide(Codelet):
    """`products`, then `rows`: so are its inputs, and its outputs."""

    products: tuple[ContractOuter, ...]
    rows: Rows | None = None

    @property
    def parts(self) -> tuple[ContractOuter | Rows, ...]:
        return (*self.products, self.rows) if self.rows else self.products

    @property
    def name(self) -> str:
        sizes = "_".join(f"1x{product.n}" for product in self.products)
        beside = f"_{self.rows.expression.label}_x{self.rows.shape[1]}" if self.rows else ""
        return f"contract_beside_f32_{sizes}_x{self.products[0].k}{beside}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return tuple(operand for part in self.parts for operand in part.inputs)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return tuple(operand for part in self.parts for operand in part.outputs)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        results, rest = [], list(arrays)
        for part in self.parts:
            count = len(part.inputs)
            results += part.meaning(*rest[:count])
            del rest[:count]
        return tuple(results)

    @property
    def work(self) -> Count:
        return reduce(add, (part.work for part in self.parts))

    def emit(self, module: Module, symbol: str) -> None:
        _Writer(self, module, symbol).write()


def may_stand_beside(product: ContractOuter) -> bool:
    """Whether a product is one that gains."""
    plain = {product.lhs.dtype, product.rhs.dtype, product.out.dtype} == {"float32"}
    near = product.n == 1 or product.rhs.strides[-1] == product.out.strides[-1] == 1
    alone = not product.batch and product.epilogue is None
    long = LANES < product.k <= product.leaf
    return plain and near and alone and long and product.m == 1 and 1 <= product.n <= MOST


class _Writer:
    """The function of one codelet in the making; places are pointers that move along k."""

    def __init__(self, codelet: SideBySide, module: Module, symbol: str):
        self.codelet = codelet
        count = len(codelet.inputs) + len(codelet.outputs)
        self.function: Function = module.function(symbol, "void", ["ptr"] * count)
        self.arithmetic = Arithmetic("float32")
        self.width = self.arithmetic.lanes(module.features.vector_bits)
        self.lanes = [_lanes(product.n, self.width) for product in codelet.products]

    def write(self) -> None:
        function, codelet = self.function, self.codelet
        read = len(codelet.inputs)
        pointers = [function.argument(i) for i in range(read + len(codelet.outputs))]
        count = len(codelet.products)
        moving, steps = pointers[: 2 * count], []
        for product in codelet.products:
            steps += [product.lhs.strides[-1], product.rhs.strides[-2]]
        if codelet.rows:
            moving += [*pointers[2 * count : read], *pointers[read + count :]]
            steps += [o.strides[0] for o in (*codelet.rows.inputs, *codelet.rows.outputs)]
        kinds = [vector("float", lane.width) for lanes in self.lanes for lane in lanes]
        carry = [(kind, self.arithmetic.zero) for kind in kinds]
        carry += [("ptr", pointer) for pointer in moving]
        with repeat(function, codelet.products[0].k, carry) as turn:
            sums, places = list(turn.carry[: len(kinds)]), turn.carry[len(kinds) :]
            sums = self._term(sums, places)
            if codelet.rows:
                self._row(codelet.rows, places[2 * count :])
            moved = [offset(function, p, "float32", s) for p, s in zip(places, steps, strict=True)]
            turn.next[:] = [*sums, *moved]
        self._store(list(turn.result[: len(kinds)]), pointers[read : read + count])
        function.close()

    def _term(self, sums: list[str], places: Sequence[str]) -> list[str]:
        """One more term of each product."""
        function, done, at = self.function, [], 0
        for number, (product, lanes) in enumerate(
            zip(self.codelet.products, self.lanes, strict=True)
        ):
            left, right = places[2 * number : 2 * number + 2]
            scalar = vectors.load_scalar(function, "float32", left)
            step = product.rhs.strides[-1]
            for lane in lanes:
                place = offset(function, right, "float32", lane.start * step)
                y = vectors.load(function, "float32", place, step, lane.width, lane.valid)
                x = vectors.splat(function, "float", lane.width, scalar)
                done.append(self.arithmetic.multiply_add(function, lane.width, x, y, sums[at]))
                at += 1
        return done

    def _row(self, rows: Rows, places: Sequence[str]) -> None:
        """One row, 16 columns after others."""
        function, steps = self.function, [s[1] for s in (*rows.reads, *rows.writes)]
        for start in range(0, rows.shape[1], LANES):
            valid = min(LANES, rows.shape[1] - start)
            width = next(w for w in (4, 8, LANES) if w >= valid)
            here = [
                offset(function, place, "float32", start * step)
                for place, step in zip(places, steps, strict=True)
            ]
            inputs = [
                memory.load(function, "float32", place, width, step, valid)
                for place, step in zip(here, (s[1] for s in rows.reads), strict=False)
            ]
            results = emit_expression(function, rows.expression, inputs, width)
            for result, place in zip(results, here[len(inputs) :], strict=True):
                memory.store(function, "float32", result, place, width, 1, valid)

    def _store(self, sums: list[str], outs: Sequence[str]) -> None:
        for product, lanes, out in zip(self.codelet.products, self.lanes, outs, strict=True):
            step = product.out.strides[-1]
            for lane in lanes:
                place = offset(self.function, out, "float32", lane.start * step)
                total = sums.pop(0)
                vectors.store(self.function, "float32", total, place, step, lane.width, lane.valid)


def _lanes(columns: int, width: int) -> list[Lanes]:
    """Vectors that cover the columns of one row."""
    runs = (Run(0, -(-columns // width), 1),)
    return [lane for _, _, lanes in panels(runs, columns, width) for lane in lanes]
