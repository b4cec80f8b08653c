"""exp, exp2, expm1 and logistic in float32.

x = n ln 2 + r with |r| <= ln 2 / 2; a polynomial of degree 6 in r (minimax), times 2**n.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.registers import Register
from tilewright.codelets.scalar_math.pieces import (
    ROUNDER,
    polynomial,
    power_of_two,
    reciprocal,
    without_twos,
)

_EXPM1 = (0.5, 0.16666545, 0.0416664034, 0.00836640317, 0.0013940658)
"""(exp(r) - 1 - r) / r**2."""
_EXP2 = (0.693147182, 0.240226507, 0.0555035956, 0.00961806253, 0.00133909844, 1.54628826e-4)
"""(2**r - 1) / r."""
_SMALLEST, _LARGEST = -87.33654, 88.72283
"""Logarithms of the smallest normal number and of the largest."""

Numbers = Sequence[float]


def exp(x: Register) -> Register:
    rounded, r = without_twos(x)
    return _scaled(x, rounded, polynomial(r, (1.0, 1.0, *_EXPM1)), _SMALLEST, _LARGEST)


def exp2(x: Register) -> Register:
    rounded = x + ROUNDER
    r = x - (rounded - ROUNDER)
    return _scaled(x, rounded, polynomial(r, (1.0, *_EXP2)), -126.0, 127.99999)


def _scaled(
    x: Register, rounded: Register, value: Register, smallest: float, largest: float
) -> Register:
    """value * 2**n by adding to the exponent; 0 and infinity outside the range, NaN for NaN."""
    bits = value.bitcast("i32") + (rounded.bitcast("i32") << 23)
    result = (x < smallest).select(0.0, bits.bitcast("float"))
    return x.compare("ugt", largest).select(x * float("inf"), result)


def small_exp(x: Register) -> Register:
    """exp for x from -87.6 to 88: nothing is checked; a denormal result is flushed."""
    rounded, r = without_twos(x)
    return polynomial(r, (1.0, 1.0, *_EXPM1)) * power_of_two(rounded)


def expm1(x: Register) -> Register:
    """2**n p + (2**n - 1), halved until the end since 2**128 is no float."""
    inside = (x > 88.8).select(88.8, x)
    inside = (inside < -30.0).select(-30.0, inside)
    rounded, r = without_twos(inside)
    p = (r * r).fma(polynomial(r, _EXPM1), r)
    scale = power_of_two(rounded, -1)
    half = p.fma(scale, scale - 0.5)
    return (x.magnitude() < 1e-8).select(x, half + half)


def logistic(x: Register) -> Register:
    """With z = exp(-|x|): 1 / (1 + z), or z / (1 + z) for negative x."""
    size = -x.magnitude()
    z = small_exp((size < -87.6).select(-87.6, size))
    y = reciprocal(z + 1.0)
    return (x < 0.0).select(y * z, y)
