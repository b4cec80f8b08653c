"""Expressions on arrays that lie across the lanes, in any order of dimensions."""

from itertools import permutations

import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.codelets.run import LEVELS, Compiled, run
from tilewright.codelets.collapse import Walk
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.elementwise.blocks import turned_arrays
from tilewright.codelets.expression import Expression, Instruction
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import dense_strides

SHAPES = [(64, 48), (70, 37), (9, 250), (257, 8), (12, 5, 40)]


def layout(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an array that has its dimensions in that order in memory, the last one inside."""
    inside = dense_strides(tuple(shape[i] for i in order))
    return tuple(inside[order.index(i)] for i in range(len(shape)))


def codelet(dtype: str, shape: tuple[int, ...], orders: list[tuple[int, ...]]) -> Elementwise:
    """max(a, b), which `orders` the two operands and the result lie in; and whether a < b."""
    steps = (Instruction("max", (0, 1), dtype), Instruction("lt", (0, 1), "bool"))
    strides = [layout(shape, order) for order in orders]
    return Elementwise(
        Expression((dtype, dtype), steps, (2, 3)),
        shape,
        tuple(strides[:2]),
        (strides[2], strides[1]),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "float64"])
def test_any_order(shape, dtype):
    generator = np.random.default_rng(len(shape) + shape[0])
    orders = list(permutations(range(len(shape))))
    a, b = (generator.integers(0, 2, shape).astype(numpy_dtype(dtype)) for _ in range(2))
    for _ in range(3):
        chosen = [orders[i] for i in generator.integers(0, len(orders), 3)]
        made = codelet(dtype, shape, chosen)
        for features in LEVELS:
            results = run(made, a, b, features=features)
            for ours, theirs in zip(results, made.meaning(a, b), strict=True):
                same_bits(ours, theirs)


def test_indices_in_blocks():
    """They follow rows and columns of a block, too."""
    shape, steps = (50, 70), []
    for i in range(2):
        steps += [Instruction("iota", (), "int32", (("dimension", i),))]
    steps += [Instruction("mul", (0, 1), "int32"), Instruction("add", (2, 3), "int32")]
    expression = Expression(("int32",), tuple(steps), (4,))
    made = Elementwise(expression, shape, (layout(shape, (1, 0)),), (layout(shape, (0, 1)),))
    x = np.arange(3500, dtype=np.int32).reshape(shape)
    (ours,) = run(made, x)
    same_bits(ours, made.meaning(x)[0])


def test_a_result_over_an_operand_that_is_turned():
    """A block is read whole before it is written."""
    shape = (70, 37)
    strides = (layout(shape, (1, 0)), layout(shape, (0, 1)))
    step = Instruction("add", (0, 1), "float32")
    expression = Expression(("float32", "float32"), (step,), (2,))
    made = Elementwise(expression, shape, strides, (strides[0],))
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    across, along = np.asfortranarray(x[0]), x[1].copy()
    Compiled(made)(across.T, along, across.T)
    same_bits(np.ascontiguousarray(across), x[0] + x[1])


def test_which_arrays_are_turned():
    square = Walk((64, 64), ((64, 1), (1, 64), (64, 1), (1, 0)))
    turned = turned_arrays(square, 3)
    assert turned is not None
    assert (turned.dimension, turned.arrays) == (0, (1,))
    assert turned_arrays(Walk((64, 64), ((64, 1), (64, 1))), 2) is None, "nothing lies across"
    assert turned_arrays(Walk((16, 16), ((16, 1), (1, 16))), 2) is None, "a few lines of an L1"
    assert turned_arrays(Walk((4, 640), ((640, 1), (1, 4))), 2) is None, "too narrow"
