"""What both ways of writing a Cholesky factor share; `tiles` has U as its own factor: F = U'."""

from __future__ import annotations

from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.linalg.tiles import Tiles
from tilewright.frozen import frozen

ROWS = 4
"""How many rows are done before what lies right of them."""


@frozen
class Writer:
    tiles: Tiles
    n: int
    place: str

    @property
    def function(self) -> Function:
        return self.tiles.function

    @property
    def across(self) -> int:
        return 4 if self.function.module.features.registers >= 32 else 2

    def pivot(self, tiles: Tiles, value: str, state: str) -> tuple[str, str, str]:
        """Root, its reciprocal, and the state, which is NaN once a pivot was not positive."""
        good = self.function.let(f"fcmp ogt {tiles.type} {value}, {tiles.number(0.0)}")
        flags = vector("i1", tiles.width)
        nan = tiles.number(float("nan"))
        state = self.function.let(
            f"select {flags} {good}, {tiles.type} {state}, {tiles.type} {nan}"
        )
        root = tiles.intrinsic("sqrt", value)
        return root, tiles.reciprocal(root), state
