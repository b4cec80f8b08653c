"""exp, expm1, log, logistic, tanh, sinh and cosh in float64: as float32, with longer polynomials.

log is that of FreeBSD's e_log.c: with s = f / (2 + f), log(1 + f) = 2 atanh(s), of which the
first terms are taken as f - f**2 / 2. sinh and cosh are Taylor's; all others are minimax fits.
"""

from __future__ import annotations

from math import factorial

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.halves import Halves
from tilewright.codelets.scalar_math.pieces import paired, polynomial

_ROUNDER = 1.5 * 2.0**52
"""Added to a small float, leaves its nearest integer in the low bits."""
_POWERS = _ROUNDER + 1023
"""The same, for 2**n: its low bits are then the exponent of that."""
_HALVES = _ROUNDER / 2 + 1022
"""The nearest half, with the exponent of 1/2."""
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts; multiples of the first up to 1,100 are exact."""
_SMALLEST, _LARGEST = -708.3964185322641, 709.782712893384
"""Logarithms of the smallest normal number and of the largest."""
_EXPM1 = (
    *(0.5000000000000001, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039),
    *(0.0013888888917367081, 0.00019841269863171557, 2.4801521057868204e-05),
    *(2.7557268276905696e-06, 2.7620201591031547e-07, 2.5100472505694996e-08),
)
"""(exp(r) - 1 - r) / r**2."""
_TANH = (
    *(-0.3333333333333329, 0.133333333332715, -0.05396825382191513, 0.02186947553036021),
    *(-0.008862683910949187, 0.0035800689872423287, -0.0013238109530683499),
)
"""(tanh(r) / r - 1) / r**2, in r**2, for r from -0.09 to 0.26."""
_HALF_LN2 = 0.34657359027997264
_TANH_ONE_FROM = 22.0
_SINH = tuple(1 / factorial(2 * i + 1) for i in range(1, 7))
_COSH = tuple(1 / factorial(2 * i) for i in range(1, 8))
"""Of sinh(r) / r and of cosh(r) without their ones, in r**2, for |r| <= ln 2 / 2: what is left out
is below 1e-18."""
_INFINITE_AT = 710.6
"""sinh and cosh are infinite from 710.48 on; 2**n is no float from 710.83 on, even halved twice."""
_QUARTER = 1021
"""The exponent of 1/4."""
_LOG = (
    *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01),
    *(2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01),
    1.479819860511658591e-01,
)
"""(2 atanh(s) / s - 2) / s**2, in s**2."""
_ROOT_HALF = 0x3FE6A09E667F3BCD


def exp(x: Register) -> Register:
    """2**n by adding to the exponent; 0 and infinity outside the range, NaN for NaN."""
    rounded, r = _without_twos(x, _ROUNDER)
    bits = (_expm1_inside(r) + 1.0).bitcast("i64") + (rounded.bitcast("i64") << 52)
    result = (x < _SMALLEST).select(0.0, bits.bitcast("double"))
    return x.compare("ugt", _LARGEST).select(x * float("inf"), result)


def expm1(x: Register) -> Register:
    """2**n p + (2**n - 1), halved until the end since 2**1024 is no float."""
    inside = (x > 709.9).select(709.9, x)
    inside = (inside < -60.0).select(-60.0, inside)
    rounded, r = _without_twos(inside, _POWERS - 1)
    scale = _power_of_two(rounded)
    half = _expm1_inside(r).fma(scale, scale - 0.5)
    return (x.magnitude() < 1e-17).select(x, half + half)


def logistic(x: Register) -> Register:
    """1 / (1 + exp(-x)); 0 where the result would be denormal."""
    inside = (x < -709.0).select(-709.0, x)
    inside = (inside > 60.0).select(60.0, inside)
    rounded, r = _without_twos(-inside, _POWERS)
    scale = _power_of_two(rounded)
    above, below = (scale > 1.0).select(scale, 1.0), (scale < 1.0).select(scale, 1.0)
    return 1.0 / (scale.fma(_expm1_inside(r), below) + above)


def tanh(x: Register) -> Register:
    """As in `hyperbolic.py`."""
    size = x.magnitude()
    size = (size > _TANH_ONE_FROM).select(_TANH_ONE_FROM, size)
    halves = size.fma(1 / _HALF_LN2, _HALVES).bitcast("i64") & ~1
    r = (halves.bitcast("double") - _HALVES).fma(-_HALF_LN2, size)
    square = r * r
    t = (r * square).fma(paired(square, square * square, _TANH), r)
    half = (halves << 51).bitcast("double")
    h = half - 0.5
    numerator = t.fma(half + 0.5, h)
    return numerator.with_sign_of(x) / (numerator + (1.0 - t))


def sinh(x: Register) -> Register:
    return _SINH_COSH.sinh(x)


def cosh(x: Register) -> Register:
    return _SINH_COSH.cosh(x)


def _split(size: Register) -> tuple[Register, Register]:
    return _without_twos(size, _POWERS - 2)


_SINH_COSH = Halves(_split, _SINH, _COSH, _INFINITE_AT, _QUARTER, 52, "i64", "double")


def log(x: Register) -> Register:
    above = x.bitcast("i64") - _ROOT_HALF
    k = above.shift_right_signed(52).cast("trunc", "i32").cast("sitofp", "double")
    f = ((above & ((1 << 52) - 1)) + _ROOT_HALF).bitcast("double") - 1.0
    s = f / (f + 2.0)
    square = s * s
    half = f * f * 0.5
    rest = square.fma(polynomial(square, _LOG), half)
    result = k.fma(_LN2_HIGH, f - (half - s.fma(rest, k * _LN2_LOW)))
    result = (x < float("inf")).select(result, x)
    special = x.equal(0.0).select(x.full(float("-inf")), float("nan"))
    return (x > 0.0).select(result, special)


def _without_twos(x: Register, rounder: float) -> tuple[Register, Register]:
    """(n + rounder, x - n ln 2), n the integer nearest to x / ln 2."""
    rounded = x.fma(_LOG2_E, rounder)
    n = rounded - rounder
    return rounded, n.fma(-_LN2_LOW, n.fma(-_LN2_HIGH, x))


def _expm1_inside(r: Register) -> Register:
    """exp(r) - 1 for |r| <= ln 2 / 2."""
    square = r * r
    return square.fma(paired(r, square, _EXPM1), r)


def _power_of_two(rounded: Register) -> Register:
    """2**n from n + _POWERS."""
    return (rounded.bitcast("i64") << 52).bitcast("double")
