"""asinh, acosh and atanh in float32, by log(1 + y) of a y whose last place is not lost.

    asinh(u) = log(1 + u + u t),            t = u / (1 + sqrt(u**2 + 1))
    acosh(1 + w) = log(1 + w + s),          s = sqrt(w**2 + 2 w)
    2 atanh(u) = log(1 + 2 u + 2 u t),      t = u / (1 - u)

for u = |x|; w = x - 1 is exact but for large x. y is kept as its float and what that was rounded
by, so that before the logarithm only roots and quotients lose something.
Where a square is infinite, asinh and acosh are log(2 u) and log(2 w).
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.logarithm import log1p_parts

_INFINITY = float("inf")


def asinh(x: Register) -> Register:
    """Within 1.7 units in the last place."""
    u = x.magnitude()
    root = u.fma(u, 1.0).intrinsic("sqrt")
    y, lost = _sum(u, u / (root + 1.0))
    result = _log1p(y, lost, root.equal(_INFINITY)).with_sign_of(x)
    return (u < _INFINITY).select(result, x)


def acosh(x: Register) -> Register:
    """Within 1.8 units in the last place; NaN below 1."""
    w = x - 1.0
    root = w.fma(w, w + w).intrinsic("sqrt")
    large = root.equal(_INFINITY)
    root = large.select(0.0, root)
    y = w + root
    result = _log1p(y, w - (y - root), large)
    result = (x < _INFINITY).select(result, x)
    return (x < 1.0).select(float("nan"), result)


def atanh(x: Register) -> Register:
    """Within 1.6 units in the last place; infinite at 1 and -1, NaN beyond."""
    u = x.magnitude()
    y, lost = _sum(u + u, u / (1.0 - u))
    result = (log1p_parts(y, lost, 0.0) * 0.5).with_sign_of(x)
    end = u.equal(1.0).select(x * _INFINITY, float("nan"))
    return (u < 1.0).select(result, end)


def _sum(u: Register, t: Register) -> tuple[Register, Register]:
    """u + u t as a float, and what that lost."""
    y = u.fma(t, u)
    return y, u.fma(t, u - y)


def _log1p(y: Register, lost: Register, large: Register) -> Register:
    """log(1 + y), but log(2 y) where y is large."""
    twos = large.select(y.full(30.0), 0.0)
    return log1p_parts(large.select(y * 2.0**-29, y), lost, twos)
