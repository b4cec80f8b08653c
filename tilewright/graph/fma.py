"""A fused multiply-add in float32, exact to the last bit, on NumPy arrays.

In: float32 arrays. Out: a * b + c rounded once, denormals flushed before and after. NumPy has no
such function: the product is formed in float64, where it is exact, and the sum's second rounding is
put right where it matters.
"""

from __future__ import annotations

import numpy as np

from tilewright.graph.floats import ROUNDS_TO_TINY, Array, flush


def fma32(a: Array, b: Array, c: Array) -> np.ndarray:
    """float32 a * b + c with one rounding."""
    a, b, c = (flush(np.asarray(x, np.float32)).astype(np.float64) for x in (a, b, c))
    with np.errstate(all="ignore"):
        return _fma(a, b, np.broadcast_to(c, np.broadcast_shapes(a.shape, b.shape, c.shape)))


_TIE_MASK = np.int64((1 << 29) - 1)
_TIE = np.int64(1 << 28)


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The same on float64 arrays that hold float32 values without denormals.

    The product is exact in float64. Rounding the sum twice differs from rounding it once only where
    the first rounding lands midway between two float32 values: there the lost part decides.
    """
    product = a * b
    total = np.asarray(product + c)
    ties = (total.view(np.int64) & _TIE_MASK) == _TIE
    if ties.any():
        total[ties] = _nudge(total[ties], product[ties], c[ties])
    small = np.abs(total) < ROUNDS_TO_TINY["float32"]
    if small.any():
        total = np.where(small, np.copysign(0.0, total), total)
    return total.astype(np.float32)


def _nudge(total: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Move total = a + b one step towards what rounding lost (Knuth's two-sum finds it)."""
    back = total - a
    lost = (a - (total - back)) + (b - back)
    moved = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & np.isfinite(total) & np.isfinite(lost), moved, total)
