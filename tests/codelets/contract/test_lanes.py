"""Lanes of a matrix times a vector, carried from run to run."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, assert_same_bits, check, dense
from tests.codelets.run import levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractLanes, ContractVector
from tilewright.graph.law import reduce_ordered


def of(dtype: str, m: int, k: int, sums: str, pitch: int = 0, ahead: int = 0) -> ContractLanes:
    """The first run of a matrix whose rows are `pitch` longer than that."""
    matrix = Operand(dtype, (m, k), (k + pitch, 1))
    return ContractLanes(matrix, dense(dtype, k), dense(sums, m, 16), ahead=ahead)


@levels
@pytest.mark.parametrize(
    ("dtype", "sums"), [("float32", "float32"), ("float64", "float64"), ("bfloat16", "float32")]
)
def test_bits(dtype, sums, features):
    for m, k in [(1, 16), (5, 64), (17, 32), (28, 64), (33, 256), (3, 40)]:
        first = of(dtype, m, k, sums, pitch=m % 3, ahead=64 * (m % 2))
        check(first, features)
        check(replace(first, before=Operand(sums, (m, 16), (19, 1)), room=True), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_runs_and_a_fold_are_one_product(dtype, features):
    whole = ContractVector(dense(dtype, 21, 192), dense(dtype, 192), dense(dtype, 21))
    matrix, vector = arguments(whole)
    vector = vector * np.float64(-0.0) if dtype == "float64" else vector
    vector = vector.astype(matrix.dtype)
    (expected,) = run(whole, matrix, vector, features=features)
    first = of(dtype, 21, 64, dtype)
    more = replace(first, before=first.sums)
    (lanes,) = run(first, matrix[:, :64], vector[:64], features=features)
    for start in (64, 128):
        some = slice(start, start + 64)
        (lanes,) = run(more, matrix[:, some], vector[some], lanes, features=features)
    assert_same_bits(expected, reduce_ordered("sum", lanes, (1,)), dtype)
