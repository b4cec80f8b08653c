"""How sums are kept: the register type of an accumulator, its addition and its multiply-add.

In: dtypes and register names. Out: LLVM text. Always: float32 products are fused into the sum
(`fma`), float64 products are rounded first, integers wrap; 16-bit floats are summed in float32.
"""

from __future__ import annotations

from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.codelets.emit.vectors import FLOATS, kind_bits, splat_constant, suffix
from tilewright.frozen import frozen


@frozen
class Arithmetic:
    """How sums are kept: in `dtype`, one of float32 (fused), float64, or an integer (wraps)."""

    dtype: str

    @property
    def kind(self) -> str:
        return MEMORY_TYPE[self.dtype]

    @property
    def zero(self) -> str:
        return "zeroinitializer"

    def start(self, terms: int, width: int) -> str:
        """What a sum of so many products starts from: one alone keeps the sign of its zero."""
        if terms != 1 or self.dtype not in FLOATS:
            return self.zero
        return splat_constant(self.kind, "-0.0", width)

    def lanes(self, vector_bits: int) -> int:
        """Lanes of one machine register, never more than the 16 virtual ones."""
        return min(16, vector_bits // kind_bits(self.kind))

    def add(self, function: Function, width: int, x: str, y: str) -> str:
        operation = "fadd" if self.dtype in FLOATS else "add"
        return function.let(f"{operation} {vector(self.kind, width)} {x}, {y}")

    def multiply_add(self, function: Function, width: int, x: str, y: str, total: str) -> str:
        """x * y + total: fused in float32, rounded twice in float64, wrapping in integers."""
        row = vector(self.kind, width)
        if self.dtype == "float32":
            symbol = f"llvm.fma.{suffix('float', width)}"
            function.module.declare(symbol, row, row, row, row)
            return function.let(f"call {row} @{symbol}({row} {x}, {row} {y}, {row} {total})")
        operation = "fmul" if self.dtype in FLOATS else "mul"
        return self.add(function, width, total, function.let(f"{operation} {row} {x}, {y}"))
