"""Convolutions whose input channels are taken in pairs of bfloat16 (see `graph/law.py`).

In: a convolution of bfloat16 whose kernel is (groups, kh, kw, in / 2, out, 2). Out: the same as one
of words of 32 bits, half as many channels, and what multiplies words: `vdpbf16ps`, else two fma.

A word that all lanes read, and that one vector of sums is told, is read by the multiplication
itself (`multiply_add_from`): a load that spreads it takes a turn of a unit that multiplies (a
third more time; Zen 4). LLVM has no other way to say so than the instruction's own text.
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


WORD = "int32"
"""The dtype of a pair."""


def are_words(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether neighbours along the last dimension are words, one after the other."""
    apart = (step for size, step in zip(shape[:-1], strides, strict=False) if size > 1)
    return strides[-1] == 1 and all(step % 2 == 0 for step in apart)


def in_words(codelet: Convolution) -> Convolution:
    image, kernel = codelet.image, codelet.kernel
    *around, channels = image.shape
    pixels = Operand(
        WORD, (*around, channels // 2), (*(step // 2 for step in image.strides[:-1]), 1)
    )
    steps = tuple(step // 2 for step in kernel.strides[:-1])
    return replace(codelet, image=pixels, kernel=Operand(WORD, kernel.shape[:-1], steps))


def reads_memory(function: Function, width: int) -> bool:
    """Whether an instruction takes a word from memory into all lanes."""
    return "avx512bf16" in function.module.features.names and width == 16


def multiply_add_from(function: Function, width: int, place: str, y: str, total: str) -> str:
    """The same of a word in memory, in every lane."""
    row, words = vector("float", width), vector("i32", width)
    text = f'asm "vdpbf16ps $2{{1to{width}}}, $1, $0", "=v,v,*m,0"'
    arguments = f"{words} {y}, ptr elementtype(i32) {place}, {row} {total}"
    return function.let(f"call {row} {text}({arguments}) nounwind memory(argmem: read)")


def multiply_add(function: Function, width: int, x: str, y: str, total: str) -> str:
    """The odd products of two vectors of words and then the even ones, added to one of sums."""
    row, words = vector("float", width), vector("i32", width)
    if "avx512bf16" in function.module.features.names and width in (4, 8, 16):
        pairs = vector("bfloat", 2 * width)
        a, b = (function.let(f"bitcast {words} {value} to {pairs}") for value in (x, y))
        symbol = f"llvm.x86.avx512bf16.dpbf16ps.{32 * width}"
        function.module.declare(symbol, row, row, pairs, pairs)
        return function.let(f"call {row} @{symbol}({row} {total}, {pairs} {a}, {pairs} {b})")
    arithmetic = Arithmetic("float32")
    upper = vectors.splat_constant("i32", -0x10000, width)
    shift = vectors.splat_constant("i32", 16, width)
    for operation, by in (("and", upper), ("shl", shift)):
        halves = [function.let(f"{operation} {words} {each}, {by}") for each in (x, y)]
        a, b = (function.let(f"bitcast {words} {half} to {row}") for half in halves)
        total = arithmetic.multiply_add(function, width, a, b, total)
    return total
