"""erf and erfc in float32, the inverse of erf in float32 and float64.

erf: -(exp(-g(|x|)) - 1) with a polynomial g without a constant (minimax).

erfc: exp(-x**2) P(q) / (x + 2) with q = (x - 2) / (x + 2) (minimax), as M. Shepherd and
J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x**2) erfc x" (1981). x**2 and the
reciprocal are taken with what their rounding loses; the other side of zero is 2 - erfc(-x).

erf_inv: M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011), its two
polynomials in w = -log(1 - x**2), of which 1 - x**2 is taken by one fma; in float64 one step of
Halley's method follows.
"""

from __future__ import annotations

from math import pi, sqrt

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math import lanewise
from tilewright.codelets.scalar_math.exponential import expm1_inside
from tilewright.codelets.scalar_math.logarithm import LN2, log
from tilewright.codelets.scalar_math.pieces import (
    LOG2_E,
    POWERS,
    paired,
    polynomial,
    power_of_two,
    without_twos,
)

_EXPONENT = (
    *(0.12837917, 0.63661957, 0.102776304, -0.01914782, -0.00016951491),
    *(0.0016756981, -0.0006373836, 0.00011886995, -9.3893295e-06),
)
"""-log(1 - erf(x)) / x - 1, for x up to 3.93."""
_ONE_FROM = 3.93
"""From here on, erf is 1."""
_SCALED = (
    *(1.0215827, -0.6871608, 0.27947158, -0.0364378, -0.021505075),
    *(0.0064422614, 0.0030546344, -0.00073140213, -0.00054574315, -5.4115422e-05),
)
"""(x + 2) exp(x**2) erfc(x), in (x - 2) / (x + 2), for x >= 0."""
_ZERO_FROM = 9.3
"""From 9.2 on, erfc is denormal."""
_CENTRE = (
    *(1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.000218580870),
    *(-4.39150654e-06, -3.52338770e-06, 3.43273939e-07, 2.81022636e-08),
)
"""erf_inv(x) / x in w - 2.5, for w < 5."""
_TAIL = (
    *(2.83297682, 1.00167406, 0.00943887047, -0.00762246130, 0.00573950773),
    *(-0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257),
)
"""erf_inv(x) / x in sqrt(w) - 3, for w >= 5."""


def erf(x: Register) -> Register:
    """Within 1.8 units in the last place."""
    size = x.magnitude()
    size = (size > _ONE_FROM).select(_ONE_FROM, size)
    exponent = size.fma(paired(size, size * size, _EXPONENT), size)
    rounded = exponent.fma(-LOG2_E, POWERS)
    power = expm1_inside((rounded - POWERS).fma(-LN2, -exponent))
    scale = power_of_two(rounded)
    return (-scale).fma(power, 1.0 - scale).with_sign_of(x)


def erfc(x: Register) -> Register:
    """Within 4.1 units in the last place, within 2.3 for negative numbers."""
    size = x.magnitude()
    size = (size > _ZERO_FROM).select(_ZERO_FROM, size)
    square = size * size
    rounded, r = without_twos(-square, POWERS)
    power = expm1_inside(r - size.fma(size, -square))
    scaled, reciprocal = _scaled(size)
    scaled = scaled * reciprocal * power_of_two(rounded)
    y = scaled.fma(power, scaled)
    return (x < 0.0).select(2.0 - y, y)


def _scaled(x: Register) -> tuple[Register, Register]:
    """(x + 2) exp(x**2) erfc(x), and 1 / (x + 2)."""
    above = x + 2.0
    reciprocal = 1.0 / above
    lost = (-above).fma(reciprocal, 1.0)
    lost = (x - (above - 2.0)).fma(-reciprocal, lost) * reciprocal
    q = lost.fma(-4.0, reciprocal.fma(-4.0, 1.0))
    return paired(q, q * q, _SCALED), reciprocal


def erf_inv(x: Register) -> Register:
    w = -log((-x).fma(x, 1.0))
    return _at_ends(x, x * _giles(w))


def erf_inv_double(x: Register) -> Register:
    """Halley's step solves erf(y) = x; near 1 by the complements, which cancel nothing."""
    size = x.magnitude()
    complement = 1.0 - size
    w = -lanewise.call("log", [complement * (size + 1.0)])
    y = size * _giles(w)
    near = lanewise.call("erf", [y]) - size
    far = complement - lanewise.call("erfc", [y])
    residual = (size < 0.5).select(near, far)
    step = residual / (lanewise.call("exp", [-(y * y)]) * (2 / sqrt(pi)))
    return _at_ends(x, (y - step / (step * y + 1.0)).with_sign_of(x))


def _giles(w: Register) -> Register:
    centre = polynomial(w - 2.5, _CENTRE)
    tail = polynomial(w.intrinsic("sqrt") - 3.0, _TAIL)
    return (w < 5.0).select(centre, tail)


def _at_ends(x: Register, inside: Register) -> Register:
    """Infinite at 1 and -1, NaN beyond."""
    size = x.magnitude()
    end = size.equal(1.0).select(x * float("inf"), float("nan"))
    return (size < 1.0).select(inside, end)
