"""Factorisations, of one matrix and of batches: native code gives the bits of the meaning."""

import numpy as np
import pytest

from tests.codelets.layouts import dense, same_bits
from tests.codelets.run import levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.linalg import LU, Cholesky, TriangularSolve

SIZES = [1, 3, 8, 17, 33, 70]
SMALL = [1, 3, 4, 9]
LANES = [3, 16, 21]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(*shape, dtype="float32"):
    return np.random.default_rng([*shape]).normal(size=shape).astype(dtype)


def positive(*shape, dtype="float32"):
    """Symmetric positive definite matrices (*batch, n, n)."""
    a = numbers(*shape, dtype=dtype)
    return (a @ a.swapaxes(-1, -2) + np.eye(shape[-1])).astype(dtype)


def side_by_side(batch):
    """(matrices, rows, columns) as (rows, columns, matrices)."""
    return np.ascontiguousarray(np.moveaxis(batch, 0, -1))


def check(codelet, *arrays, features=None):
    expected = codelet.meaning(*arrays)
    for one, other in zip(run(codelet, *arrays, features=features), expected, strict=True):
        same_bits(one, other)
    return expected


def columns_first(array, gap=0):
    """A layout in which columns are contiguous."""
    return Operand(array.dtype.name, array.shape, (1, array.shape[0] + gap))


def lu_of(array, layout):
    rows, columns, *lanes = array.shape
    pivots = dense(np.zeros((min(rows, columns), *lanes), np.int32))
    return LU(layout, pivots, dense(np.zeros((rows, *lanes), np.int32)))


# One matrix.


@levels
@dtypes
@pytest.mark.parametrize("n", SIZES)
def test_cholesky_of_one(n, dtype, features):
    a = positive(n, n, dtype=dtype)
    layout = Operand(dtype, a.shape, (n + 5, 1))
    (upper,) = check(Cholesky(layout), a, features=features)
    np.testing.assert_allclose(upper.T @ upper, a, 0, 1e-4 * n)
    a[n // 2, n // 2] = -1
    (failed,) = check(Cholesky(layout), a, features=features)
    assert np.isnan(failed[np.triu_indices(n)]).all()
    assert not failed[np.tril_indices(n, -1)].any()


@levels
@dtypes
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("columns", [1, 2, 41])
def test_triangular_solve_of_one(n, columns, dtype, features):
    """Any strides of the matrix; rows of the right sides backwards, as an upper triangle has it."""
    a, b = positive(n, n, dtype=dtype), numbers(n, columns, dtype=dtype)
    unit = n % 2 == 1
    matrix = dense(a) if n < 17 else columns_first(a)
    target = Operand(dtype, b.shape, (-columns - 3, 1))
    check(TriangularSolve(matrix, target, unit), a, b, features=features)


@levels
@dtypes
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (16, 16), (17, 5), (5, 17), (70, 40), (40, 70)])
def test_lu_of_one(shape, dtype, features):
    a = numbers(*shape, dtype=dtype)
    check(lu_of(a, columns_first(a)), a, features=features)
    a = np.round(a)
    a[:, 0], a[shape[0] // 2] = 0, np.nan
    _, pivots, order = check(lu_of(a, columns_first(a)), a, features=features)
    assert sorted(order) == list(range(shape[0]))
    assert (pivots < shape[0]).all()


# Batches.


@levels
@dtypes
@pytest.mark.parametrize("lanes", LANES)
def test_batches(lanes, dtype, features):
    """Each matrix as if it were alone, one that fails too."""
    for n in SMALL:
        a = positive(lanes, n, n, dtype=dtype)
        a[-1, n // 2, n // 2] = -1
        cells = side_by_side(a)
        (upper,) = check(Cholesky(dense(cells)), cells, features=features)
        for i in range(lanes):
            (alone,) = Cholesky(dense(a[i])).meaning(a[i])
            same_bits(np.ascontiguousarray(upper[..., i]), alone)
        for columns in (1, 5):
            right = side_by_side(numbers(lanes, n, columns, dtype=dtype))
            solve = TriangularSolve(dense(cells), dense(right), n == 3)
            check(solve, cells, right, features=features)


@levels
@dtypes
@pytest.mark.parametrize("lanes", LANES)
def test_batches_with_pivots(lanes, dtype, features):
    for shape in ((1, 1), (3, 3), (5, 9), (9, 5)):
        a = numbers(lanes, *shape, dtype=dtype)
        a[0], a[-1, 0] = np.round(a[0]), np.nan
        cells = side_by_side(a)
        parts = check(lu_of(cells, dense(cells)), cells, features=features)
        for i in range(lanes):
            alone = lu_of(a[i], columns_first(a[i])).meaning(a[i])
            for one, other in zip(parts, alone, strict=True):
                same_bits(np.ascontiguousarray(one[..., i]), other)


def test_what_is_empty_is_left_alone():
    for shape in ((0, 0), (3, 0)):
        a, b = np.zeros((shape[0], shape[0]), np.float32), np.zeros(shape, np.float32)
        check(TriangularSolve(dense(a), dense(b), False), a, b)
    check(Cholesky(dense(np.zeros((0, 0), np.float32))), np.zeros((0, 0), np.float32))
