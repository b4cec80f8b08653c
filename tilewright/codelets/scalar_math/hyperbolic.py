"""tanh, sinh and cosh in float32.

tanh has 20 instructions, one of them a division, which other units do meanwhile.
|x| = n ln 2 / 2 + r, so that exp(2 |x|) = 2**n (1 + T) / (1 - T) with T = tanh(r), and

    tanh |x| = (h + T (h + 1)) / (h + 1 + T h),  h = (2**n - 1) / 2

T is an odd polynomial (minimax). The denominator is taken as numerator + 1 - T: what the numerator
is rounded by then hardly matters where it is large. n is |x| / (ln 2 / 2) to the nearest half,
rounded down: 0 below 0.26, where T itself is the result, and 1 only from where few bits cancel.

sinh and cosh: see `halves.py`.
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.halves import Halves
from tilewright.codelets.scalar_math.pieces import (
    POWERS,
    ROUNDER,
    polynomial,
    rough_reciprocal,
    without_twos,
)

_TANH = (-0.33333215, 0.13322683, -0.051223993)
"""(tanh(r) / r - 1) / r**2, in r**2, for r from -0.09 to 0.26."""
_HALF_LN2 = 0.34657359
_HALVES = ROUNDER / 2 + 126
"""Added to a small float, leaves its nearest half in the low bits, with the exponent of 1/2."""
_ONE_FROM = 10.0
"""From 9.02 on, tanh is 1."""
_SINH = (1 / 6, 1 / 120, 1 / 5040)
_COSH = (1 / 2, 1 / 24, 1 / 720)
"""Taylor's, of sinh(r) / r and of cosh(r) without their ones, in r**2: what is left out is below
5e-9 of the result."""
_INFINITE_AT = 89.5
"""sinh and cosh are infinite from 89.42 on; 2**n is no float from 89.76 on, even halved twice."""
_QUARTER = 125
"""The exponent of 1/4."""


def tanh(x: Register) -> Register:
    """Within 1.8 units in the last place, within 0.6 below 0.26."""
    size = _size(x)
    halves = _halves(size)
    return tanh_end(x, halves, _rest(size, halves))


def tanh_halves(x: Register) -> Register:
    """n of |x|, as `_HALVES` leaves it: a first piece of tanh."""
    return _halves(_size(x))


def tanh_rest(x: Register, halves: Register) -> Register:
    """r of |x|: the second piece."""
    return _rest(_size(x), halves)


def tanh_end(x: Register, halves: Register, r: Register) -> Register:
    """tanh of x from n and r: the last piece."""
    square = r * r
    t = (r * square).fma(polynomial(square, _TANH), r)
    half = (halves.bitcast("i32") << 22).bitcast("float")
    h = half - 0.5
    numerator = t.fma(half + 0.5, h)
    signed = numerator.bitcast("i32") | (x.bitcast("i32") & -0x80000000)
    return signed.bitcast("float") / (numerator + (1.0 - t))


def _size(x: Register) -> Register:
    size = x.magnitude()
    return (size > _ONE_FROM).select(_ONE_FROM, size)


def _halves(size: Register) -> Register:
    return (size.fma(1 / _HALF_LN2, _HALVES).bitcast("i32") & ~1).bitcast("float")


def _rest(size: Register, halves: Register) -> Register:
    return (halves - _HALVES).fma(-_HALF_LN2, size)


def tanh_approximate(x: Register) -> Register:
    """Relative error at most 5e-5, never beyond 1: x P(x^2) / Q(x^2), without a division."""
    limit = 5.5625
    x = (x > limit).select(limit, x)
    x = (x < -limit).select(-limit, x)
    u = x * x
    return (x * polynomial(u, _P)) * rough_reciprocal(polynomial(u, _Q))


_P = (0.99999594, 0.11574943, 0.001575996)
_Q = (1.0, 0.44905305, 0.017963978, 6.0285391e-05)


def _split(size: Register) -> tuple[Register, Register]:
    return without_twos(size, POWERS - 2)


_SINH_COSH = Halves(_split, _SINH, _COSH, _INFINITE_AT, _QUARTER, 23, "i32", "float")


def sinh(x: Register) -> Register:
    """Within 1.8 units in the last place, within 0.6 below 0.34."""
    return _SINH_COSH.sinh(x)


def cosh(x: Register) -> Register:
    """Within 1.4 units in the last place."""
    return _SINH_COSH.cosh(x)
