"""Contractions: sums over k of products of two strided operands, in the law's two orders.

    ContractOuter    (*batch, m, k) times (*batch, k, n) to (*batch, m, n), in `sequence`
    ContractVector   (*batch, m, k) times (*batch, k) to (*batch, m), in `lanes`

Always: the order of summation is that of `graph/law.py`, whatever the tile, the strides and the
instruction set. Sums are kept in float32 for 16-bit floats and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract import outer, reading, vector
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.graph import law
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count, narrow

OUTER_GRAIN, VECTOR_GRAIN = 32, 16
"""Rows or columns from which on a piece runs about as fast, for its size, as the whole."""
_SHORT = {"float32": "f32", "float64": "f64", "bfloat16": "bf16", "float16": "f16"}


@frozen
class _Contract(Codelet):
    """What both share."""

    lhs: Operand
    rhs: Operand
    out: Operand
    leaf: int = field(default=law.LEAF, kw_only=True)
    """Terms of a leaf of the sums."""

    @property
    def k(self) -> int:
        return self.lhs.shape[-1]

    @property
    def sum_dtype(self) -> str:
        """What products and sums are kept in."""
        return law.dot_working_dtype(self.lhs.dtype, self.rhs.dtype, self.out.dtype)

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.rhs)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def work(self) -> Count:
        macs = {self.sum_dtype: self.out.size * self.k}
        iterations = -(-self.out.size // LANES)
        return Count(macs, {}, nbytes(self.lhs, self.rhs), self.out.nbytes, iterations)

    def _name(self, form: str) -> str:
        dtype = _SHORT.get(self.lhs.dtype, self.lhs.dtype)
        size = "x".join(map(str, (*self.out.shape, self.k)))
        leaves = "" if self.leaf == law.LEAF else f"_leaves_of_{self.leaf}"
        return f"contract_{form}_{dtype}_{size}{leaves}"

    def _rounded(self, sums: np.ndarray) -> tuple[np.ndarray, ...]:
        return (SCALAR["convert"](sums, dtype=self.out.dtype),)


def _sorted(
    operands: Sequence[Operand], beside: int
) -> tuple[Sequence[Operand], tuple[Operand, ...], Operand, tuple[Operand, ...]]:
    """The two factors; what is read beside the sums; the first result, and the others."""
    factors, sides = operands[:2], operands[2:]
    out, *more = sides[beside:]
    return factors, tuple(sides[:beside]), out, tuple(more)


@frozen
class ContractOuter(_Contract):
    """Fast where n is contiguous in rhs and out, or m in lhs and out.

    With an `epilogue` the sums go through an expression before they are stored: its inputs are the
    sum (of `sum_dtype`) and the arrays `beside`, its outputs are `out` and `more`; all have the
    shape of `out`. An output may lie exactly on an array beside, as for `Elementwise`. All of k is
    summed by then, so that the bits are those of the product and the expression one by one.

    `paired`: of bfloat16, whose terms (an even number) are taken in the law's pairs. Of one operand
    neighbouring terms are words of 32 bits, of which a line begins each, or lines run along m (n).

    `asks`: bytes of further arrays, which are the last arguments, that are asked for meanwhile (see
    `asking.py`).
    """

    epilogue: Expression | None = None
    beside: tuple[Operand, ...] = ()
    more: tuple[Operand, ...] = ()
    paired: bool = field(default=False, kw_only=True)
    asks: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.rhs, *self.beside)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out, *self.more)

    @property
    def work(self) -> Count:
        if self.paired:
            narrowed = narrow(self.lhs.dtype, self.rhs.dtype, self.sum_dtype, True)
            products = replace(super().work, macs={narrowed: self.out.size * self.k})
        else:
            products = super().work
        if self.epilogue is None:
            return products
        elements = self.epilogue.work(self.out.size)
        moved = Count(loads=nbytes(*self.beside), stores=nbytes(*self.more))
        return products + elements + moved

    @property
    def sum_dtype(self) -> str:
        return self.epilogue.inputs[0] if self.epilogue else super().sum_dtype

    @property
    def batch(self) -> tuple[int, ...]:
        return self.out.shape[:-2]

    @property
    def m(self) -> int:
        return self.out.shape[-2]

    @property
    def n(self) -> int:
        return self.out.shape[-1]

    @property
    def cut(self) -> Cut:
        """Along the first batch dimension, or the longer one of m and n."""
        sides = len(self.beside) + len(self.outputs)
        if self.batch and self.batch[0] >= ENOUGH_BATCHES:
            return Cut(self.batch[0], (0,) * (2 + sides))
        m_step, n_step = self.out.strides[-2:]
        m_axis = len(self.batch)
        if self.m >= self.n:
            axes = (m_axis, None, *(m_axis,) * sides)
            return Cut(self.m, axes, m_step < n_step, OUTER_GRAIN)
        n_axis = m_axis + 1
        return Cut(self.n, (None, n_axis, *(n_axis,) * sides), n_step < m_step, OUTER_GRAIN)

    def on(self, operands: Sequence[Operand]) -> ContractOuter:
        (lhs, rhs), beside, out, more = _sorted(operands, len(self.beside))
        return replace(self, lhs=lhs, rhs=rhs, beside=beside, out=out, more=more)

    @property
    def name(self) -> str:
        form = ("asking_" if self.asks else "") + ("pairs" if self.paired else "outer")
        if self.epilogue is None:
            return self._name(form)
        return self._name(form) + f"_{self.epilogue.label}"

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, rhs, *beside = arrays
        order = "pairs" if self.paired else "sequence"
        sums = law.product(lhs, rhs.swapaxes(-1, -2), order, self.sum_dtype, self.leaf)
        if self.epilogue is None:
            return self._rounded(sums)
        return tuple(evaluate_expression(self.epilogue, (sums, *beside), self.out.shape))

    @property
    def scratch(self) -> int:
        """Bytes of memory that the caller lends."""
        return reading.scratch(self)

    @property
    def is_short(self) -> bool:
        """Whether an epilogue is: what is strided along the lanes goes element by element."""
        return reading.has_near_sides(self)

    def emit(self, module: Module, symbol: str) -> None:
        outer.emit(self, module, symbol)


@frozen
class ContractVector(_Contract):
    """Fast where k is contiguous in both operands, or m in lhs and out.

    `backwards`: rows are taken from the last to the first, which changes no bit.
    """

    backwards: bool = False

    @property
    def cut(self) -> Cut:
        """Along the first batch dimension, or the outputs of a matrix."""
        if self.batch and self.batch[0] >= ENOUGH_BATCHES:
            return Cut(self.batch[0], (0, 0, 0))
        axis, lanes = len(self.batch), self.lhs.strides[-2] == 1
        return Cut(self.m, (axis, None, axis), lanes, VECTOR_GRAIN)

    @property
    def batch(self) -> tuple[int, ...]:
        return self.out.shape[:-1]

    @property
    def m(self) -> int:
        return self.out.shape[-1]

    @property
    def name(self) -> str:
        return self._name("vector") + ("_backwards" if self.backwards else "")

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, rhs = arrays
        sums = law.product(lhs, rhs[..., None, :], "lanes", self.sum_dtype, self.leaf)
        return self._rounded(sums[..., 0])

    def emit(self, module: Module, symbol: str) -> None:
        vector.emit(self, module, symbol)
