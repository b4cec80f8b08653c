"""Long expressions in stages: one function of a block of neighbours before the next function.

In: an `Expression`. Out: its `Stage`s, one for each transcendental function, in order. Always: each
instruction is computed as before, so that no bit changes; results are given by the last stage, when
nothing of the block is read any more.

A softplus and its derivative are three functions, each of which waits for the one before it. All of
them together are some 250 instructions of a few neighbours, more than a processor looks ahead; one
at a time, it works on several neighbours. What one stage leaves for the next stays in the nearest
memory (500 softpluses with their derivatives, Zen 4: 13 % less time at both levels).

Where registers are few, tanh alone is two stages, the first of which finds the power of two: a
tenth less time with AVX2; with AVX-512 it would be 5 % more. (exp gains nothing by that, and a
logarithm of 1 to 2 little.)
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.codelets.emit.operations import OPERATIONS
from tilewright.codelets.emit.ranges import narrowed
from tilewright.codelets.expression import Expression, Instruction
from tilewright.frozen import frozen

BLOCK = 512
"""Neighbours that a stage computes before the next one does: 2 KiB of each value between them."""
_CARRIED = ("float32", "int32", "uint32")
"""Dtypes that lie in memory as in registers."""
_PIECES = (("tanh_halves", (0,)), ("tanh_rest", (0, 1)), ("tanh_end", (0, 1, 2)))
"""Of tanh: each with what it is given, of the operand and the pieces before it."""
_BEGUN = "tanh_halves"
"""A piece that ends no stage: the next one comes with it."""
_CHEAP = frozenset(("select", "convert", "bitcast", "constant", "reduce_precision", *OPERATIONS))


@frozen
class Stage:
    """`expression` reads the arrays `reads` by number, then values `takes` of earlier stages; it
    gives the values `leaves`, for later ones. The last stage gives the outputs instead."""

    expression: Expression
    reads: tuple[int, ...]
    takes: tuple[int, ...]
    leaves: tuple[int, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """Dtypes of what it takes."""
        return self.expression.inputs[len(self.reads) :]

    @property
    def left(self) -> tuple[str, ...]:
        """Dtypes of what it leaves."""
        outputs = self.expression.outputs[: len(self.leaves)]
        return tuple(map(self.expression.dtype, outputs))


def stages_of(expression: Expression, *, few: bool = False) -> tuple[Stage, ...]:
    """None where there are no two functions, or where stages would have to pass on other dtypes.

    `few`: whether registers are.
    """
    expression = narrowed(expression)
    expression = _in_pieces(expression) if few else expression
    count = len(expression.inputs)
    steps = {count + i: step for i, step in enumerate(expression.instructions)}
    functions = [n for n, step in steps.items() if is_function(step.op) and step.op != _BEGUN]
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


def _in_pieces(expression: Expression) -> Expression:
    """With each tanh in its pieces."""
    numbers, steps = list(range(len(expression.inputs))), []
    for step in expression.instructions:
        arguments = tuple(numbers[v] for v in step.arguments)
        new = [replace(step, arguments=arguments)]
        if step.op == "tanh" and step.dtype == "float32" and not step.params:
            first = len(expression.inputs) + len(steps)
            known = (*arguments, first, first + 1)
            new = [Instruction(op, tuple(known[i] for i in of), step.dtype) for op, of in _PIECES]
        steps += new
        numbers.append(len(expression.inputs) + len(steps) - 1)
    outputs = tuple(numbers[v] for v in expression.outputs)
    return Expression(expression.inputs, tuple(steps), outputs)


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
