"""A product or a sum as lengths and operands: what may be cut over tiles that share no memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import LEAF


@frozen
class Problem:
    """`sides` are the axes of each operand, of "m", "n" and "k"; the result has m and n.

    Operands and result lie evenly over all tiles, row after row, before and after.
    """

    m: int
    n: int
    k: int
    dtype: str
    sides: tuple[str, ...]
    whole: bool = False
    """Sums must not be cut: an expression follows them."""
    leaf: int = LEAF
    """Terms of a leaf of the law."""
    afar: tuple[bool, ...] = ()
    """Operands that lie in the card's memory, and come from there."""
    fixed: tuple[bool, ...] = ()
    """Operands that a loop around it does not change: they are brought before it, once."""

    @property
    def item(self) -> int:
        return numpy_dtype(self.dtype).itemsize

    @property
    def sizes(self) -> dict[str, int]:
        return {"m": self.m, "n": self.n, "k": self.k}

    @property
    def total(self) -> int:
        """Bytes of all operands and of the result."""
        return self.item * sum(volume(self.sizes, side) for side in (*self.sides, "mn"))

    @property
    def kept(self) -> int:
        """Bytes of those that lie on the tiles."""
        far = sum(volume(self.sizes, s) for s, a in zip(self.sides, self.afar, strict=False) if a)
        return self.total - self.item * far


def volume(sizes: Mapping[str, Any], side: str) -> Any:
    """Of the sizes of a side's dimensions: numbers, or columns of them."""
    found: Any = 1
    for name in side:
        found = found * sizes[name]
    return found
