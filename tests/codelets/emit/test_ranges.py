"""Which functions are known to be given a range."""

import pytest

from tilewright.codelets.emit.ranges import narrowed
from tilewright.codelets.expression import Expression, Instruction


def of(*ops: str, dtype: str = "float32") -> list[str]:
    """What a chain of operations becomes."""
    steps = tuple(Instruction(op, (i,), dtype) for i, op in enumerate(ops))
    return [i.op for i in narrowed(Expression((dtype,), steps, (len(ops),))).instructions]


def test_the_logarithm_of_one_and_an_exponential_of_nothing_positive():
    assert of("abs", "neg", "exp", "log1p")[-1] == "log1p_unit"


@pytest.mark.parametrize(
    "ops", ["neg exp log1p", "neg abs exp log1p", "abs neg log1p", "log1p", "abs neg exp log"]
)
def test_no_other(ops):
    assert of(*ops.split()) == ops.split()


def test_float64_has_one_formula():
    assert of("abs", "neg", "exp", "log1p", dtype="float64")[-1] == "log1p"
