"""Rows times a packed matrix: panels of 16 columns stream by, sums stay in registers.

In: `lhs` (m, k) and `panels` (panels, ceil(k / d), 16, d), as `pack` makes them of a matrix (k, n):
16 columns lie side by side, of each of them d neighbouring k. Out: (m, n). The format is the same
on every machine, and so are the bits. Of few rows each panel is read once, in the order in which it
lies; of many, a group of panels stays near while all rows pass. Pairs of low precision are read
from contiguous rows.

    panels    d  lhs                 sums
    float32   1  float32             the law's sequence
    bfloat16  2  float32, bfloat16   the same: panels are widened in registers
    bfloat16  2  bfloat16, `paired`  the law's pairs: what `vdpbf16ps` does. Elsewhere by two fma
    int8      2  int16               int32, which wraps: exact while sums fit
    int8      4  int8                the same; by products of bytes that are added in 16 bits
    int8      4  uint8               the same; `vpdpbusd` where there is it
    int8      4  uint16              the same, by two of `vpdpbusd`: of low bytes and of high ones

In `parts`, panels (parts, panels, ...) are those of matrices of n columns each, and the outputs
(m, n) are what the epilogue makes of the parts' sums: it reads those first, in order. Panels of
one number advance together, so that what meets in a gate is in registers at one time.

Up to 512 products of |panel| <= 127 and |lhs| <= 32767 fit 32 bits, and 66,000 of uint8. Of int16 a
panel is widened, a vector in 1.4 cycles on Zen 4; of uint16 it comes as it lies. (A row times
256 x 512: 1.65 us and 1.33; of uint8 1.27; reading alone 1.20. With AVX2: of
int16 2.25, of int8 1.58.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract import panels_emit
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.graph import law
from tilewright.graph.ops.packed import unpack
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count, narrow

ROWS_GRAIN, COLUMNS_GRAIN = 32, 4 * LANES
"""Rows or columns from which on a piece runs about as fast, for its size, as the whole."""


@frozen
class ContractPanels(Codelet):
    """`paired`: in the order of `vdpbf16ps`. `epilogue`, `beside`, `more`: see `ContractOuter`.

    `backwards`: panels are read from the last to the first, which changes no bit. `far`: they come
    from memory, or nearly, and few rows read them one line after the other: bytes come at 38 GB/s
    so, and at 21 to 34 where several panels advance together (Zen 4, 30 MB, of which reading alone
    gets 43). From the nearest 4 MB that is no faster, of wider numbers nowhere.
    """

    lhs: Operand
    panels: Operand
    out: Operand
    paired: bool = False
    epilogue: Expression | None = None
    beside: tuple[Operand, ...] = ()
    more: tuple[Operand, ...] = ()
    backwards: bool = False
    far: bool = False

    @property
    def m(self) -> int:
        return self.lhs.shape[0]

    @property
    def k(self) -> int:
        return self.lhs.shape[1]

    @property
    def n(self) -> int:
        return self.out.shape[1]

    @property
    def parts(self) -> int:
        """Products of the same rows; of more than one there is an epilogue."""
        return self.panels.shape[0] if len(self.panels.shape) == 5 else 1

    @property
    def name(self) -> str:
        paired = "_paired" if self.paired else ""
        after = f"_{self.epilogue.label}" if self.epilogue else ""
        after += "_backwards" if self.backwards else ""
        after += "_far" if self.far else ""
        size = f"{self.m}x{f'{self.parts}x' if self.parts > 1 else ''}{self.n}x{self.k}"
        return f"contract_panels_{self.panels.dtype}_{size}{paired}{after}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.panels, *self.beside)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out, *self.more)

    @property
    def cut(self) -> Cut:
        """Along the longer one of rows and columns; a piece of columns is whole panels."""
        sides = len(self.beside) + len(self.outputs)
        if self.m >= self.n:
            return Cut(self.m, (0, None, *(0,) * sides), grain=ROWS_GRAIN)
        axes = (None, len(self.panels.shape) - 4, *(1,) * sides)
        return Cut(self.n, axes, along_lanes=True, grain=COLUMNS_GRAIN, panels=1)

    def on(self, operands: Sequence[Operand]) -> ContractPanels:
        lhs, panels, *sides = operands
        beside, (out, *more) = sides[: len(self.beside)], sides[len(self.beside) :]
        return replace(
            self, lhs=lhs, panels=panels, beside=tuple(beside), out=out, more=tuple(more)
        )

    @property
    def work(self) -> Count:
        sums = "int32" if self.panels.dtype == "int8" else "float32"
        key = narrow(self.lhs.dtype, self.panels.dtype, sums, self.paired)
        macs = {key: self.parts * self.out.size * self.k}
        iterations = prod(self.panels.shape[:-3])
        count = Count(macs, {}, nbytes(*self.inputs), nbytes(*self.outputs), iterations)
        return count + self.epilogue.work(self.out.size) if self.epilogue else count

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, panels, *beside = arrays
        sums = [self._sums(lhs, part) for part in (panels if self.parts > 1 else [panels])]
        if self.epilogue is None:
            return (SCALAR["convert"](sums[0], dtype=self.out.dtype),)
        return tuple(evaluate_expression(self.epilogue, (*sums, *beside), self.out.shape))

    def _sums(self, lhs: np.ndarray, panels: np.ndarray) -> np.ndarray:
        matrix = unpack(panels, self.k, self.n)
        if self.panels.dtype == "int8":
            return law.product(lhs, matrix.T, "sequence", "int32")
        return law.product(lhs, matrix.T, "pairs" if self.paired else "sequence", "float32")

    def emit(self, module: Module, symbol: str) -> None:
        panels_emit.emit(self, module, symbol)
