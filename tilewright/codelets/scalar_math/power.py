"""pow in float32, by way of float64: |x|**y = 2**(y log2 |x|), rounded once at the end.

The special cases are those of C: x**0 and 1**y are 1 even for NaN, a negative x has powers only for
whole y, and zeros and infinities follow their signs.
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.pieces import polynomial

_LOG2 = (
    *(2.88539008178, 0.961796693826, 0.577078017824, 0.412198576936),
    *(0.320599137567, 0.262309148127, 0.221953894569),
)
"""2 atanh(s) / (s ln 2), in s**2 = ((m - 1) / (m + 1))**2."""
_EXP = (
    *(1.0, 0.500000008, 0.16666667, 0.0416662672),
    *(0.00833325372, 0.00139462189, 0.000199222044),
)
"""(exp(r) - 1) / r."""
_ROUNDER = 1.5 * 2.0**52
_ROOT_HALF = 0x3FE6A09E667F3BCD


def power(x: Register, y: Register) -> Register:
    size, exponent = x.magnitude().cast("fpext", "double"), y.cast("fpext", "double")
    logarithm = _log2(size)
    # 1 ** infinity is 1: zero times infinity must be zero here.
    product = logarithm.equal(0.0).select(0.0, logarithm * exponent)
    result = _exp2(product).cast("fptrunc", "float")
    result = exponent.is_nan().select(float("nan"), result)
    result = _signed(x, y, result)
    one = x.equal(1.0) | y.equal(0.0)
    return one.select(1.0, result)


def _log2(x: Register) -> Register:
    """Of a number that was a float: never denormal, unless zero."""
    above = x.bitcast("i64") - _ROOT_HALF
    k = above.shift_right_signed(52).cast("trunc", "i32").cast("sitofp", "double")
    m = ((above & ((1 << 52) - 1)) + _ROOT_HALF).bitcast("double")
    s = (m - 1.0) / (m + 1.0)
    result = k + s * polynomial(s * s, _LOG2)
    result = x.equal(0.0).select(float("-inf"), result)
    return (x < float("inf")).select(result, x)


def _exp2(x: Register) -> Register:
    """Within the range of float32; beyond, still infinite or zero there."""
    inside = (x > 200.0).select(200.0, x)
    inside = (inside < -200.0).select(-200.0, inside)
    rounded = inside + _ROUNDER
    r = (inside - (rounded - _ROUNDER)) * 0.69314718055994531
    scale = ((rounded.bitcast("i64") << 52) + (1023 << 52)).bitcast("double")
    return r.fma(polynomial(r, _EXP), 1.0) * scale


def _signed(x: Register, y: Register, size: Register) -> Register:
    """Odd powers keep the sign of x; other powers of negative numbers are NaN unless whole."""
    half = y * 0.5
    whole = y.intrinsic("floor").equal(y)
    odd = whole & half.intrinsic("floor").unequal(half)
    result = odd.select(size.with_sign_of(x), size)
    impossible = (x < 0.0) & ~whole & (x > float("-inf"))
    return impossible.select(float("nan"), result)
