"""What each elementwise operation means, on NumPy arrays.

`SCALAR[op](*arrays, dtype=result dtype name, **params)` returns the result; arrays have one shape
(or broadcast), warnings are never raised. The meanings are those of XLA on a CPU:

- float32 results are rounded once; bfloat16 and float16 are computed in float32 and rounded again.
- Arithmetic, comparisons and conversions read denormal operands as zeros and return zeros for
  denormal results. neg, abs, select, bitcast, nextafter, is_finite and reduce_precision keep them,
  and so does float16, whose denormals are normal in float32. Conversion of float32 to bfloat16
  flushes.
- max and min pass NaN on, and order -0 before +0.
- Integers wrap; x / 0 is -1, x % 0 is x; a shift by the width or more leaves zeros (or the sign).
- Floats become integers by truncation, saturating; NaN becomes 0.

Transcendental functions are taken in float64 and rounded: the reference, not a promise to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from tilewright.graph.floats import (
    FLOATS,
    SIXTEEN,
    Array,
    bits_of,
    flush,
    name_of,
    narrow,
    widen,
)
from tilewright.graph.integers import clz, divide, popcount, power, remainder, shift
from tilewright.graph.ir import numpy_dtype

_MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def _quiet(function: Callable[..., Array]) -> Callable[..., np.ndarray]:
    @wraps(function)
    def quiet(*arrays: Array, dtype: str, **params: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            result = function(*(np.asarray(a) for a in arrays), dtype=dtype, **params)
        return np.asarray(result).astype(numpy_dtype(dtype), copy=False)

    return quiet


def _float(function: Callable[..., Array]) -> Callable[..., np.ndarray]:
    """An operation on floats, given on float64."""

    def compute(*arrays: np.ndarray, dtype: str) -> np.ndarray:
        return narrow(function(*map(widen, arrays)), dtype)

    return compute


def _special(name: str) -> Callable[..., Array]:
    def function(x: np.ndarray) -> np.ndarray:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return function


def _by_kind(
    floats: Callable[..., Array], integers: Callable[..., Array] | None = None
) -> Callable[..., np.ndarray]:
    """`floats` on float64, `integers` (and bool) on the arrays as they are."""
    on_floats = _float(floats)

    def compute(*arrays: np.ndarray, dtype: str) -> Array:
        if name_of(arrays[0]) in FLOATS or integers is None:
            return on_floats(*arrays, dtype=dtype)
        return integers(*arrays)

    return compute


# Floats.


def _maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first = (a > b) | np.isnan(a) | ((a == b) & np.signbit(b))
    return np.where(first, a, b)


def _minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first = (a < b) | np.isnan(a) | ((a == b) & np.signbit(a))
    return np.where(first, a, b)


def _sign(a: np.ndarray) -> np.ndarray:
    return np.where((a == 0) | np.isnan(a), a, np.sign(a))


def _round_away(a: np.ndarray) -> np.ndarray:
    whole = np.trunc(a)
    return np.where(np.abs(a - whole) >= 0.5, whole + np.copysign(1.0, a), np.copysign(whole, a))


def _digamma(a: np.ndarray) -> np.ndarray:
    pole = (a <= 0) & (a == np.floor(a))
    return np.where(pole, np.nan, _special("digamma")(a))


def _rsqrt(a: np.ndarray, *, dtype: str) -> np.ndarray:
    """Two roundings: one over the rounded root."""
    single = "float64" if dtype == "float64" else "float32"
    return narrow(1.0 / narrow(np.sqrt(widen(a)), single), dtype)


def _negate(a: np.ndarray, *, dtype: str) -> np.ndarray:
    if name_of(a) not in FLOATS:
        return np.negative(a)
    return (bits_of(a) ^ _sign_bit(a)).view(a.dtype)


def _absolute(a: np.ndarray, *, dtype: str) -> np.ndarray:
    if name_of(a) not in FLOATS:
        return np.abs(a)
    return (bits_of(a) & ~_sign_bit(a)).view(a.dtype)


def _sign_bit(a: np.ndarray) -> np.ndarray:
    unsigned = bits_of(a).dtype
    return np.array(1 << (8 * unsigned.itemsize - 1), unsigned)


def _nextafter(a: np.ndarray, b: np.ndarray, *, dtype: str) -> np.ndarray:
    sign, one = _sign_bit(a), np.array(1, bits_of(a).dtype)
    size_a, size_b = bits_of(a) & ~sign, bits_of(b) & ~sign
    sign_a, sign_b = bits_of(a) & sign, bits_of(b) & sign
    inwards = (size_a > size_b) | (sign_a != sign_b)
    moved = np.where(
        size_a == 0, sign_b | one, np.where(inwards, bits_of(a) - one, bits_of(a) + one)
    )
    stays = flush(a) == flush(b)
    lost = np.isnan(flush(a)) | np.isnan(flush(b))
    result = np.where(stays, b, moved.astype(one.dtype).view(a.dtype))
    return np.where(lost, np.array(np.nan, a.dtype), result)


def _is_finite(a: np.ndarray, *, dtype: str) -> np.ndarray:
    return np.isfinite(a)


def _reduce_precision(a: np.ndarray, *, dtype: str, exponent: int, mantissa: int) -> np.ndarray:
    bits, kind = bits_of(a), bits_of(a).dtype
    source_mantissa = _MANTISSA[name_of(a)]
    source_exponent = 8 * kind.itemsize - 1 - source_mantissa
    sign = bits & _sign_bit(a)
    if mantissa < source_mantissa:
        drop = source_mantissa - mantissa
        odd = (bits >> np.array(drop, kind)) & np.array(1, kind)
        bits = bits + (odd + np.array((1 << (drop - 1)) - 1, kind))
        bits = bits & ~np.array((1 << drop) - 1, kind)
    if exponent < source_exponent:
        bias, reduced = (1 << (source_exponent - 1)) - 1, (1 << (exponent - 1)) - 1
        mask = ((1 << source_exponent) - 1) << source_mantissa
        power = bits & np.array(mask, kind)
        over = power > np.array((bias + reduced) << source_mantissa, kind)
        under = power <= np.array((bias - reduced) << source_mantissa, kind)
        bits = np.where(over, sign | np.array(mask, kind), np.where(under, sign, bits))
    return np.where(np.isnan(a), a, bits.astype(kind).view(a.dtype))


# Both.


def _compare(function: Callable[..., Array], a: Array, b: Array, *, dtype: str) -> Array:
    return function(flush(a), flush(b))


def _select(which: np.ndarray, *cases: np.ndarray, dtype: str) -> np.ndarray:
    index = which.astype(np.int64).clip(0, len(cases) - 1)
    result = cases[0]
    for i, case in enumerate(cases[1:], 1):
        result = np.where(index == i, case, result)
    return result


def _convert(a: np.ndarray, *, dtype: str) -> np.ndarray:
    source = name_of(a)
    if dtype == "bool":
        return flush(a) != 0
    if source in FLOATS:
        return _from_float(a, dtype)
    if dtype in SIXTEEN:
        return a.astype(np.float32).astype(numpy_dtype(dtype))
    return a.astype(dtype)


def _from_float(a: np.ndarray, dtype: str) -> np.ndarray:
    if name_of(a) == dtype or (name_of(a) in SIXTEEN and dtype == "float32"):
        return a.astype(numpy_dtype(dtype))
    if dtype in FLOATS:
        return narrow(widen(a), dtype)
    bounds, wide = np.iinfo(dtype), widen(a)
    # float(bounds.max) may round up to 2**63: everything from there on saturates.
    inside = (wide > float(bounds.min) - 1) & (wide < float(bounds.max))
    result = np.where(inside, wide, 0).astype(dtype)
    result = np.where(wide >= float(bounds.max), np.array(bounds.max, dtype), result)
    return np.where(wide <= float(bounds.min), np.array(bounds.min, dtype), result)


def _bitcast(a: np.ndarray, *, dtype: str) -> np.ndarray:
    return a.view(numpy_dtype(dtype))


def _tanh(a: np.ndarray, *, dtype: str, approximate: bool = False) -> Array:
    """With `approximate`, machines may give a value within 5e-5 of this one."""
    return _float(np.tanh)(a, dtype=dtype)


Meaning = Callable[..., Array]

_FLOAT_FUNCTIONS: dict[str, Meaning] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_even": np.rint,
    "round_away": _round_away,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "logistic": _special("expit"),
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "erf_inv": _special("erfinv"),
    "lgamma": _special("gammaln"),
    "digamma": _digamma,
}


def _bitwise(function: Meaning, *arrays: np.ndarray, dtype: str) -> Array:
    return function(*arrays)


UNARY: dict[str, Meaning] = {
    **{op: _float(function) for op, function in _FLOAT_FUNCTIONS.items()},
    "sign": _by_kind(_sign, np.sign),
    "rsqrt": _rsqrt,
    "tanh": _tanh,
    "neg": _negate,
    "abs": _absolute,
    "not": partial(_bitwise, np.invert),
    "is_finite": _is_finite,
    "popcount": popcount,
    "clz": clz,
}

BINARY: dict[str, Meaning] = {
    "add": _by_kind(np.add, np.add),
    "sub": _by_kind(np.subtract, np.subtract),
    "mul": _by_kind(np.multiply, np.multiply),
    "div": _by_kind(np.divide, divide),
    "rem": _by_kind(np.fmod, remainder),
    "pow": _by_kind(np.power, power),
    "max": _by_kind(_maximum, np.maximum),
    "min": _by_kind(_minimum, np.minimum),
    "atan2": _float(np.arctan2),
    "nextafter": _nextafter,
    "and": partial(_bitwise, np.bitwise_and),
    "or": partial(_bitwise, np.bitwise_or),
    "xor": partial(_bitwise, np.bitwise_xor),
    "shift_left": partial(shift, "left"),
    "shift_right_logical": partial(shift, "logical"),
    "shift_right_arithmetic": partial(shift, "arithmetic"),
}

COMPARISONS: dict[str, Meaning] = {
    "eq": partial(_compare, np.equal),
    "ne": partial(_compare, np.not_equal),
    "lt": partial(_compare, np.less),
    "le": partial(_compare, np.less_equal),
    "gt": partial(_compare, np.greater),
    "ge": partial(_compare, np.greater_equal),
}

_OTHERS: dict[str, Meaning] = {
    "select": _select,
    "convert": _convert,
    "bitcast": _bitcast,
    "reduce_precision": _reduce_precision,
}

SCALAR: dict[str, Callable[..., np.ndarray]] = {
    op: _quiet(function) for op, function in (UNARY | BINARY | COMPARISONS | _OTHERS).items()
}

KEEPS_DENORMALS = frozenset("neg abs select bitcast nextafter reduce_precision".split())
"""Operations that may give a float that is a denormal."""
