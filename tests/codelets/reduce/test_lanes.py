"""Several sums over the same elements, carried from run to run."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, assert_same_bits, check
from tests.codelets.run import levels, run
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.reduce import Reduce, SumLanes


def step(op: str, *arguments: int, dtype: str = "float32") -> Instruction:
    return Instruction(op, arguments, dtype)


def expression(dtype: str, long: bool) -> Expression:
    """Of x, y, c: x y and x y + c are summed, x y - y is stored; `long` adds much to the first."""
    steps = [step("mul", 0, 1, dtype=dtype), step("add", 3, 2, dtype=dtype)]
    steps += [step("sub", 3, 1, dtype=dtype)]
    for _ in range(12 if long else 0):
        steps.append(step("mul", len(steps) + 2, 0, dtype=dtype))
    first = len(steps) + 2 if long else 3
    return Expression((dtype,) * 3, tuple(steps), (first, 4, 5))


def of(dtype: str, length: int, long: bool = False, strided: int = 1) -> SumLanes:
    return SumLanes(expression(dtype, long), 2, length, (strided, 1, 0), (1,))


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("long", [False, True])
def test_bits(dtype, long, features):
    for length, strided in [(16, 1), (48, 2), (64, 1), (80, 1), (256, 3)]:
        for begins in (True, False):
            for ends in (True, False):
                whole = of(dtype, length, long, strided)
                check(replace(whole, begins=begins, ends=ends), features)


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_runs_are_the_sums_one_by_one(dtype, features):
    whole = of(dtype, 192)
    given = arguments(whole)
    stored, *totals = run(whole, *given, features=features)
    for number, total in enumerate(totals):
        one = replace(whole.expression, outputs=whole.expression.outputs[number : number + 1])
        alone = Reduce("sum", one, (192,), (0,), ((1,), (1,), (0,)), ())
        assert_same_bits(run(alone, *given, features=features)[0], total, alone.name)
    pieces, lanes = [], []
    for start in (0, 64, 128):
        some = [array[start : start + 64] for array in given]
        part = replace(of(dtype, 64), begins=start == 0, ends=start == 128)
        piece, *lanes = run(part, *some, *lanes, features=features)
        pieces.append(piece)
    for one, other in zip(lanes, totals, strict=True):
        assert_same_bits(one, other, dtype)
    assert_same_bits(np.concatenate(pieces), stored, dtype)


@levels
def test_more_sums_than_lanes(features):
    squares = Expression(("float32",), (step("mul", 0, 0),), (0, 1) * 9)
    check(SumLanes(squares, 18, 32, (1,)), features)
