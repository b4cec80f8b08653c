"""Copies and fills are what their names say, and which copies turn a matrix round."""

import numpy as np
import pytest

from tilewright.graph.ir import numpy_dtype
from tilewright.plan import views
from tilewright.plan.basic import WORTH_TRANSPOSING, copy_codelet, fill_codelet, is_transposition
from tilewright.plan.ir import Buffer, View


def matrix(rows: int, columns: int, *, turned: bool = False, dtype: str = "float32") -> View:
    """By rows, or turned: by columns."""
    if turned:
        return views.transpose(matrix(columns, rows, dtype=dtype), (1, 0))
    return views.whole(Buffer(dtype, rows * columns, "shared"), (rows, columns))


@pytest.mark.parametrize("count", [1, 3])
def test_several_copies_are_one_vertex(count):
    sources = [matrix(3, 4) for _ in range(count)]
    codelet = copy_codelet(sources, [matrix(3, 4, turned=True) for _ in range(count)])
    assert codelet.shape == (3, 4)
    assert [operand.strides for operand in codelet.inputs] == [(4, 1)] * count
    assert [operand.strides for operand in codelet.outputs] == [(1, 3)] * count
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4) + i for i in range(count)]
    for ours, given in zip(codelet.meaning(*arrays), arrays, strict=True):
        np.testing.assert_array_equal(ours, given)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "bool"])
def test_a_fill_reads_nothing(dtype):
    target = matrix(2, 3, dtype=dtype)
    codelet = fill_codelet(np.ones((), numpy_dtype(dtype)), target)
    assert codelet.inputs == ()
    (result,) = codelet.meaning()
    np.testing.assert_array_equal(result, np.ones((2, 3)))
    assert result.dtype.name == dtype


def test_a_transposition_has_columns_to_be_read_and_rows_to_be_written():
    n = WORTH_TRANSPOSING
    by_rows, by_columns = matrix(n, n), matrix(n, n, turned=True)
    assert is_transposition(by_columns, by_rows)
    assert not is_transposition(by_rows, by_rows)
    assert not is_transposition(by_rows, by_columns)
    assert not is_transposition(by_columns, by_columns)
    assert not is_transposition(matrix(n, n - 1, turned=True), matrix(n, n - 1))
    cube = views.whole(Buffer("float32", n**3, "shared"), (n, n, n))
    assert not is_transposition(cube, cube)
