"""One associative operation on registers: what scatters and running sums combine elements with.

In: kinds add, mul, max, min (sum and prod are other names of the first two); any dtype. Out: LLVM
text. Always as `SCALAR` of `graph/scalar.py`: integers wrap, max and min pass NaN on and order -0
before +0, 16-bit floats are combined in float32, bool takes `or` for add and max, `and` for mul and
min.
"""

from __future__ import annotations

from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.codelets.emit.vectors import FLOATS, narrow, suffix, widen
from tilewright.frozen import frozen
from tilewright.graph.law import accumulation_dtype

OPERATIONS = {"sum": "add", "prod": "mul"}


@frozen
class Combination:
    """`kind` on elements that memory holds as `dtype`; width 0 is a scalar."""

    kind: str
    dtype: str

    @property
    def operation(self) -> str:
        return OPERATIONS.get(self.kind, self.kind)

    @property
    def wide(self) -> str:
        """The dtype that is computed in."""
        return accumulation_dtype(self.dtype)

    @property
    def register(self) -> str:
        """Its LLVM type; a bool stays one byte."""
        return MEMORY_TYPE[self.wide]

    @property
    def is_extreme_of_floats(self) -> bool:
        """Whether it is a max or min that is computed as memory holds it."""
        return self.operation in ("max", "min") and self.wide == self.dtype in FLOATS

    def widen(self, function: Function, width: int, value: str) -> str:
        return widen(function, value, self.dtype, self.wide, width)

    def narrow(self, function: Function, width: int, value: str) -> str:
        return narrow(function, value, self.wide, self.dtype, width)

    def rounded(self, function: Function, width: int, x: str, y: str) -> str:
        """x combined with y, all in memory type."""
        wide = [self.widen(function, width, value) for value in (x, y)]
        return self.narrow(function, width, self.apply(function, width, *wide))

    def apply(self, function: Function, width: int, x: str, y: str) -> str:
        """x combined with y, both as wide as computed."""
        row = vector(self.register, width)
        if self.operation in ("max", "min") and self.dtype != "bool":
            symbol = f"llvm.{self._extreme()}.{suffix(self.register, width)}"
            function.module.declare(symbol, row, row, row)
            return function.call(row, symbol, (row, x), (row, y))
        return function.let(f"{self._instruction()} {row} {x}, {y}")

    def _extreme(self) -> str:
        if self.wide in FLOATS:
            return "maximum" if self.operation == "max" else "minimum"
        return ("u" if self.wide.startswith("u") else "s") + self.operation

    def _instruction(self) -> str:
        if self.dtype == "bool":
            return "or" if self.operation in ("add", "max") else "and"
        return ("f" if self.wide in FLOATS else "") + self.operation
