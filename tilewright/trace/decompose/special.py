"""Special functions that XLA expands itself, so that JAX has no implementation to trace."""

from __future__ import annotations

import math

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
    """exp(-|x|) I1(x).

    I1(x) = 2 / pi * integral of cos(t) sinh(x cos(t)) over (0, pi / 2): the midpoint rule converges
    exponentially; beyond 32, the asymptotic series (Abramowitz and Stegun 9.6.19, 9.7.1).
    """
    size = jnp.abs(x)
    near, far = jnp.minimum(size, 32.0), jnp.maximum(size, 32.0)
    points = 16
    quadrature = jnp.zeros_like(x)
    for i in range(points):
        cosine = math.cos((i + 0.5) * math.pi / 2 / points)
        term = jnp.exp(near * (cosine - 1)) * jnp.expm1(-2 * cosine * near)
        quadrature = quadrature - cosine / 2 / points * term
    series, term = jnp.ones_like(x), jnp.ones_like(x)
    for k in range(1, 16):
        term = -term * (4 - (2 * k - 1) ** 2) / (8 * k * far)
        series = series + term
    series = series * lax.rsqrt(2 * math.pi * far)
    return jnp.sign(x) * jnp.where(size <= 32, quadrature, series)
