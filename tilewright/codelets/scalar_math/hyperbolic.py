"""tanh in float32: 19 to 21 instructions, no division.

With a table of centres c, chosen so that tanh(c) is a float but for 0.003 of its last place, and
d = |x| - c, T = tanh(c), t = tanh(d), w = T t:

    tanh(c + d) = (T + t) / (1 + w) = T + t (1 - T^2) (1 - w) / (1 - w^2)

d is at most half the distance of two centres, so t and 1 / (1 - w^2) are short polynomials. The
first centre is 0, where the sum is t itself; the last has T = 1, where it is 1: small and large
arguments come out right by themselves. Coefficients are minimax fits of the relative error.
"""

from __future__ import annotations

import struct

from tilewright.codelets.registers import Register
from tilewright.codelets.scalar_math.pieces import ROUNDER, polynomial, rough_reciprocal
from tilewright.codelets.scalar_math.table import Table

_STEP = 0.291
"""Between centres; half-way between the last two, tanh is 1 but for 0.6 of a last place."""


def _floats(words: str) -> tuple[float, ...]:
    return tuple(struct.unpack(">f", bytes.fromhex(word))[0] for word in words.split())


_CENTRES = Table(
    "tw_tanh_centres",
    _floats(
        "00000000 3e94feda 3f14fcf0 3f5f7ca1 3f94fe47 3fba3e6b 3fdf7bd6 40025870 "
        "4014fe4d 40279d50 403a3e68 404cdd33 405f7cc5 40721c43 40825f07 408badca "
        "4094fdb6 409e4ced 40a7a80a 40b0f3fd 40ba3686 40c3904c 40cce8e7 40d65982 "
        "40df61d3 40e8e5bf 40f21b80 40fb8203 4101d72d 41061bc5 410ac3b4 41105604"
    ),
)
_VALUES = Table(
    "tw_tanh_values",
    _floats(
        "00000000 3e90ed68 3f062bd5 3f33f0c9 3f528508 3f658d04 3f70dfca 3f776e56 "
        "3f7b2e05 3f7d4b8a 3f7e7c3a 3f7f2703 3f7f86a9 3f7fbc2b 3f7fda19 3f7fead0 "
        "3f7ff429 3f7ff962 3f7ffc50 3f7ffdf0 3f7ffed8 3f7fff5b 3f7fffa4 3f7fffcd "
        "3f7fffe3 3f7ffff0 3f7ffff7 3f7ffffb 3f7ffffd 3f7ffffe 3f7fffff 3f800000"
    ),
)


def tanh(x: Register) -> Register:
    """Within 2.5 units in the last place near 0.15, elsewhere within 1."""
    size = x.magnitude()
    size = (size > _CENTRES.entries[-1]).select(_CENTRES.entries[-1], size)
    index = size.fma(1 / _STEP, ROUNDER).bitcast("i32")
    value, d = _VALUES.lookup(index), size - _CENTRES.lookup(index)
    square = d * d
    t = (d * square).fma(square.fma(0.13175182, -0.33332297), d)
    w = value * t
    w_square = w * w
    series = w_square.fma(w_square.fma(1.01694076, 0.99995527), 1.0)
    slope = (-value).fma(value, 1.0) * t
    return (-slope).fma(w, slope).fma(series, value).with_sign_of(x)


def tanh_approximate(x: Register) -> Register:
    """Relative error at most 5e-5, never beyond 1: x P(x^2) / Q(x^2), without a division."""
    limit = 5.5625
    x = (x > limit).select(limit, x)
    x = (x < -limit).select(-limit, x)
    u = x * x
    return (x * polynomial(u, _P)) * rough_reciprocal(polynomial(u, _Q))


_P = (0.99999594, 0.11574943, 0.001575996)
_Q = (1.0, 0.44905305, 0.017963978, 6.0285391e-05)
