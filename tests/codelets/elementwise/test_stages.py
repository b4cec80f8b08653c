"""Stages of a long expression: the same bits as all at once, whatever lies where."""

import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.codelets.run import LEVELS, run
from tilewright.codelets.elementwise import Elementwise, emit
from tilewright.codelets.elementwise.stages import stages_of
from tilewright.codelets.expression import Expression, Instruction, constant_instruction

F = "float32"


def step(op: str, *arguments: int, dtype: str = F) -> Instruction:
    return Instruction(op, arguments, dtype)


ONE = constant_instruction(np.ones((), F))
# softplus(x), its derivative, and what hangs on y and on which is larger.
SOFTPLUS = Expression(
    (F, F),
    (
        step("abs", 0), step("neg", 2), step("exp", 3), step("log1p", 4), step("add", 5, 1),
        step("gt", 0, 1, dtype="bool"), step("sub", 0, 5), step("exp", 8), ONE,
        step("select", 7, 9, 10), step("mul", 11, 4),
    ),
    (6, 12),
)  # fmt: skip


def codelet(size: int, steps: tuple[int, ...] = (1, 1, 1, 1)) -> Elementwise:
    reads, writes = steps[:2], steps[2:]
    return Elementwise(SOFTPLUS, (size,), tuple((s,) for s in reads), tuple((s,) for s in writes))


def test_each_function_is_a_stage():
    stages = stages_of(SOFTPLUS)
    ops = [[i.op for i in stage.expression.instructions] for stage in stages]
    assert [sum(op in ("exp", "log1p", "log1p_unit") for op in some) for some in ops] == [1, 1, 1]
    assert [stage.leaves for stage in stages] == [(4,), (5,), ()]
    assert "gt" in ops[2], "a bool does not lie in memory as in registers"


def test_tanh_is_two_stages_where_registers_are_few():
    tanh = Expression((F,), (step("tanh", 0), step("mul", 1, 0)), (2, 1))
    assert stages_of(tanh) == ()
    first, second = stages_of(tanh, few=True)
    assert first.leaves == second.takes == (1, 2)
    assert [i.op for i in second.expression.instructions] == ["tanh_end", "mul"]


@pytest.mark.parametrize("outputs", [(0,), (2, 0)])
def test_no_stages_where_an_input_is_given_on(outputs):
    steps = (step("exp", 0), step("log1p", 1))
    assert stages_of(Expression((F,), steps, (2,)))
    assert stages_of(Expression((F,), steps[:1], (1,))) == ()
    assert stages_of(Expression((F,), steps, outputs)) == ()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: str(level.vector_bits))
def test_stages_change_no_bit(level, monkeypatch):
    x, y = np.random.default_rng(0).normal(size=(2, 1700)).astype(F) * 9
    x[:6] = np.nan, np.inf, -np.inf, 0, -0.0, 1e-40
    sizes = [33, 64, 500, 512, 1024, 1700]
    staged = [run(codelet(n), x[:n], y[:n], features=level) for n in sizes]
    repeated = run(codelet(700, (1, 0, 1, 1)), x[:700], y[:700], features=level)
    tanh = Elementwise(Expression((F,), (step("tanh", 0),), (1,)), (1700,), ((1,),), ((1,),))
    alone = run(tanh, x, features=level)
    monkeypatch.setattr(emit, "stages_of", lambda expression, few: ())
    for n, ours in zip(sizes, staged, strict=True):
        for a, b in zip(ours, run(codelet(n), x[:n], y[:n], features=level), strict=True):
            same_bits(a, b)
    for a, b in zip(
        repeated, run(codelet(700, (1, 0, 1, 1)), x[:700], y[:700], features=level), strict=True
    ):
        same_bits(a, b)
    same_bits(alone[0], run(tanh, x, features=level)[0])
