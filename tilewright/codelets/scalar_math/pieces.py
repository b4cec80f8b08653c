"""What several functions are made of: polynomials, a rough reciprocal, powers of two.

In and out: float registers. Always: only additions, multiplications, fma and operations on bits, so
that every machine gives the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit.registers import Register

ROUNDER = 1.5 * 2.0**23
"""Added to a small float, leaves its nearest integer in the low bits."""
POWERS = ROUNDER + 127
"""The same, for 2**n: its low bits are then the exponent of that."""
LOG2_E = 1.44269504
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""ln 2 in two parts; the first has few bits, so that its multiples are exact."""


def polynomial(x: Register, coefficients: Sequence[float]) -> Register:
    """c0 + x (c1 + x (c2 ...)), by fma; of several registers, one coefficient after the other."""
    result: Register | float = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        if isinstance(result, Register):
            result = result.fma(x, coefficient).in_step()
        else:
            result = x.fma(result, coefficient).in_step()
    assert isinstance(result, Register)
    return result


def paired(x: Register, square: Register, coefficients: Sequence[float]) -> Register:
    """The same, in powers of x**2 over (c0 + c1 x), (c2 + c3 x), ...: a chain half as long."""
    pairs: list[Register | float] = [
        x.fma(coefficients[i + 1], coefficients[i]) for i in range(0, len(coefficients) - 1, 2)
    ]
    if len(coefficients) % 2:
        pairs.append(coefficients[-1])
    result = pairs.pop()
    while pairs:
        result = square.fma(result, pairs.pop())
    assert isinstance(result, Register)
    return result


def rough_reciprocal(q: Register) -> Register:
    """1 / q with an error of 3.3e-5, for any normal q > 0 up to 2**125.

    Its exponent and mantissa, negated as integers, are right within 5 %; from there 1 / (q y) is a
    parabola in q y.
    """
    bits = q.bitcast("i32")
    seed = (bits.full(0x7EF33000) - bits).bitcast("float")
    offset = q.fma(seed, -1.5009610)
    return seed * offset.fma(offset, 0.7490394)


def power_of_two(rounded: Register) -> Register:
    """2**n from n + POWERS; it must be a normal number."""
    return (rounded.bitcast("i32") << 23).bitcast("float")


def without_twos(x: Register, rounder: float = ROUNDER) -> tuple[Register, Register]:
    """(n + rounder, x - n ln 2), n the integer nearest to x / ln 2."""
    rounded = x.fma(LOG2_E, rounder)
    n = rounded - rounder
    return rounded, n.fma(-LN2_LOW, n.fma(-LN2_HIGH, x))
