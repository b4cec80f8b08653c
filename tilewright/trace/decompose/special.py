"""Special functions that XLA expands itself, so that JAX has no implementation to trace."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

_TERMS = 9
_BERNOULLI = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1307674368000 / 691, 74724249600.0,
    -10670622842880000 / 3617, 5109094217170944000 / 43867, -802857662698291200000 / 174611,
    14101100039391805440000 / 77683, -1693824136731743669452800000 / 236364091,
)  # fmt: skip
"""(2k)! / B_2k, for the Euler-Maclaurin sum."""


_I1E_NEAR = (
    0.12629359322181682, -0.17641651835783406, 0.1026436586898471,
    -0.05294598120809499, 0.024726449030626516, -0.010564084894626197,
    0.004156422944312888, -0.0015135724506312532, 0.0005122859561685758,
    -0.00016176081582589674, 4.781565107550054e-05, -1.3273163656039436e-05,
    3.4702513081376785e-06, -8.568720264695455e-07, 2.0032947535521353e-07,
    -4.445059128796328e-08, 9.381537386495773e-09, -1.8872497517228294e-09,
    3.625590281552117e-10, -6.663489723502027e-11, 1.1736186298890901e-11,
    -1.9839743977649436e-12, 3.223793365945575e-13, -5.042185504727912e-14,
    7.600684294735408e-15, -1.1055969477353862e-15, 1.5536319577362005e-16,
    -2.111421214358166e-17,
)  # fmt: skip
_I1E_FAR = (
    0.38928811750914005, -0.009761097491361469, -0.00011058893876262371,
    -3.882564808877691e-06, -2.512236237870209e-07, -2.6314688468895196e-08,
    -3.835380385964237e-09, -5.589743462196584e-10, -1.8974958123505413e-11,
    3.2526035830154884e-11, 1.4125807436613782e-11, 2.0356285441470896e-12,
    -7.198551776245908e-13, -4.0835511110921974e-13, -2.1015418427726643e-14,
    4.272440016711951e-14, 1.0420276984128802e-14, -3.8144030724370075e-15,
    -1.8803547755107825e-15, 3.3082023109209285e-16, 2.96262899764595e-16,
    -3.209525921993424e-17, -4.650305368489358e-17,
)  # fmt: skip
"""Of exp(-x) I1(x) / x in x / 4 - 1, and of exp(-x) I1(x) sqrt(x) in 16 / x - 1."""
_MIDDLE = 8.0
"""Where the first series ends and the second begins."""


def zeta(x: Array, q: Array) -> Array:
    """Hurwitz zeta: the sum of (q + k)^-x over k >= 0.

    Nine terms, then Euler-Maclaurin for the rest (Moshier, Cephes).
    """
    total, at = q**-x, q
    for _ in range(_TERMS):
        at = at + 1
        power = at**-x
        total = total + power
    total = total + power * at / (x - 1) - power / 2
    term = power * x / at
    for k, divisor in enumerate(_BERNOULLI):
        total = total + term / divisor
        term = term * ((x + 2 * k + 1) / at) * ((x + 2 * k + 2) / at)
    total = jnp.where((q <= 0) & (q == jnp.floor(q)), jnp.inf, total)
    total = jnp.where((q <= 0) & (q != jnp.floor(q)) & (x != jnp.floor(x)), jnp.nan, total)
    return jnp.where(x == 1, jnp.inf, jnp.where(x < 1, jnp.nan, total))


def polygamma(order: Array, x: Array) -> Array:
    """The derivative of `digamma` of that order: (-1)^(n + 1) n! zeta(n + 1, x)."""
    sign = 2 * (order % 2) - 1
    value = sign * jnp.exp(lax.lgamma(order + 1)) * zeta(order + 1, x)
    value = jnp.where(order == 0, lax.digamma(x), value)
    return jnp.where((order < 0) | (order != jnp.floor(order)), jnp.nan, value)


def bessel_i1e(x: Array) -> Array:
    """exp(-|x|) I1(x): a series up to 8, and another one beyond."""
    size = jnp.abs(x)
    above = jnp.maximum(size, _MIDDLE)
    near = _series(size / 4 - 1, _I1E_NEAR) * size
    far = _series(16 / above - 1, _I1E_FAR) * lax.rsqrt(above)
    return jnp.sign(x) * jnp.where(size <= _MIDDLE, near, far)


def _series(t: Array, coefficients: Sequence[float]) -> Array:
    """Chebyshev's, by Clenshaw's recurrence, without last terms that the dtype does not show."""
    least = float(jnp.finfo(t.dtype).eps) / 16
    shown = [i for i, coefficient in enumerate(coefficients) if abs(coefficient) > least]
    one, two, twice = jnp.zeros_like(t), jnp.zeros_like(t), t + t
    for coefficient in coefficients[shown[-1] : 0 : -1]:
        one, two = twice * one - two + coefficient, one
    return t * one - two + coefficients[0]
