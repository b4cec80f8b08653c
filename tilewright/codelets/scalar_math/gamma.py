"""digamma in float64 (float32 goes by way of it).

digamma(x) = digamma(x + n) - 1/x - ... - 1/(x + n - 1), up to 10; there its asymptotic series
(Abramowitz and Stegun 6.3.18). For negative x by reflection (6.3.7). NaN at the poles.
"""

from __future__ import annotations

from math import pi

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math import lanewise
from tilewright.codelets.scalar_math.pieces import polynomial

_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_FROM = 10


def digamma(x: Register) -> Register:
    negative = x <= 0.0
    result = _positive(negative.select(1.0 - x, x))
    nearest = x.intrinsic("roundeven")
    tangent = lanewise.where_rare(negative, "tan", (x - nearest) * pi, x.full(1.0))
    cotangent = pi / tangent
    reflected = x.equal(nearest).select(float("nan"), result - cotangent)
    reflected = x.equal(float("-inf")).select(float("nan"), reflected)
    return negative.select(reflected, result)


def _positive(x: Register) -> Register:
    total = x.full(0.0)
    for _ in range(_FROM):
        small = x < _FROM
        total = small.select(total - 1.0 / x, total)
        x = small.select(x + 1.0, x)
    inverse = 1.0 / x
    square = inverse * inverse
    tail = inverse * 0.5 + square * polynomial(square, _SERIES)
    return lanewise.call("log", [x]) - tail + total


def digamma_float(x: Register) -> Register:
    return digamma(x.cast("fpext", "double")).cast("fptrunc", "float")
