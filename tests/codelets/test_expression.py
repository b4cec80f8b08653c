"""Expressions are hashable and mean what their instructions mean."""

import ml_dtypes
import numpy as np
import pytest

from tilewright.codelets.expression import (
    Expression,
    Instruction,
    constant_instruction,
    constant_value,
    evaluate_expression,
)


def test_values_are_numbered_inputs_first():
    half = constant_instruction(np.array(0.5, np.float32))
    add = Instruction("add", (0, 1), "float32")
    less = Instruction("lt", (2, 0), "bool")
    expression = Expression(("float32",), (half, add, less), (2, 3))
    assert [expression.dtype(i) for i in range(4)] == ["float32", "float32", "float32", "bool"]
    x = np.array([[1, -1, np.nan]], np.float32)
    total, flags = evaluate_expression(expression, [x], (2, 3))
    np.testing.assert_array_equal(total, np.broadcast_to(x + 0.5, (2, 3)))
    assert not flags.any()


def test_iota_and_parameters():
    index = Instruction("iota", (), "int32", (("dimension", 0),))
    wide = Instruction("convert", (0,), "float32", (("dtype", "float32"),))
    expression = Expression((), (index, wide), (1,))
    (result,) = evaluate_expression(expression, [], (3, 2))
    np.testing.assert_array_equal(result, [[0, 0], [1, 1], [2, 2]])
    assert result.dtype == np.float32


@pytest.mark.parametrize(
    "value",
    [
        np.array(np.nan, np.float32),
        np.array(-0.0, np.float64),
        np.array(True),
        np.array(-7, np.int8),
        np.array(3.25, ml_dtypes.bfloat16),
    ],
)
def test_constants_compare_by_bits(value):
    first, second = constant_instruction(value), constant_instruction(value.copy())
    assert first == second
    assert hash(first) == hash(second)
    assert constant_value(first).tobytes() == value.tobytes()
    assert constant_value(first).dtype == value.dtype


def test_signed_zeros_differ():
    zeros = [constant_instruction(np.array(x, np.float32)) for x in (0.0, -0.0)]
    assert zeros[0] != zeros[1]
