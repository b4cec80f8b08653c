"""Long expressions in stages: one function of a block of neighbours before the next function.

In: an `Expression`. Out: its `Stage`s, one for each transcendental function, in order. Always: each
instruction is computed as before, so that no bit changes; results are given by the last stage, when
nothing of the block is read any more.

A softplus and its derivative are three functions, each of which waits for the one before it. All of
them together are some 250 instructions of a few neighbours, more than a processor looks ahead; one
at a time, it works on several neighbours. What one stage leaves for the next stays in the nearest
memory (500 softpluses with their derivatives, Zen 4: 13 % less time at both levels).
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.codelets.emit.operations import OPERATIONS
from tilewright.codelets.emit.ranges import narrowed
from tilewright.codelets.expression import Expression, Instruction

BLOCK = 512
"""Neighbours that a stage computes before the next one does: 2 KiB of each value between them."""
_CARRIED = ("float32", "int32", "uint32")
"""Dtypes that lie in memory as in registers."""
_CHEAP = frozenset(("select", "convert", "bitcast", "constant", "reduce_precision", *OPERATIONS))


@dataclass(frozen=True)
class Stage:
    """`expression` reads the arrays `reads` by number, then values `takes` of earlier stages; it
    gives the values `leaves`, for later ones. The last stage gives the outputs instead."""

    expression: Expression
    reads: tuple[int, ...]
    takes: tuple[int, ...]
    leaves: tuple[int, ...]


def stages_of(expression: Expression) -> tuple[Stage, ...]:
    """None where there are no two functions, or where stages would have to pass on other dtypes."""
    expression = narrowed(expression)
    count = len(expression.inputs)
    steps = {count + i: step for i, step in enumerate(expression.instructions)}
    functions = [number for number, step in steps.items() if is_function(step.op)]
    if len(functions) < 2 or any(output < count for output in expression.outputs):
        return ()
    ends = [[number] for number in functions[:-1]] + [[functions[-1], *expression.outputs]]
    made: list[set[int]] = []
    for numbers in ends:
        made.append(_needed(numbers, steps, made))
    given = [_given(stage, made, steps, expression.outputs) for stage in range(len(made))]
    if any(steps[v].dtype not in _CARRIED for values in given[:-1] for v in values):
        return ()
    return tuple(
        _stage(expression, steps, made[i], values, last=i == len(made) - 1)
        for i, values in enumerate(given)
    )


def is_function(op: str) -> bool:
    """Whether an operation is one of many instructions."""
    return op not in _CHEAP


def _is_repeated(step: Instruction) -> bool:
    """Whether a stage computes it again rather than take it from another."""
    return step.op == "constant" or step.dtype == "bool"


def _needed(numbers: list[int], steps: dict[int, Instruction], made: list[set[int]]) -> set[int]:
    """The instructions that a stage computes to give some."""
    done = {v for values in made for v in values if not _is_repeated(steps[v])}
    found: set[int] = set()
    waiting = list(numbers)
    while waiting:
        number = waiting.pop()
        if number in steps and number not in done and number not in found:
            found.add(number)
            waiting += steps[number].arguments
    return found


def _given(
    stage: int, made: list[set[int]], steps: dict[int, Instruction], outputs: tuple[int, ...]
) -> list[int]:
    """What later stages take of this one; the outputs, of the last."""
    if stage == len(made) - 1:
        return list(outputs)
    read = {v for later in made[stage + 1 :] for number in later for v in steps[number].arguments}
    wanted = read | set(outputs)
    return [v for v in sorted(made[stage] & wanted) if not _is_repeated(steps[v])]


def _stage(
    expression: Expression,
    steps: dict[int, Instruction],
    made: set[int],
    given: list[int],
    last: bool,
) -> Stage:
    read = {v for number in made for v in steps[number].arguments} - made
    read |= {v for v in given if v not in made}
    arrays = sorted(v for v in read if v not in steps)
    takes = sorted(v for v in read if v in steps)
    order = [*arrays, *takes, *sorted(made)]
    renamed = {v: i for i, v in enumerate(order)}
    instructions = tuple(
        Instruction(step.op, tuple(renamed[v] for v in step.arguments), step.dtype, step.params)
        for step in map(steps.__getitem__, sorted(made))
    )
    inputs = tuple(expression.dtype(v) for v in (*arrays, *takes))
    outputs = tuple(renamed[v] for v in given)
    leaves = () if last else tuple(given)
    return Stage(Expression(inputs, instructions, outputs), tuple(arrays), tuple(takes), leaves)
