"""Integer arithmetic where languages leave results open: it wraps, truncates and never traps."""

from __future__ import annotations

import numpy as np

from tilewright.graph.floats import bits_of


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integer division that truncates."""
    minus_one = np.array(-1, np.int64).astype(a.dtype)
    safe = np.where((b == 0) | (b == minus_one), 1, b).astype(a.dtype)
    quotient = np.floor_divide(a, safe)
    inexact = a != (quotient * safe).astype(a.dtype)
    quotient = quotient + (inexact & ((a < 0) != (safe < 0))).astype(a.dtype)
    if a.dtype.kind == "i":
        quotient = np.where(b == minus_one, np.negative(a), quotient)
    else:
        quotient = np.where(b == minus_one, (a == minus_one).astype(a.dtype), quotient)
    return np.where(b == 0, minus_one, quotient)


def remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The remainder of `divide`; it has the sign of `a`."""
    return np.where(b == 0, a, a - divide(a, b) * b)


def power(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Integer power by squaring; a negative exponent truncates 1 / base**|exponent|."""
    result, square, left = np.ones_like(base), base, exponent
    for _ in range(8 * exponent.dtype.itemsize):
        result = np.where((left & 1) != 0, result * square, result).astype(base.dtype)
        square, left = square * square, left >> 1
    parity = np.where((exponent & 1) != 0, base, 1)
    negative = np.where(
        base == 1, 1, np.where(np.abs(base) == 1, parity, np.where(base == 0, -1, 0))
    )
    return np.where(exponent < 0, negative, result) if exponent.dtype.kind == "i" else result


def shift(kind: str, a: np.ndarray, by: np.ndarray, *, dtype: str) -> np.ndarray:
    """`kind` is "left", "logical" or "arithmetic"; beyond the width, zeros or the sign are left."""
    width = 8 * a.dtype.itemsize
    amount = bits_of(by)
    outside = amount >= width
    amount = np.where(outside, width - 1, amount).astype(amount.dtype)
    if kind == "arithmetic":
        signed = a.view(f"int{width}")
        return (signed >> amount.astype(signed.dtype)).view(a.dtype)
    move = np.left_shift if kind == "left" else np.right_shift
    return np.where(outside, 0, move(bits_of(a), amount)).astype(amount.dtype).view(a.dtype)


def popcount(a: np.ndarray, *, dtype: str) -> np.ndarray:
    return np.bitwise_count(bits_of(a))


def clz(a: np.ndarray, *, dtype: str) -> np.ndarray:
    bits, width = bits_of(a), 8 * a.dtype.itemsize
    for distance in (1, 2, 4, 8, 16, 32):
        if distance < width:
            bits = bits | (bits >> np.array(distance, bits.dtype))
    return width - np.bitwise_count(bits).astype(np.int64)
