"""sinh and cosh of either width of floats, halved until the end, divided by nothing.

With |x| = n ln 2 + r and |r| <= ln 2 / 2,

    sinh |x| = h + (cosh(r) - 1) h + sinh(r) a,    h = (2**n - 2**-n) / 2,
    cosh |x| = a + (cosh(r) - 1) a + sinh(r) h,    a = (2**n + 2**-n) / 2

of which h is exact until 2**-n is far below the last place, and of a the smaller part is added to
what is small. All is halved until the end, since a result may be finite where 2**n / 2 is not.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.pieces import polynomial
from tilewright.frozen import frozen


@frozen
class Halves:
    """What differs between the widths.

    `split`: of |x|, a float whose low bits are the exponent of 2**n / 4, and r. `sine` and `cosine`
    are sinh(r) / r and cosh(r) without their ones, in r**2. From `infinite_at` on both are
    infinite; `quarter` is the exponent of 1/4, `place` its lowest bit.
    """

    split: Callable[[Register], tuple[Register, Register]]
    sine: tuple[float, ...]
    cosine: tuple[float, ...]
    infinite_at: float
    quarter: int
    place: int
    integer: str
    kind: str

    def sinh(self, x: Register) -> Register:
        sine, cosine, up, down = self._parts(x)
        h, a = up - down, up + down
        half = h + cosine.fma(h, sine * a)
        # Half of the smallest numbers would be denormal; sinh(r) is the result itself up to 0.34.
        size = (x.magnitude() < 0.25).select(sine, half + half)
        return size.with_sign_of(x)

    def cosh(self, x: Register) -> Register:
        sine, cosine, up, down = self._parts(x)
        half = up + cosine.fma(up + down, sine.fma(up - down, down))
        return half + half

    def _parts(self, x: Register) -> tuple[Register, Register, Register, Register]:
        """sinh(r), cosh(r) - 1, 2**n / 4 and 2**-n / 4 of |x|, of which the last may be zero."""
        size = x.magnitude()
        size = (size > self.infinite_at).select(self.infinite_at, size)
        rounded, r = self.split(size)
        square = r * r
        sine = (r * square).fma(polynomial(square, self.sine), r)
        cosine = square * polynomial(square, self.cosine)
        up = rounded.bitcast(self.integer) << self.place
        down = (up.full(2 * self.quarter << self.place) - up).intrinsic("smax", 0)
        return sine, cosine, up.bitcast(self.kind), down.bitcast(self.kind)
