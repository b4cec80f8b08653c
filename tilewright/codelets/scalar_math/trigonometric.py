"""sin and cos in float32.

x = n pi/2 + r with |r| <= pi/4, pi/2 in three parts; a polynomial of r, odd or even by the last bit
of n, with a sign by the bit before. Where |x| is so large that n is not exact, the C library's
function is taken for that lane.
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math import lanewise
from tilewright.codelets.scalar_math.pieces import ROUNDER, polynomial

_HALF_PI = (1.57079637, -4.37113883e-8, -1.71512489e-15)
_SIN = (-0.166666552, 0.00833219104, -0.000195186047)
"""(sin(r) / r - 1) / r**2, in r**2."""
_COS = (0.0416666456, -0.00138873013, 2.44306684e-05)
"""(cos(r) - 1 + r**2 / 2) / r**4, in r**2."""
_LARGE = 1e5


def sin(x: Register) -> Register:
    quadrant, r = _reduced(x)
    return _checked("sin", x, _quarter(quadrant, r, x))


def cos(x: Register) -> Register:
    quadrant, r = _reduced(x)
    return _checked("cos", x, _quarter(quadrant + 1, r, None))


def _reduced(x: Register) -> tuple[Register, Register]:
    rounded = x.fma(0.636619747, ROUNDER)
    n = rounded - ROUNDER
    r = x
    for part in _HALF_PI:
        r = n.fma(-part, r)
    return rounded.bitcast("i32"), r


def _quarter(quadrant: Register, r: Register, zero: Register | None) -> Register:
    """sin(r + quadrant * pi/2); `zero` gives a zero its sign."""
    z = r * r
    sine = (r * z).fma(polynomial(z, _SIN), r)
    cosine = (z * z).fma(polynomial(z, _COS), z.fma(-0.5, 1.0))
    value = (quadrant & 1).equal(0).select(sine, cosine)
    sign = (quadrant << 30) & -0x80000000
    result = (value.bitcast("i32") ^ sign).bitcast("float")
    return result if zero is None else zero.equal(0.0).select(zero, result)


def _checked(op: str, x: Register, result: Register) -> Register:
    """Infinity gives NaN either way; NaN compares false and passes through."""
    return lanewise.where_rare(x.magnitude() >= _LARGE, op, x, result)
