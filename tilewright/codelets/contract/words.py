"""Operands of products in pairs, as words of 32 bits: two neighbouring terms, the even one below.

In: a `Matrix` of bfloat16 with an even number of terms. Out: the same in words, half as many terms:
where it lies, if neighbouring terms do and that is how it is read, else a copy in scratch memory.
Of lines along rows two are woven into one; lines along terms are turned round, word by word.
"""

from __future__ import annotations

from tilewright.codelets.contract.operand import Matrix, copied_step
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.turn import Side, transpose
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.graph.law import LANES

WORD = "int32"


def is_woven(matrix: Matrix) -> bool:
    """Whether lines lie along rows; along terms, they are words as they are."""
    return matrix.step == 1 and matrix.k_step != 1


def lies_in_words(step: int, k_step: int, rows: int) -> bool:
    """Whether it is words where it lies."""
    return k_step == 1 and (rows == 1 or step % 2 == 0)


def in_place(matrix: Matrix) -> Matrix:
    """As words, of one whose lines lie along terms."""
    return Matrix(WORD, matrix.step // 2, 1, matrix.left)


def copied_words(rows: int, k: int) -> int:
    """Bytes of a copy: lines along rows."""
    nbytes = k // 2 * copied_step(WORD, rows) * itemsize(WORD)
    return -(-nbytes // 64) * 64


def copy_words(
    function: Function, matrix: Matrix, rows: int, k: int, base: str, target: str
) -> Matrix:
    """Lines of words along rows, and how these lie."""
    made = Matrix(WORD, 1, copied_step(WORD, rows), matrix.left)
    if not is_woven(matrix):
        given, lines = Side(WORD, matrix.step // 2), Side(WORD, made.k_step)
        transpose(function, given, lines, rows, k // 2, base, target)
        return made
    full, rest = divmod(rows, LANES)
    dtypes = [matrix.dtype, WORD]
    with walk(function, [k // 2], [base, target], dtypes, [[2 * matrix.k_step], [made.k_step]]) as (
        source,
        place,
    ):
        if full:
            with repeat(function, full, [("ptr", source), ("ptr", place)]) as turn:
                here, there = turn.carry
                _weave(function, matrix, here, there, LANES)
                turn.next[0] = offset(function, here, matrix.dtype, LANES)
                turn.next[1] = offset(function, there, WORD, LANES)
            source, place = turn.result
        if rest:
            _weave(function, matrix, source, place, rest)
    return made


def _weave(function: Function, matrix: Matrix, source: str, place: str, valid: int) -> None:
    """Up to 16 neighbours of two lines; what is beyond them in the copy's cache line is zero."""
    after = offset(function, source, matrix.dtype, matrix.k_step)
    even, odd = (
        vectors.load(function, matrix.dtype, line, 1, LANES, valid) for line in (source, after)
    )
    lanes = [lane for i in range(LANES) for lane in (i, LANES + i)]
    woven = vectors.shuffle(function, "i16", LANES, even, odd, lanes)
    words = function.let(f"bitcast {vector('i16', 2 * LANES)} {woven} to {vector('i32', LANES)}")
    vectors.store(function, WORD, words, place, 1, LANES)
