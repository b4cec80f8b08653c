"""Dense factorisations: what they mean, and in which order their sums are taken.

    cholesky (a)                the lower factor; NaN in its triangle where a pivot is not positive
    triangular_solve (a, b) lower=, unit=       x of a x = b; unit: the diagonal is taken to be ones
    lu (a)                      factors, int32 pivots, int32 order of rows: three results

In: arrays (*batch, rows, columns) of float32 or float64. Out: their factors. Always: an element
begins as it is given; the products of elements of the factors are taken from it one after the
other, in the order of k, each by a fused multiply-add in float32 and by a rounded product and a
difference in float64; then it is multiplied by the reciprocal of its pivot, as LAPACK does (in
float32, a pivot beyond 2**126 has none: its reciprocal is flushed to zero). So an element's bits
hang on the matrix alone: not on a batch around it, nor on blocks in which it is computed. (Sums
have no leaves as those of `law.py`: an element's error grows with k, as LAPACK's does. Tracing cuts
matrices of more than 1,024 rows into blocks of their own.)
Denormals are flushed as everywhere; what is only moved keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from tilewright.graph.floats import flush
from tilewright.graph.fma import fma32
from tilewright.graph.ir import Node, Type
from tilewright.graph.ops.operation import Operation, Params, Types, same, typed
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower factor of a symmetric matrix, of which the lower triangle is read; zeros above it.

    Where a pivot is not positive, the whole triangle is NaN.
    """
    work, n = np.array(matrix), matrix.shape[-1]
    failed = np.zeros(matrix.shape[:-2], bool)
    for k in range(n):
        failed |= ~(flush(work[..., k, k]) > 0)
        root = work[..., k, k] = _scalar("sqrt", work[..., k, k])
        column = _scalar("mul", work[..., k + 1 :, k], _reciprocal(root)[..., None])
        work[..., k + 1 :, k] = column
        _subtract_outer(column, column, work[..., k + 1 :, k + 1 :])
    work[failed] = np.nan
    return np.tril(work)


def triangular_solve(
    matrix: np.ndarray, target: np.ndarray, *, lower: bool, unit: bool
) -> np.ndarray:
    """X (*batch, n, m) of `matrix` X = `target`; only one triangle of the matrix is read.

    With `unit`, its diagonal is not read either and taken to be ones. An upper triangle is solved
    from its last row on.
    """
    if not lower:
        matrix, target = matrix[..., ::-1, ::-1], target[..., ::-1, :]
    solution = np.array(target)
    for k in range(matrix.shape[-1]):
        if not unit:
            factor = _reciprocal(matrix[..., k, k])[..., None]
            solution[..., k, :] = _scalar("mul", solution[..., k, :], factor)
        _subtract_outer(matrix[..., k + 1 :, k], solution[..., k, :], solution[..., k + 1 :, :])
    return solution if lower else solution[..., ::-1, :]


def lu(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors in one array (*batch, m, n), pivots (*batch, k), order of rows (*batch, m), int32.

    Row i changes places with row pivots[i] >= i: the first of those whose element in column i is
    largest. NaN are never chosen if there is anything else. Below a zero pivot nothing is divided.
    """
    m, n = matrix.shape[-2:]
    batch, steps = matrix.shape[:-2], min(m, n)
    work = np.array(matrix).reshape(prod(batch), m, n)
    every = np.arange(len(work))
    pivots = np.zeros((len(work), steps), np.int32)
    order = np.tile(np.arange(m, dtype=np.int32), (len(work), 1))
    for k in range(steps):
        size = np.abs(flush(work[:, k:, k]))
        pivots[:, k] = chosen = k + np.argmax(np.where(np.isnan(size), -1, size), axis=1)
        for rows in (work, order):
            rows[every, k], rows[every, chosen] = rows[every, chosen], rows[every, k].copy()
        head = flush(work[:, k, k])
        factor = _reciprocal(np.where(head == 0, head.dtype.type(1), head))
        column = work[:, k + 1 :, k] = _scalar("mul", work[:, k + 1 :, k], factor[:, None])
        _subtract_outer(column, work[:, k, k + 1 :], work[:, k + 1 :, k + 1 :])
    shapes = ((m, n), (steps,), (m,))
    parts = zip((work, pivots, order), shapes, strict=True)
    return tuple(array.reshape(*batch, *shape) for array, shape in parts)  # type: ignore[return-value]


def multiply_adds(op: str, rows: int, columns: int) -> float:
    """How many one matrix takes; of a triangular system, `columns` are right sides."""
    if op == "cholesky":
        return rows**3 / 6
    if op == "triangular_solve":
        return rows**2 * columns / 2
    steps = min(rows, columns)
    return steps * (rows * columns - steps * (rows + columns) / 2 + steps**2 / 3)


def _scalar(op: str, *operands: np.ndarray) -> np.ndarray:
    return SCALAR[op](*operands, dtype=operands[0].dtype.name)


def _reciprocal(pivot: np.ndarray) -> np.ndarray:
    return _scalar("div", np.ones_like(pivot), pivot)


def _subtract_outer(column: np.ndarray, row: np.ndarray, rest: np.ndarray) -> None:
    """rest (*batch, i, j) -= column (*batch, i) x row (*batch, j), in place."""
    column, row = column[..., :, None], row[..., None, :]
    if rest.dtype == np.float32:
        rest[...] = fma32(-column, row, rest)
    else:
        rest[...] = _scalar("sub", rest, _scalar("mul", column, row))


def _lu_types(operands: Types, params: Params) -> list[Type]:
    *batch, rows, columns = operands[0].shape
    steps = min(rows, columns)
    return [operands[0], *(Type("int32", (*batch, n)) for n in (steps, rows))]


def _faults(node: Node) -> Iterator[str]:
    matrix, *others = node.inputs
    if len(others) != (node.op == "triangular_solve"):
        yield "has other operands"
    if matrix.dtype not in ("float32", "float64"):
        yield "factors float32 or float64"
    if len(matrix.shape) < 2:
        yield "factors matrices"
    if node.op != "lu" and len(set(matrix.shape[-2:])) != 1:
        yield "factors square matrices"
    for target in others:
        if target.dtype != matrix.dtype:
            yield "operands have different dtypes"
        if target.shape[:-1] != matrix.shape[:-1]:
            yield f"a right side for {matrix.type} has shape {target.shape}"


def _count(node: Node) -> Count:
    """Of matrices that are brought to where they are factored, and back."""
    *batch, rows, columns = node.outputs[0].shape
    dtype = node.outputs[0].dtype
    macs = prod(batch) * multiply_adds(node.op, rows, columns)
    moves = node.outputs[0].type.size + sum(value.type.size for value in node.inputs)
    operations = {("move", dtype): moves, ("div", dtype): prod(batch) * rows}
    return Count({dtype: macs}, operations, iterations=rows)


ROWS = {
    "cholesky": Operation(typed(same), cholesky, _count, faults=_faults),
    "triangular_solve": Operation(
        typed(lambda operands, params: operands[1].shape),
        triangular_solve,
        _count,
        faults=_faults,
    ),
    "lu": Operation(_lu_types, lu, _count, faults=_faults),
}
