"""The upper levels of a sum, alone: the bits of the law's tree, whatever lies where."""

import numpy as np
import pytest

from tests.codelets.cases import arguments, check, dense
from tests.codelets.run import levels
from tilewright.codelets.base import Operand
from tilewright.codelets.reduce import Tree


def tree(dtype: str, count: int, *shape: int) -> Tree:
    return Tree(dense(dtype, count, *shape), dense(dtype, *shape))


@levels
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 15, 16, 17, 40, 65, 100])
def test_any_number_of_parts(count, features):
    for shape in ((), (1,), (37,), (3, 18)):
        check(tree("float32", count, *shape), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_any_dtype(dtype, features):
    check(tree(dtype, 21, 35), features)


@levels
def test_any_strides(features):
    """Parts apart from each other, backwards, across; results with gaps."""
    for steps, out in [((64, 1), (2,)), ((-40, 1), (1,)), ((1, 13), (3,)), ((200, -3), (-1,))]:
        source, target = Operand("float32", (13, 33), steps), Operand("float32", (33,), out)
        check(Tree(source, target), features)


def test_the_order_is_not_any_order():
    """The bits differ from those of a sum from left to right: tests of bits can fail."""
    codelet = tree("float32", 40, 50)
    (given,) = arguments(codelet)
    assert (codelet.meaning(given)[0] != np.cumsum(given, axis=0)[-1]).any()
