"""How a contraction reads an operand along k, and how it packs one before reading it often.

In: a `Matrix` inside a batch. Out: vectors of the dtype that is summed in, or a packed copy in
scratch memory: float32 (say), k contiguous and padded to whole steps.

Always: products of elements past the end of k are -0, which changes no sum (+0 would lose the sign
of -0): there the left operand reads as -0 and the right one as +0.
"""

from __future__ import annotations

from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.turn import Side, transpose
from tilewright.codelets.emit.vectors import FLOATS, itemsize, offset
from tilewright.frozen import frozen
from tilewright.graph.law import LANES

STAGGER = 2
_NEGATIVE_ZERO = {"bfloat16": "-32768", "float16": "0xH8000", "float32": "-0.0", "float64": "-0.0"}


@frozen
class Matrix:
    """Strides along rows (m or n) and along k; `left` says which zero is read past the end."""

    dtype: str
    step: int
    k_step: int
    left: bool = False

    def fill(self, width: int) -> str:
        """What `width` lanes read past the end."""
        if not self.left or self.dtype not in FLOATS:
            return "zeroinitializer"
        kind = MEMORY_TYPE[self.dtype]
        lanes = [_NEGATIVE_ZERO[self.dtype]] * width
        return "<" + ", ".join(f"{kind} {lane}" for lane in lanes) + ">"


@frozen
class Reader:
    """Reads operands in steps of 16 elements, in machine vectors of `width`."""

    working: str
    width: int

    @property
    def parts(self) -> int:
        """Machine vectors in 16 lanes."""
        return LANES // self.width

    def read(self, function: Function, matrix: Matrix, base: str, part: int, length: int) -> str:
        """One part of a step of which `length` elements exist."""
        first = part * self.width
        valid = max(0, min(length - first, self.width))
        where = offset(function, base, matrix.dtype, first * matrix.k_step)
        fill = matrix.fill(self.width)
        value = vectors.load(function, matrix.dtype, where, matrix.k_step, self.width, valid, fill)
        return vectors.widen(function, value, matrix.dtype, self.working, self.width)


def copied_step(working: str, length: int, *, broadcast: bool = False) -> int:
    """Elements from line to line of a copy: an odd number of cache lines, lest they share sets.

    Lines of which an element each is `broadcast` at a time are 2 elements further apart: so they
    do not all come to their next cache line at the same k, where the multiply-adds of a whole tile
    would wait for an L2 (measured with 16 columns: 92 % of the peak instead of 82 %).
    """
    line = max(1, 64 // itemsize(working))
    lines = -(-length // LANES) * LANES // line
    return (lines + 1 - lines % 2) * line + (STAGGER if broadcast else 0)


def _lies_by_rows(matrix: Matrix, by_rows: bool) -> bool:
    """Whether neighbours in the copy are rows (else k): as asked, or as they lie already."""
    return by_rows or (matrix.step == 1 and matrix.k_step != 1)


def copied_bytes(matrix: Matrix, working: str, rows: int, k: int, *, by_rows: bool = False) -> int:
    """Scratch memory of a copy."""
    turned = _lies_by_rows(matrix, by_rows)
    inner, outer = (rows, k) if turned else (k, rows)
    lines = outer * copied_step(working, inner, broadcast=not turned) * itemsize(working)
    return -(-lines // 64) * 64


def copy(
    function: Function,
    matrix: Matrix,
    working: str,
    rows: int,
    k: int,
    base: str,
    target: str,
    *,
    by_rows: bool = False,
) -> Matrix:
    """Convert to `working`, contiguous along k, or (`by_rows`) along rows; how the copy lies."""
    if not rows * k:
        return Matrix(working, 1, 1, matrix.left)
    turned = _lies_by_rows(matrix, by_rows)
    if turned and matrix.k_step == 1 and matrix.step != 1:
        made = Side(working, copied_step(working, rows))
        transpose(function, Side(matrix.dtype, matrix.step), made, rows, k, base, target)
        return Matrix(working, 1, made.step, matrix.left)
    inner, outer = (rows, k) if turned else (k, rows)
    step, line_step = (matrix.step, matrix.k_step) if turned else (matrix.k_step, matrix.step)
    copied = copied_step(working, inner, broadcast=not turned)
    full, rest = divmod(inner, LANES)
    with repeat(function, outer, [("ptr", base), ("ptr", target)]) as line:
        source, place = line.carry
        if full:
            with repeat(function, full, [("ptr", source), ("ptr", place)]) as turn:
                here, there = turn.carry
                _copy_vector(function, matrix.dtype, working, here, there, step, LANES)
                turn.next[0] = offset(function, turn.carry[0], matrix.dtype, LANES * step)
                turn.next[1] = offset(function, turn.carry[1], working, LANES)
            source, place = turn.result
        if rest:
            _copy_vector(function, matrix.dtype, working, source, place, step, rest)
        line.next[0] = offset(function, line.carry[0], matrix.dtype, line_step)
        line.next[1] = offset(function, line.carry[1], working, copied)
    return Matrix(working, 1 if turned else copied, copied if turned else 1, matrix.left)


def _copy_vector(
    function: Function, dtype: str, working: str, source: str, place: str, step: int, valid: int
) -> None:
    """Up to 16 neighbours; what is beyond them in the copy's last cache line is zero."""
    value = vectors.load(function, dtype, source, step, LANES, valid)
    value = vectors.widen(function, value, dtype, working, LANES)
    vectors.store(function, working, value, place, 1, LANES)
