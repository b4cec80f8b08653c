"""A fused multiply-add in float32, exact to the last bit, on NumPy arrays.

In: float32 arrays. Out: a * b + c rounded once, denormals flushed before and after. NumPy has no
such function: the product is formed in float64, where it is exact, and the sum's second rounding is
put right where it matters. Sums of many products stay in float64, which holds what float32 does, in
memory that is made once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tilewright.graph.floats import ROUNDS_TO_TINY, Array, flush

_TIE_MASK = np.int64((1 << 29) - 1)
_TIE = np.int64(1 << 28)


def fma32(a: Array, b: Array, c: Array) -> np.ndarray:
    """float32 a * b + c with one rounding."""
    a, b, c = (flush(np.asarray(x, np.float32)) for x in (a, b, c))
    pair = a.astype(np.float64), b.astype(np.float64)
    return chain32([pair], np.broadcast_to(c, np.broadcast_shapes(a.shape, b.shape, c.shape)))


def chain32(pairs: Iterable[tuple[np.ndarray, np.ndarray]], sums: np.ndarray) -> np.ndarray:
    """float32 `sums`, to which a * b of each pair is added with one rounding, one after the other.

    Pairs are float64 arrays; they hold float32 values without denormals, as sums do.
    """
    added = _Added(sums.astype(np.float64))
    with np.errstate(all="ignore"):
        for a, b in pairs:
            added.product(a, b)
        return added.sums.astype(np.float32)


class _Added:
    """Sums, and the memory that a step of theirs needs.

    A product is exact in float64. Rounding the sum twice differs from rounding it once only where
    the first rounding lands midway between two float32 values: there the lost part decides.
    """

    def __init__(self, sums: np.ndarray):
        self.sums = sums
        self._product, self._total = np.empty_like(sums), np.empty_like(sums)
        self._bits, self._found = np.empty_like(sums, np.int64), np.empty_like(sums, bool)
        self._single = np.empty_like(sums, np.float32)

    def product(self, a: np.ndarray, b: np.ndarray) -> None:
        sums, total, found = self.sums, self._total, self._found
        product = np.multiply(a, b, out=self._product)
        np.add(product, sums, out=total)
        np.bitwise_and(total.view(np.int64), _TIE_MASK, out=self._bits)
        if np.count_nonzero(np.equal(self._bits, _TIE, out=found)):
            total[found] = _nudge(total[found], product[found], sums[found])
        size = np.abs(total, out=product)
        if np.count_nonzero(np.less(size, ROUNDS_TO_TINY["float32"], out=found)):
            np.copysign(0.0, total, out=total, where=found)
        np.copyto(self._single, total, casting="same_kind")
        np.copyto(sums, self._single)


def _nudge(total: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Move total = a + b one step towards what rounding lost (Knuth's two-sum finds it)."""
    back = total - a
    lost = (a - (total - back)) + (b - back)
    moved = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & np.isfinite(total) & np.isfinite(lost), moved, total)
