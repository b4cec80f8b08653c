"""LLVM text of the inner form: k is contiguous in both operands, and lanes run along it.

In: a `ContractInner`. Out: its function. A tile of C is one accumulator of 16 virtual lanes for
each output; at the end of a chunk of k the lanes of all of them are folded together (`lanes.py`).
Always: each output is the sum, one after the other, of chunks of 1024 products; element e of a
chunk goes to lane e % 16 (its pair to lane e // 2 % 16), and lanes are combined by halving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.codelets import tiling, vectors
from tilewright.codelets.arithmetic import Arithmetic
from tilewright.codelets.lanes import Totals, fold
from tilewright.codelets.llvm import Function, Module, vector
from tilewright.codelets.loops import repeat, walk
from tilewright.codelets.tiling import Run
from tilewright.codelets.vectors import offset

if TYPE_CHECKING:
    from tilewright.codelets.contract import ContractInner

CHUNK = 1024
"""Elements of k whose lanes are folded before their sum is added to that of the chunks before."""
NEAR = 32 * 1024
"""Bytes that stay in the first-level cache while a tile of the other operand streams by."""


@dataclass(frozen=True)
class _Matrix:
    """One operand inside a batch: dtype, and strides along its rows and along k."""

    dtype: str
    step: int
    k_step: int


@dataclass(frozen=True)
class _Problem:
    """rows x columns outputs; out's columns are `column_step` apart."""

    rows: int
    columns: int
    k: int
    left: _Matrix
    right: _Matrix
    out_dtype: str
    row_step: int
    column_step: int
    arithmetic: Arithmetic
    width: int
    paired: bool
    accumulate: bool

    @property
    def parts(self) -> int:
        """Machine vectors in one accumulator."""
        return 16 // self.width

    @property
    def unit(self) -> int:
        """Elements of k in one step."""
        return 32 if self.paired else 16


def emit(codelet: ContractInner, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    function = module.function(symbol, "void", ["ptr"] * 3)
    if codelet.out.size:
        operands = (codelet.lhs, codelet.rhs, codelet.out)
        dtypes = [operand.dtype for operand in operands]
        strides = [operand.strides[:-2] for operand in operands]
        pointers = [function.argument(i) for i in range(3)]
        m_step, n_step = codelet.out.strides[-2:]
        exchanged = n_step != 1 and m_step == 1
        problem = _problem(codelet, module.features.vector_bits, exchanged)
        with walk(function, codelet.batch, pointers, dtypes, strides) as (lhs, rhs, out):
            left, right = (rhs, lhs) if exchanged else (lhs, rhs)
            _tiles(function, problem, left, right, out)
    function.close()


def _problem(codelet: ContractInner, vector_bits: int, exchanged: bool) -> _Problem:
    left, right = (
        _Matrix(operand.dtype, operand.strides[-2], operand.strides[-1])
        for operand in (codelet.lhs, codelet.rhs)
    )
    rows, columns = codelet.m, codelet.n
    row_step, column_step = codelet.out.strides[-2:]
    if exchanged:
        left, right, rows, columns = right, left, columns, rows
        row_step, column_step = column_step, row_step
    arithmetic = Arithmetic(codelet.sum_dtype)
    return _Problem(
        rows, columns, codelet.k, left, right, codelet.out.dtype, row_step, column_step,
        arithmetic, arithmetic.lanes(vector_bits), codelet.paired, codelet.accumulate,
    )  # fmt: skip


def _load_cost(problem: _Problem, matrix: _Matrix) -> float:
    """Cycles to have one vector; rows that start anywhere make loads cross cache lines."""
    aligned = matrix.step * vectors.itemsize(matrix.dtype) % 64 == 0
    convert = matrix.dtype != problem.arithmetic.dtype or problem.paired
    return (0.5 if aligned else 1.0) + (1.0 if convert else 0.0)


def _tiles(function: Function, problem: _Problem, left: str, right: str, out: str) -> None:
    """The side with more accumulators a tile is kept near, the other streams by."""
    plan = tiling.choose(
        problem.rows,
        problem.columns,
        -(-problem.k // 16),
        function.module.features.registers,
        parts=problem.parts,
        row_load=_load_cost(problem, problem.left),
        column_load=_load_cost(problem, problem.right),
        finish=2.0,
    )
    keep_rows = plan.rows[0].size >= plan.columns[0].size
    if keep_rows:
        pairs = [(rows, columns) for rows in plan.rows for columns in plan.columns]
    else:
        pairs = [(rows, columns) for columns in plan.columns for rows in plan.rows]
    for rows, columns in pairs:
        _run(function, problem, rows, columns, keep_rows, left, right, out)


def _run(
    function: Function,
    problem: _Problem,
    rows: Run,
    columns: Run,
    keep_rows: bool,
    left: str,
    right: str,
    out: str,
) -> None:
    """All tiles of one size."""
    left = offset(function, left, problem.left.dtype, rows.start * problem.left.step)
    right = offset(function, right, problem.right.dtype, columns.start * problem.right.step)
    where = rows.start * problem.row_step + columns.start * problem.column_step
    out = offset(function, out, problem.out_dtype, where)
    # Strides of (left, right, out) along rows of tiles and columns of tiles.
    along_rows = (rows.size * problem.left.step, 0, rows.size * problem.row_step)
    along_columns = (0, columns.size * problem.right.step, columns.size * problem.column_step)
    nest = [(rows.count, along_rows), (columns.count, along_columns)]
    (outer, outer_steps), (inner, inner_steps) = nest if keep_rows else reversed(nest)
    strides = list(zip(outer_steps, inner_steps, strict=True))
    dtypes = [problem.left.dtype, problem.right.dtype, problem.out_dtype]
    with walk(function, [outer, inner], [left, right, out], dtypes, strides) as places:
        _tile(function, problem, rows.size, columns.size, *places)


def _tile(
    function: Function, problem: _Problem, rows: int, columns: int, left: str, right: str, out: str
) -> None:
    for total in _totals(function, problem, rows, columns, left, right):
        for row, column, lane, count in _pieces(total, columns):
            where = row * problem.row_step + column * problem.column_step
            target = offset(function, out, problem.out_dtype, where)
            _finish(function, problem, total.register, lane, count, target)


def _pieces(total: Totals, columns: int) -> list[tuple[int, int, int, int]]:
    """(row, first column, first lane, how many): neighbours in C that are neighbouring lanes."""
    pieces: list[tuple[int, int, int, int]] = []
    for lane, owner in enumerate(total.owners):
        if owner is None:
            continue
        row, column = divmod(owner, columns)
        if pieces:
            last_row, first, start, count = pieces[-1]
            if row == last_row and column == first + count and lane == start + count:
                pieces[-1] = (row, first, start, count + 1)
                continue
        pieces.append((row, column, lane, 1))
    return pieces


def _finish(
    function: Function, problem: _Problem, total: str, lane: int, count: int, target: str
) -> None:
    """Store `count` lanes of a vector of totals."""
    arithmetic, dtype, step = problem.arithmetic, problem.out_dtype, problem.column_step
    width = 1 << (count - 1).bit_length()
    lanes = [lane + i if i < count else -1 for i in range(width)]
    if width != problem.width or lane:
        total = vectors.shuffle(function, arithmetic.kind, problem.width, total, "poison", lanes)
    if problem.accumulate:
        old = vectors.load(function, dtype, target, step, width, count)
        old = vectors.widen(function, old, dtype, arithmetic.dtype, width)
        total = arithmetic.add(function, width, old, total)
    total = vectors.narrow(function, total, arithmetic.dtype, dtype, width)
    vectors.store(function, dtype, total, target, step, width, count)


def _totals(
    function: Function, problem: _Problem, rows: int, columns: int, left: str, right: str
) -> list[Totals]:
    """One tile's sums over all of k: chunk after chunk."""
    if problem.k <= CHUNK:
        return _chunk(function, problem, rows, columns, left, right, problem.k)[0]
    kind = vector(problem.arithmetic.kind, problem.width)
    full, rest = divmod(problem.k, CHUNK)
    totals, left, right = _chunk(function, problem, rows, columns, left, right, CHUNK)
    owners = [total.owners for total in totals]
    sums = [total.register for total in totals]

    def add(sums: list[str], more: list[Totals]) -> list[str]:
        return [
            problem.arithmetic.add(function, problem.width, x, y.register)
            for x, y in zip(sums, more, strict=True)
        ]

    if full > 1:
        carry = [*((kind, total) for total in sums), ("ptr", left), ("ptr", right)]
        with repeat(function, full - 1, carry) as turn:
            *sums, left, right = turn.carry
            more, left, right = _chunk(function, problem, rows, columns, left, right, CHUNK)
            turn.next[:] = [*add(sums, more), left, right]
        *sums, left, right = turn.result
    if rest:
        sums = add(sums, _chunk(function, problem, rows, columns, left, right, rest)[0])
    return [Totals(register, owner) for register, owner in zip(sums, owners, strict=True)]


def _chunk(
    function: Function,
    problem: _Problem,
    rows: int,
    columns: int,
    left: str,
    right: str,
    length: int,
) -> tuple[list[Totals], str, str]:
    """Totals over `length` elements of k, and the operands' places after them."""
    kind = vector(problem.arithmetic.kind, problem.width)
    sums = [problem.arithmetic.zero] * (rows * columns * problem.parts)
    turns, rest = divmod(length, problem.unit)
    if turns:
        carry = [*((kind, total) for total in sums), ("ptr", left), ("ptr", right)]
        with repeat(function, turns, carry) as turn:
            *sums, left, right = turn.carry
            sums = _step(function, problem, rows, columns, left, right, problem.unit, sums)
            turn.next[:] = [*sums, *_advance(function, problem, left, right)]
        *sums, left, right = turn.result
    if rest:
        sums = _step(function, problem, rows, columns, left, right, rest, sums)
    parts = problem.parts
    accumulators = [sums[i : i + parts] for i in range(0, len(sums), parts)]
    totals = fold(function, problem.arithmetic.kind, accumulators, problem.arithmetic.add)
    return totals, left, right


def _advance(function: Function, problem: _Problem, left: str, right: str) -> tuple[str, str]:
    return (
        offset(function, left, problem.left.dtype, problem.unit * problem.left.k_step),
        offset(function, right, problem.right.dtype, problem.unit * problem.right.k_step),
    )


def _step(
    function: Function,
    problem: _Problem,
    rows: int,
    columns: int,
    left: str,
    right: str,
    length: int,
    sums: list[str],
) -> list[str]:
    """One vector of k (of pairs: two), of which the first `length` elements exist."""
    sums = list(sums)
    for part in range(problem.parts):
        first = part * problem.width * (2 if problem.paired else 1)
        here = min(length - first, problem.unit // problem.parts)
        if here <= 0:
            break
        _part(function, problem, rows, columns, left, right, first, here, part, sums)
    return sums


def _part(
    function: Function,
    problem: _Problem,
    rows: int,
    columns: int,
    left: str,
    right: str,
    first: int,
    length: int,
    part: int,
    sums: list[str],
) -> None:
    """One machine vector of lanes: the shorter side is read first and kept."""
    width = problem.width
    exists = min(width, -(-length // 2) if problem.paired else length)
    for_left = [(problem.left, left, row) for row in range(rows)]
    for_right = [(problem.right, right, column) for column in range(columns)]
    kept, streamed = (for_left, for_right) if rows < columns else (for_right, for_left)
    kept_values = [_read(function, problem, *which, first, length) for which in kept]
    for s, which in enumerate(streamed):
        values = _read(function, problem, *which, first, length)
        for i, kept_value in enumerate(kept_values):
            at = (i * columns + s if rows < columns else s * columns + i) * problem.parts + part
            for x, y in zip(values, kept_value, strict=True):
                total = problem.arithmetic.multiply_add(function, width, x, y, sums[at])
                sums[at] = _where(function, problem, exists, total, sums[at])


def _where(function: Function, problem: _Problem, exists: int, new: str, old: str) -> str:
    """Lanes past the end of k take no part (adding a zero would lose the sign of -0)."""
    if exists == problem.width:
        return new
    kind = vector(problem.arithmetic.kind, problem.width)
    lanes = vectors.mask(problem.width, exists)
    return function.let(f"select <{problem.width} x i1> {lanes}, {kind} {new}, {kind} {old}")


def _read(
    function: Function,
    problem: _Problem,
    matrix: _Matrix,
    base: str,
    row: int,
    first: int,
    length: int,
) -> list[str]:
    """A vector of one operand; of pairs, the odd elements' and then the even ones'."""
    width = problem.width
    base = offset(function, base, matrix.dtype, row * matrix.step)
    if not problem.paired:
        return [_read_row(function, problem, matrix, base, first, length)]
    if matrix.dtype == "bfloat16" and matrix.k_step == 1 and length == 2 * width:
        return _read_words(function, problem, matrix, base, first)
    low = _read_row(function, problem, matrix, base, first, min(length, width))
    rest = max(0, length - width)
    high = (
        _read_row(function, problem, matrix, base, first + width, rest)
        if rest
        else "zeroinitializer"
    )
    kind = problem.arithmetic.kind
    return [
        vectors.shuffle(function, kind, width, low, high, range(odd, 2 * width, 2))
        for odd in (1, 0)
    ]


def _read_row(
    function: Function, problem: _Problem, matrix: _Matrix, base: str, first: int, length: int
) -> str:
    where = offset(function, base, matrix.dtype, first * matrix.k_step)
    width = problem.width
    value = vectors.load(function, matrix.dtype, where, matrix.k_step, width, min(length, width))
    return vectors.widen(function, value, matrix.dtype, problem.arithmetic.dtype, width)


def _read_words(
    function: Function, problem: _Problem, matrix: _Matrix, base: str, first: int
) -> list[str]:
    """Pairs of bfloat16 read as words: the odd element is the high half, the even one the low."""
    width = problem.width
    words, floats = vector("i32", width), vector("float", width)
    where = offset(function, base, matrix.dtype, first)
    pairs = function.let(f"load {words}, ptr {where}, align 2")
    high = vectors.splat_constant("i32", -65536, width)
    odd = function.let(f"and {words} {pairs}, {high}")
    even = function.let(f"shl {words} {pairs}, {vectors.splat_constant('i32', 16, width)}")
    return [function.let(f"bitcast {words} {value} to {floats}") for value in (odd, even)]
