"""digamma and the logarithm of gamma in float64 (float32 goes by way of it).

digamma(x) = digamma(x + n) - 1/x - ... - 1/(x + n - 1), and log gamma(x) = log gamma(x + n) -
log(x (x + 1) ... (x + n - 1)), up to 10; there their asymptotic series (Abramowitz and Stegun
6.3.18 and 6.1.41). For negative x by reflection (6.3.7 and 6.1.17). At the poles, NaN and infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, log, pi

from tilewright.codelets.emit.llvm import vector
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math import double
from tilewright.codelets.scalar_math.pieces import polynomial

_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_LGAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_FROM = 10
PART = 8
"""Lanes that are written out: a vector of float64."""
_SINE = tuple((-1) ** i / factorial(2 * i + 1) for i in range(1, 12))
"""(sin(t) - t) / t**3 in t**2: Taylor's, to 1e-16 for |t| <= pi / 2."""


def digamma(x: Register) -> Register:
    return _by_parts(_any_digamma, x)


def digamma_float(x: Register) -> Register:
    return _by_parts(lambda x: _any_digamma(_double(x)).cast("fptrunc", "float"), x)


def lgamma_float(x: Register) -> Register:
    return _by_parts(lambda x: _any_lgamma(_double(x)).cast("fptrunc", "float"), x)


def _double(x: Register) -> Register:
    return x.cast("fpext", "double")


def _by_parts(formula: Callable[[Register], Register], x: Register) -> Register:
    """Eight lanes at a time, by a loop: what is long takes LLVM as often as a vector has parts."""
    function = x.function
    if x.width <= PART:
        return formula(x)
    slot, part = function.reserve(x.type, 1), vector(x.kind, PART)
    function.do(f"store {x.type} {x.name}, ptr {slot}")
    with function.loop(0, x.width, PART) as turn:
        place = function.address(slot, x.kind, turn.index)
        some = Register(function, x.kind, PART, function.let(f"load {part}, ptr {place}"))
        function.do(f"store {part} {formula(some).name}, ptr {place}")
    return x.let(f"load {x.type}, ptr {slot}")


def _any_digamma(x: Register) -> Register:
    negative, apart = x <= 0.0, _apart(x)
    result = _digamma(negative.select(1.0 - x, x))
    cotangent = pi * _sine(0.5 - apart.magnitude()) / _sine(apart)
    reflected = apart.equal(0.0).select(float("nan"), result - cotangent)
    reflected = x.equal(float("-inf")).select(float("nan"), reflected)
    return negative.select(reflected, result)


def _any_lgamma(x: Register) -> Register:
    """Within 1e-14 of the result or of 1: at its roots but 1 and 2, large terms cancel."""
    negative, apart = x <= 0.0, _apart(x)
    result = _lgamma(negative.select(1.0 - x, x))
    reflected = log(pi) - double.log(_sine(apart).magnitude()) - result
    reflected = apart.equal(0.0).select(float("inf"), reflected)
    result = negative.select(reflected, result)
    result = x.magnitude().equal(float("inf")).select(float("inf"), result)
    return x.equal(1.0).select(0.0, x.equal(2.0).select(0.0, result))


def _apart(x: Register) -> Register:
    """How far the nearest whole number is: half at most."""
    return x - x.intrinsic("roundeven")


def _sine(x: Register) -> Register:
    """sin(pi x) for |x| <= 1/2."""
    t = x * pi
    square = t * t
    return (t * square).fma(polynomial(square, _SINE), t)


def _digamma(x: Register) -> Register:
    """Of a positive number; the fractions are added up as one."""
    above, below = x.full(0.0), x.full(1.0)
    for _ in range(_FROM):
        small = x < _FROM
        above = small.select(above.fma(x, below), above)
        below = small.select(below * x, below)
        x = small.select(x + 1.0, x)
    inverse = 1.0 / x
    square = inverse * inverse
    tail = inverse * 0.5 + square * polynomial(square, _DIGAMMA)
    return double.log(x) - tail - above / below


def _lgamma(x: Register) -> Register:
    """Of a positive number."""
    product = x.full(1.0)
    for _ in range(_FROM):
        small = x < _FROM
        product = small.select(product * x, product)
        x = small.select(x + 1.0, x)
    inverse = 1.0 / x
    tail = (inverse * polynomial(inverse * inverse, _LGAMMA) + log(2 * pi) / 2) - x
    return (x - 0.5).fma(double.log(x), tail) - double.log(product)
