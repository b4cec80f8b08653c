"""Words of two bfloat16 multiplied, and both products added to a sum in float32, the odd one first.

In: vectors of 32 bits, an even term below and its odd neighbour above. Out: LLVM text, of
`vdpbf16ps` where there is it, else of two fma: the same bits (the law `pairs`, `graph/law.py`).

A word that all lanes read, and that one vector of sums is told, is read by the multiplication
itself (`multiply_add_from`): a load that spreads it takes a turn of a unit that multiplies (a
third more time; Zen 4). LLVM has no other way to say so than the instruction's own text.
"""

from __future__ import annotations

from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, vector


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
