"""Transposed copies: every dtype, sizes around the block, batches, gaps between lines."""

import pytest

from tests.codelets.cases import check, dense
from tests.codelets.run import levels
from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise.transpose import Transpose

SIZES = [1, 7, 15, 16, 17, 33, 48]


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int8", "bool"])
def test_bits(dtype, features):
    for rows, columns in zip(SIZES, SIZES[3:] + SIZES[:3], strict=True):
        target = Operand(dtype, (rows, columns), (1, rows))
        check(Transpose(dense(dtype, rows, columns), target), features)


@levels
def test_batches_and_gaps(features):
    source = Operand("float32", (2, 3, 18, 20), (4000, 0, 25, 1))
    target = Operand("float32", (2, 3, 18, 20), (2000, 500, 1, 19))
    check(Transpose(source, target), features)
    check(Transpose(dense("float32", 0, 4), Operand("float32", (0, 4), (1, 0))), features)
