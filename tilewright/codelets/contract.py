"""Contractions: batches of C[m, n] = sum over k of A[m, k] * B, in two forms.

In: two strided operands. Out: their products summed over k, `(*batch, m, n)`.

    ContractOuter   B is (*batch, k, n): lanes run along n (or m); for anything but the next
    ContractInner   B is (*batch, n, k): k is contiguous in both, lanes run along k

Always: the order of summation is that of `graph/order.py`, whatever the tile, the strides and the
instruction set. Sums are kept in float32 for 16-bit floats and rounded once. With `accumulate` the
output's old contents are added last: old + sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilewright.codelets import contract_inner, contract_outer
from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.llvm import Module
from tilewright.graph import order
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count

_SHORT = {"float32": "f32", "float64": "f64", "bfloat16": "bf16", "float16": "f16"}


@dataclass(frozen=True)
class _Contract(Codelet):
    """What both forms share. Shapes: out (*batch, m, n), lhs (*batch, m, k)."""

    lhs: Operand
    rhs: Operand
    out: Operand
    accumulate: bool = False

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
    def k(self) -> int:
        return self.lhs.shape[-1]

    @property
    def sum_dtype(self) -> str:
        """What products and sums are kept in."""
        return order.dot_working_dtype(self.lhs.dtype, self.rhs.dtype, self.out.dtype)

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.rhs)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,) if self.accumulate else ()

    @property
    def work(self) -> Count:
        loads = nbytes(self.lhs, self.rhs) + self.accumulate * self.out.nbytes
        macs = {self.sum_dtype: self.out.size * self.k}
        return Count(macs, {}, loads, self.out.nbytes, -(-self.out.size // LANES))

    def _name(self, form: str) -> str:
        dtype = _SHORT.get(self.lhs.dtype, self.lhs.dtype)
        size = "x".join(map(str, (*self.batch, self.m, self.n, self.k)))
        return f"contract_{form}_{dtype}_{size}" + ("_add" if self.accumulate else "")

    def _meaning(
        self, lhs: np.ndarray, rhs: np.ndarray, old: Sequence[np.ndarray], form: str
    ) -> tuple[np.ndarray, ...]:
        batch, dtype = tuple(range(lhs.ndim - 2)), self.sum_dtype
        contract = ((lhs.ndim - 1,), (rhs.ndim - (1 if form == "inner" else 2),))
        sums = order.dot_ordered(lhs, rhs, contract, (batch, batch), dtype, form=form)
        if self.accumulate:
            sums = SCALAR["add"](SCALAR["convert"](old[0], dtype=dtype), sums, dtype=dtype)
        return (SCALAR["convert"](sums, dtype=self.out.dtype),)


@dataclass(frozen=True)
class ContractOuter(_Contract):
    """`rhs` is (*batch, k, n). Fast where n is contiguous in rhs and out, or m in lhs and out."""

    @property
    def name(self) -> str:
        return self._name("outer")

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, rhs, *old = arrays
        return self._meaning(lhs, rhs, old, "outer")

    @property
    def scratch(self) -> int:
        """Bytes of memory that the caller lends."""
        return contract_outer.scratch(self)

    def emit(self, module: Module, symbol: str) -> None:
        contract_outer.emit(self, module, symbol)


@dataclass(frozen=True)
class ContractInner(_Contract):
    """`rhs` is (*batch, n, k). Fast where k is contiguous in both and rows start 64 bytes apart."""

    @property
    def name(self) -> str:
        return self._name("inner")

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, rhs, *old = arrays
        return self._meaning(lhs, rhs, old, "inner")

    @property
    def scratch(self) -> int:
        """Bytes of memory that the caller lends."""
        return contract_inner.scratch(self)

    def emit(self, module: Module, symbol: str) -> None:
        contract_inner.emit(self, module, symbol)
