"""Convolutions whose input channels are taken in pairs of bfloat16 (see `graph/law.py`).

In: a convolution of bfloat16 whose kernel is (groups, kh, kw, in / 2, out, 2). Out: the same as one
of words of 32 bits, half as many channels, and what multiplies words: `vdpbf16ps`, else two fma.
Words are named float32, as nothing but the multiplication looks inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tilewright.codelets.base import Operand
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, vector

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution


def are_words(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether neighbours along the last dimension are words, one after the other."""
    apart = (step for size, step in zip(shape[:-1], strides, strict=False) if size > 1)
    return strides[-1] == 1 and all(step % 2 == 0 for step in apart)


def in_words(codelet: Convolution) -> Convolution:
    image, kernel = codelet.image, codelet.kernel
    *around, channels = image.shape
    pixels = Operand(
        "float32", (*around, channels // 2), (*(step // 2 for step in image.strides[:-1]), 1)
    )
    steps = tuple(step // 2 for step in kernel.strides[:-1])
    return replace(codelet, image=pixels, kernel=Operand("float32", kernel.shape[:-1], steps))


def multiply_add(function: Function, width: int, x: str, y: str, total: str) -> str:
    """The odd products of words and then the even ones, added to a vector of sums."""
    row, words = vector("float", width), vector("i32", width)
    if "avx512bf16" in function.module.features.names and width in (4, 8, 16):
        pairs = vector("bfloat", 2 * width)
        a, b = (function.let(f"bitcast {row} {value} to {pairs}") for value in (x, y))
        symbol = f"llvm.x86.avx512bf16.dpbf16ps.{32 * width}"
        function.module.declare(symbol, row, row, pairs, pairs)
        return function.let(f"call {row} @{symbol}({row} {total}, {pairs} {a}, {pairs} {b})")
    arithmetic = Arithmetic("float32")
    upper = vectors.splat_constant("i32", -0x10000, width)
    shift = vectors.splat_constant("i32", 16, width)
    bits = [function.let(f"bitcast {row} {value} to {words}") for value in (x, y)]
    for operation, by in (("and", upper), ("shl", shift)):
        halves = [function.let(f"{operation} {words} {each}, {by}") for each in bits]
        a, b = (function.let(f"bitcast {words} {half} to {row}") for half in halves)
        total = arithmetic.multiply_add(function, width, a, b, total)
    return total
