"""A product of which only some blocks are wanted: the others are neither summed nor written.

In: `lhs` (t, m) and `rhs` (t, n), float32; `places` and `starts`, int32, which say where the blocks
of `tall` rows x 16 columns of the result are (see `graph/ops/sampled.py`). Out: (m, n), zero
elsewhere; or, `onto` what is there, the same with the blocks added. Nothing of a pattern is in the
code but how tall its blocks are: it goes by the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract import sampled_emit
from tilewright.codelets.contract.blocks import COLUMNS_GRAIN, of_piece
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.frozen import frozen
from tilewright.graph.ops import sampled
from tilewright.machine.cost import Count


@frozen
class ContractSampled(Codelet):
    """`whole`: of a piece of the columns, how many panels all of them are, whose blocks are given.
    Columns of `rhs` and `out` lie side by side. `counts`: where it is known beforehand, how many
    blocks each panel has; then columns may lie as they like."""

    lhs: Operand
    rhs: Operand
    places: Operand
    starts: Operand
    out: Operand
    tall: int
    onto: bool = False
    whole: int = 0
    counts: tuple[int, ...] = ()

    @property
    def terms(self) -> int:
        return self.lhs.shape[0]

    @property
    def m(self) -> int:
        return self.out.shape[0]

    @property
    def n(self) -> int:
        return self.out.shape[1]

    @property
    def name(self) -> str:
        size = f"{self.m}x{self.n}x{self.terms}_{self.places.shape[0]}_of_{self.tall}"
        return f"contract_sampled_{size}{'_add' if self.onto else ''}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.rhs, self.places, self.starts)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,) if self.onto else ()

    @property
    def cut(self) -> Cut:
        """Along the columns, in whole panels; a piece finds its own blocks among all."""
        axes = (None, 1, None, 0, 1)
        return Cut(self.n, axes, along_lanes=True, grain=COLUMNS_GRAIN, panels=3)

    def on(self, operands: Sequence[Operand]) -> ContractSampled:
        lhs, rhs, places, starts, out = operands
        whole = self.whole or self.starts.shape[0]
        return replace(self, lhs=lhs, rhs=rhs, places=places, starts=starts, out=out, whole=whole)

    @property
    def work(self) -> Count:
        """Of a piece of the columns, with its share of the blocks."""
        share = self.starts.shape[0] / (self.whole or self.starts.shape[0])
        there = sum(self.counts) if self.counts else self.places.shape[0] * share
        elements = there * self.tall * LANES
        loads = nbytes(self.lhs, self.rhs, self.starts) + nbytes(self.places) * share
        stores = 4 * elements if self.onto else self.out.nbytes
        loads += 4 * elements if self.onto else 0
        macs = {"float32": self.terms * elements}
        return Count(macs, {}, loads, stores, self.starts.shape[0])

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, rhs, places, starts, *base = arrays
        places, starts = of_piece(places, starts)
        if not self.onto:
            return (sampled.dot_sampled(lhs, rhs, places, starts, height=self.tall),)
        (base,) = base
        return (sampled.add_sampled(base, lhs, rhs, places, starts, height=self.tall),)

    def emit(self, module: Module, symbol: str) -> None:
        sampled_emit.emit(self, module, symbol)
