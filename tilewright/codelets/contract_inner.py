"""LLVM text of the inner form: k is contiguous in both operands, and lanes run along it.

In: a `ContractInner`. Out: its function. A tile of C is one accumulator of 16 virtual lanes for
each output; at the end of a chunk of k the lanes of all of them are folded together (`lanes.py`).
Always: each output is the sum, one after the other, of chunks of 1024 products; element e of a
chunk goes to lane e % 16, and lanes are combined by halving.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tilewright.codelets import tiling, vectors
from tilewright.codelets.arithmetic import Arithmetic
from tilewright.codelets.contract_operand import Matrix, Reader
from tilewright.codelets.lanes import Totals, fold
from tilewright.codelets.llvm import Function, Module, vector
from tilewright.codelets.loops import repeat, walk
from tilewright.codelets.tiling import Run
from tilewright.codelets.vectors import offset
from tilewright.graph.order import INNER_CHUNK, LANES

if TYPE_CHECKING:
    from tilewright.codelets.contract import ContractInner

WORTH_PACKING = 4
"""Rows and columns from which on operands that need conversion are packed first."""


@dataclass(frozen=True)
class _Problem:
    """rows x columns outputs; out's columns are `column_step` apart."""

    rows: int
    columns: int
    k: int
    left: Matrix
    right: Matrix
    out_dtype: str
    row_step: int
    column_step: int
    arithmetic: Arithmetic
    reader: Reader
    accumulate: bool

    @property
    def width(self) -> int:
        """Lanes of a machine vector."""
        return self.reader.width

    @property
    def parts(self) -> int:
        """Machine vectors in one accumulator."""
        return self.reader.parts


def scratch(codelet: ContractInner) -> int:
    """Bytes for packed copies of both operands, where reading them as they are would cost more."""
    left, right = _matrices(codelet)
    reader = Reader(codelet.sum_dtype, LANES)
    easy = all(matrix.dtype == reader.working and matrix.k_step == 1 for matrix in (left, right))
    if easy or min(codelet.m, codelet.n) < WORTH_PACKING:
        return 0
    k = codelet.k
    return reader.packed_bytes(codelet.m, k) + reader.packed_bytes(codelet.n, k)


def emit(codelet: ContractInner, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    lent = scratch(codelet)
    function = module.function(symbol, "void", ["ptr"] * (4 if lent else 3))
    if codelet.out.size:
        operands = (codelet.lhs, codelet.rhs, codelet.out)
        dtypes = [operand.dtype for operand in operands]
        strides = [operand.strides[:-2] for operand in operands]
        pointers = [function.argument(i) for i in range(3)]
        problem = _problem(codelet, module.features.vector_bits)
        with walk(function, codelet.batch, pointers, dtypes, strides) as (lhs, rhs, out):
            left, right = (rhs, lhs) if _exchanged(codelet) else (lhs, rhs)
            if lent:
                packed, left, right = _pack(function, problem, left, right, function.argument(3))
                _tiles(function, packed, left, right, out)
            else:
                _tiles(function, problem, left, right, out)
    function.close()


def _pack(
    function: Function, problem: _Problem, left: str, right: str, lent: str
) -> tuple[_Problem, str, str]:
    """Copies that are read like plain operands, without an end inside a step."""
    reader, k = problem.reader, problem.k
    beside = function.address(lent, "i8", reader.packed_bytes(problem.rows, k))
    first = reader.pack(function, problem.left, left, problem.rows, k, lent)
    second = reader.pack(function, problem.right, right, problem.columns, k, beside)
    length = reader.packed_length(k)
    return replace(problem, left=first, right=second, k=length), lent, beside


def _exchanged(codelet: ContractInner) -> bool:
    """Whether rows of C are the contiguous ones: then the operands change places."""
    m_step, n_step = codelet.out.strides[-2:]
    return n_step != 1 and m_step == 1


def _matrices(codelet: ContractInner) -> tuple[Matrix, Matrix]:
    lhs, rhs = codelet.lhs, codelet.rhs
    if _exchanged(codelet):
        lhs, rhs = rhs, lhs
    left = Matrix(lhs.dtype, lhs.strides[-2], lhs.strides[-1], left=True)
    return left, Matrix(rhs.dtype, rhs.strides[-2], rhs.strides[-1])


def _problem(codelet: ContractInner, vector_bits: int) -> _Problem:
    left, right = _matrices(codelet)
    rows, columns = codelet.m, codelet.n
    row_step, column_step = codelet.out.strides[-2:]
    if _exchanged(codelet):
        rows, columns = columns, rows
        row_step, column_step = column_step, row_step
    arithmetic = Arithmetic(codelet.sum_dtype)
    reader = Reader(codelet.sum_dtype, arithmetic.lanes(vector_bits))
    return _Problem(
        rows, columns, codelet.k, left, right, codelet.out.dtype, row_step, column_step,
        arithmetic, reader, codelet.accumulate,
    )  # fmt: skip


def _load_cost(problem: _Problem, matrix: Matrix) -> float:
    """Cycles to have one vector; rows that start anywhere make loads cross cache lines."""
    aligned = matrix.step * vectors.itemsize(matrix.dtype) % 64 == 0
    convert = matrix.dtype != problem.arithmetic.dtype
    return (0.5 if aligned else 1.0) + (1.0 if convert else 0.0)


def _tiles(function: Function, problem: _Problem, left: str, right: str, out: str) -> None:
    """The side with more accumulators a tile is kept near, the other streams by."""
    plan = tiling.choose(
        problem.rows,
        problem.columns,
        -(-problem.k // LANES),
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
    if problem.k <= INNER_CHUNK:
        return _chunk(function, problem, rows, columns, left, right, problem.k)[0]
    kind = vector(problem.arithmetic.kind, problem.width)
    full, rest = divmod(problem.k, INNER_CHUNK)
    totals, left, right = _chunk(function, problem, rows, columns, left, right, INNER_CHUNK)
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
            more, left, right = _chunk(function, problem, rows, columns, left, right, INNER_CHUNK)
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
    turns, rest = divmod(length, LANES)
    if turns:
        carry = [*((kind, total) for total in sums), ("ptr", left), ("ptr", right)]
        with repeat(function, turns, carry) as turn:
            *sums, left, right = turn.carry
            sums = _step(function, problem, rows, columns, left, right, LANES, sums)
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
        offset(function, left, problem.left.dtype, LANES * problem.left.k_step),
        offset(function, right, problem.right.dtype, LANES * problem.right.k_step),
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
    """One step of k, of which the first `length` elements exist."""
    sums = list(sums)
    for part in range(problem.parts):
        if part * problem.width < length:
            _part(function, problem, rows, columns, left, right, length, part, sums)
    return sums


def _part(
    function: Function,
    problem: _Problem,
    rows: int,
    columns: int,
    left: str,
    right: str,
    length: int,
    part: int,
    sums: list[str],
) -> None:
    """One machine vector of lanes: the shorter side is read first and kept."""

    def read(matrix: Matrix, base: str, row: int) -> str:
        base = offset(function, base, matrix.dtype, row * matrix.step)
        return problem.reader.read(function, matrix, base, part, length)

    by_rows = rows < columns
    for_left = [(problem.left, left, row) for row in range(rows)]
    for_right = [(problem.right, right, column) for column in range(columns)]
    kept, streamed = (for_left, for_right) if by_rows else (for_right, for_left)
    kept_values = [read(*which) for which in kept]
    for s, which in enumerate(streamed):
        x = read(*which)
        for i, y in enumerate(kept_values):
            at = (i * columns + s if by_rows else s * columns + i) * problem.parts + part
            sums[at] = problem.arithmetic.multiply_add(function, problem.width, x, y, sums[at])
