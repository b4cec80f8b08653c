"""Functions of what is known to lie in a range: shorter formulas, with the same bits there.

In: an `Expression`. Out: the same, with formulas of `scalar_math` by their own names. For emission
alone: elsewhere a function is one, whatever it is given.

log1p(exp(-|x|)), the heart of softplus and of every logaddexp, is a logarithm of 1 to 2: nothing is
too large, and nothing below the pole, which is a third of the instructions of log1p.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from tilewright.codelets.expression import Expression, Instruction


@cache
def narrowed(expression: Expression) -> Expression:
    """With the formulas that suffice."""
    steps = tuple(_narrowed(expression, step) for step in expression.instructions)
    return replace(expression, instructions=steps)


def _narrowed(expression: Expression, step: Instruction) -> Instruction:
    if step.op == "log1p" and step.dtype != "float64" and _is_unit(expression, step.arguments[0]):
        return replace(step, op="log1p_unit")
    return step


def _is_unit(expression: Expression, value: int) -> bool:
    """Whether a value lies within [0, 1], or is NaN: exp(-|x|)."""
    for op in ("exp", "neg", "abs"):
        step = _maker(expression, value)
        if step is None or step.op != op:
            return False
        value = step.arguments[0]
    return True


def _maker(expression: Expression, value: int) -> Instruction | None:
    at = value - len(expression.inputs)
    return expression.instructions[at] if at >= 0 else None
