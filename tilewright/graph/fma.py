"""A fused multiply-add in float32, exact to the last bit, on NumPy arrays.

In: float32 arrays. Out: a * b + c rounded once, denormals flushed before and after. NumPy has no
such function: the product is formed in float64, where it is exact, and the sum's second rounding is
put right where it matters. Sums of many products stay in float64, which holds what float32 does, in
memory that is made once. It matters for few: of small sums several steps are rounded twice, then
looked at together, and done again where it did matter.
"""

from __future__ import annotations

import numpy as np

from tilewright.graph.floats import ROUNDS_TO_TINY, Array, flush

_TIE_MASK = np.int64((1 << 29) - 1)
_TIE = np.int64(1 << 28)
_TOGETHER = 1 << 14
"""Elements of the steps that are looked at together: what they need stays in L2."""


def fma32(a: Array, b: Array, c: Array) -> np.ndarray:
    """float32 a * b + c with one rounding."""
    a, b, c = (flush(np.asarray(x, np.float32)) for x in (a, b, c))
    c = np.broadcast_to(c, np.broadcast_shapes(a.shape, b.shape, c.shape))
    return chain32(a[None].astype(np.float64), b[None].astype(np.float64), c)


def chain32(a: np.ndarray, b: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """float32 `sums`, to which a[0] * b[0], a[1] * b[1], ... are added with one rounding each.

    `a` and `b` are float64; they hold float32 values without denormals, as sums do.
    """
    together = max(1, min(len(a), _TOGETHER // max(1, sums.size)))
    added = _Added(sums.astype(np.float64), together)
    with np.errstate(all="ignore"):
        for first in range(0, len(a), together):
            added.products(a[first : first + together], b[first : first + together])
        return added.sums.astype(np.float32)


class _Added:
    """Sums, and the memory that so many steps of theirs need.

    A product is exact in float64. Rounding the sum twice differs from rounding it once only where
    the first rounding lands midway between two float32 values: there the lost part decides.
    """

    def __init__(self, sums: np.ndarray, steps: int):
        self.sums, self._careful = sums, steps == 1
        self._products, self._totals = (np.empty((steps, *sums.shape)) for _ in range(2))
        self._bits = np.empty_like(self._totals, np.int64)
        self._found = np.empty_like(self._totals, bool)
        self._single = np.empty_like(sums, np.float32)

    def products(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add those of some steps. Where one of them needs care, later ones are likely to."""
        steps = len(a)
        products = np.multiply(a, b, out=self._products[:steps])
        if not self._careful:
            before, totals = self.sums.copy(), self._totals[:steps]
            for product, total in zip(products, totals, strict=True):
                self._round(np.add(product, self.sums, out=total))
            self._careful = self._any_midway(totals) or self._any_tiny(totals)
            if not self._careful:
                return
            np.copyto(self.sums, before)
        for number in range(steps):
            self._carefully(products[number : number + 1])

    def _carefully(self, product: np.ndarray) -> None:
        """Add one step's (1, ...)."""
        sums, total, found = self.sums, self._totals[:1], self._found[:1]
        np.add(product, sums, out=total)
        if self._any_midway(total):
            total[found] = _nudge(total[found], product[found], sums[found[0]])
        if self._any_tiny(total):
            np.copysign(0.0, total, out=total, where=found)
        self._round(total[0])

    def _any_midway(self, totals: np.ndarray) -> bool:
        """Whether some are midway between two float32 values; `_found` says which."""
        bits = np.bitwise_and(totals.view(np.int64), _TIE_MASK, out=self._bits[: len(totals)])
        return bool(np.count_nonzero(np.equal(bits, _TIE, out=self._found[: len(totals)])))

    def _any_tiny(self, totals: np.ndarray) -> bool:
        """Whether some become zeros that are none yet; `_found` says which, and which are."""
        size = np.abs(totals, out=self._bits[: len(totals)].view(np.float64))
        found = np.less(size, ROUNDS_TO_TINY["float32"], out=self._found[: len(totals)])
        count = np.count_nonzero(found)
        return bool(count and count > totals.size - np.count_nonzero(totals))

    def _round(self, total: np.ndarray) -> None:
        """Sums are those totals, rounded."""
        np.copyto(self._single, total, casting="same_kind")
        np.copyto(self.sums, self._single)


def _nudge(total: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Move total = a + b one step towards what rounding lost (Knuth's two-sum finds it)."""
    back = total - a
    lost = (a - (total - back)) + (b - back)
    moved = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & np.isfinite(total) & np.isfinite(lost), moved, total)
