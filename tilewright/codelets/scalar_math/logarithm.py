"""log and log1p in float32.

x = 2**k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2); log(1 + f) is a polynomial of degree 10 in f
(minimax). log1p finds f = x 2**-k - (1 - 2**-k) in one fma, so that no bit of a small x is lost.
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.pieces import polynomial

LN2 = 0.69314718
_LOG = (
    *(-0.499999881, 0.333333224, -0.250015527, 0.200024366, -0.166105881),
    *(0.141714156, -0.132177994, 0.129680753, -0.0776752606),
)
"""(log(1 + f) - f) / f**2."""
_ROOT_HALF = 0x3F3504F3
_ONE = 0x3F800000


def log(x: Register) -> Register:
    above = x.bitcast("i32") - _ROOT_HALF
    mantissa = (above & 0x7FFFFF) + _ROOT_HALF
    result = _sum(
        above.shift_right_signed(23).cast("sitofp", "float"), mantissa.bitcast("float") - 1.0
    )
    return _outside(x, 0.0, result)


def log1p(x: Register) -> Register:
    large = x > 2.0**60
    scaled = large.select(x * 2.0**-30, x)
    above = (scaled + 1.0).bitcast("i32") - _ROOT_HALF
    f = _fraction(scaled, above)
    k = above.shift_right_signed(23).cast("sitofp", "float")
    result = _sum(large.select(k + 30.0, k), f).with_sign_of(x)
    return _outside(x, -1.0, result)


def log1p_unit(x: Register) -> Register:
    """log1p for 0 <= x <= 1 or NaN, to the bit; anything else gives something else."""
    above = (x + 1.0).bitcast("i32") - _ROOT_HALF
    k = above.shift_right_signed(23).cast("sitofp", "float")
    return x.is_nan().select(float("nan"), _sum(k, _fraction(x, above)))


def log1p_parts(x: Register, rest: Register, twos: Register | float) -> Register:
    """log(1 + x + rest) + twos * ln 2, for 0 <= x < 2**126 and a rest below the last place of x."""
    above = (x + 1.0).bitcast("i32") - _ROOT_HALF
    scale = _scale(above)
    f = x.fma(scale, scale - 1.0)
    k = above.shift_right_signed(23).cast("sitofp", "float") + twos
    return k.fma(LN2, (f * f).fma(polynomial(f, _LOG), rest * scale) + f)


def _fraction(x: Register, above: Register) -> Register:
    """f of 1 + x = 2**k (1 + f), k in the exponent of `above`."""
    scale = _scale(above)
    return x.fma(scale, scale - 1.0)


def _scale(above: Register) -> Register:
    """2**-k, k in the exponent of `above`."""
    power = above & -0x800000
    return (power.full(_ONE) - power).bitcast("float")


def _sum(k: Register, f: Register) -> Register:
    """k ln 2 + log(1 + f)."""
    return k.fma(LN2, (f * f).fma(polynomial(f, _LOG), f))


def _outside(x: Register, pole: float, result: Register) -> Register:
    """At the pole -inf, below it NaN; infinity and NaN are their own logarithms."""
    result = (x < float("inf")).select(result, x)
    special = x.equal(pole).select(x.full(float("-inf")), float("nan"))
    return (x > pole).select(result, special)
