"""Products side by side against one after the other: the same bits."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.codelets.run import levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.contract.side_by_side import Rows, SideBySide, may_stand_beside
from tilewright.codelets.expression import Expression, Instruction

F = "float32"


def product(k: int, n: int, pitch: int = 0) -> ContractOuter:
    lhs, rhs = Operand(F, (1, k), (1, 1)), Operand(F, (k, n), (pitch or n, 1))
    return ContractOuter(lhs, rhs, Operand(F, (1, n), (n, 1)))


def derivative(k: int, n: int) -> Rows:
    """(1 - h h) g w of h (k, n), g (k,) and w (n,)."""
    steps = (("mul", 0, 0), ("mul", 1, 2), ("mul", 3, 4), ("sub", 4, 5))
    made = tuple(Instruction(op, tuple(of), F) for op, *of in steps)
    return Rows(Expression((F, F, F), made, (6,)), (k, n), ((n, 1), (1, 0), (0, 1)), ((n, 1),))


def arrays(codelet: SideBySide) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        np.broadcast_to(
            random.normal(size=[n if s else 1 for n, s in zip(o.shape, o.strides, strict=True)]),
            o.shape,
        ).astype(F)
        for o in codelet.inputs
    ]


@levels
@pytest.mark.parametrize(("k", "n"), [(256, 40), (232, 1), (17, 7), (100, 16), (64, 33)])
def test_each_sum_is_as_alone(k, n, features):
    beside = SideBySide((product(k, 1), product(k, n), product(k, 3, pitch=5)))
    if n > 1:
        beside = SideBySide(beside.products, derivative(k, n))
    given = arrays(beside)
    for ours, meant in zip(
        run(beside, *given, features=features), beside.meaning(*given), strict=True
    ):
        same_bits(ours, meant)


def test_which_may():
    assert may_stand_beside(product(256, 40))
    assert not may_stand_beside(product(257, 40)), "two leaves"
    assert not may_stand_beside(product(256, 65)), "too many sums for the registers"
    rows = product(256, 40).rhs
    two = ContractOuter(Operand(F, (2, 256), (256, 1)), rows, Operand(F, (2, 40), (40, 1)))
    assert not may_stand_beside(two)
    assert derivative(256, 40).is_near
    assert not derivative(256, 65).is_near
    assert not replace(derivative(8, 9), writes=((1, 8),)).is_near
