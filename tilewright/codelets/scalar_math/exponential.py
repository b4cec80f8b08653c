"""exp, exp2, expm1 and logistic in float32.

x = n ln 2 + r with |r| <= ln 2 / 2; a polynomial of degree 6 in r (minimax), times 2**n.

logistic divides. With -x = n ln 2 - r and T = tanh(r / 2), an odd polynomial, exp(-x) is
2**n (1 - T) / (1 + T), and 1 / (1 + exp(-x)) = (1 + T) / (1 + T + 2**n (1 - T)): two multiply-adds
and four other instructions less than by exp(r), whose polynomial is longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.pieces import (
    LN2_HIGH,
    LN2_LOW,
    LOG2_E,
    POWERS,
    ROUNDER,
    paired,
    polynomial,
    power_of_two,
    without_twos,
)

_EXPM1 = (0.5, 0.16666545, 0.0416664034, 0.00836640317, 0.0013940658)
"""(exp(r) - 1 - r) / r**2."""
_EXP2 = (0.693147182, 0.240226507, 0.0555035956, 0.00961806253, 0.00133909844, 1.54628826e-4)
"""(2**r - 1) / r."""
_TANH_OF_HALF = (0.5, -0.04166359, 0.00409229)
"""tanh(r / 2) / r in r**2: minimax, within 6.5e-9 of the tanh."""
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


def expm1_inside(r: Register) -> Register:
    """exp(r) - 1 for |r| <= ln 2 / 2."""
    square = r * r
    return square.fma(paired(r, square, _EXPM1), r)


def expm1(x: Register) -> Register:
    """2**n p + (2**n - 1), halved until the end since 2**128 is no float."""
    inside = (x > 88.8).select(88.8, x)
    inside = (inside < -30.0).select(-30.0, inside)
    rounded, r = without_twos(inside, POWERS - 1)
    p = expm1_inside(r)
    scale = power_of_two(rounded)
    half = p.fma(scale, scale - 0.5)
    return (x.magnitude() < 1e-8).select(x, half + half)


def logistic(x: Register) -> Register:
    """Within 2.4 units in the last place; 1 from 18 on, 0 where the result would be denormal."""
    inside = (x < -88.0).select(-88.0, x)
    inside = (inside > 60.0).select(60.0, inside)
    rounded = inside.fma(-LOG2_E, POWERS)
    n = rounded - POWERS
    r = n.fma(LN2_LOW, n.fma(LN2_HIGH, inside))
    square = r * r
    t = polynomial(square, _TANH_OF_HALF)
    above = r.fma(t, 1.0)
    return above / power_of_two(rounded).fma((-r).fma(t, 1.0), above)
