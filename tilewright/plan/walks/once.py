"""What several vertices of a walk make by a function of the same elements, the first one leaves.

In: steps, after vertices were joined into walks. Out: the same, where a vertex of a walk stores
what others behind it would compute again, in a place of the tile's own, and these read it. Always:
the same bits; nothing writes in between what the function is of.

A swish is part of a layer's images and of their gradient, which a walk makes one after the other
while an image is near: a step of EfficientNet-B0 in bfloat16 takes 0.92 of the time so (Zen 4; in
float32, where the same walks read twice the bytes, as long as without).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.convolution import Convolution
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.reduce import Reduce
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.machine import Machine
from tilewright.plan.basic import operand
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Map, Spread, Step, View, While
from tilewright.plan.schedule import CHEAP
from tilewright.plan.trips import simple_steps
from tilewright.plan.views import whole

FEWEST, SHARE = 4096, 1 / 4
"""Elements from which on a function is worth it; and of the last cache, for what is left of one."""
NO_FUNCTIONS = CHEAP | {"constant"}


def computed_once(steps: Sequence[Step], machine: Machine) -> list[Step]:
    """For all walks of a program."""
    return [_inside(step, machine) for step in steps]


def _inside(step: Step, machine: Machine) -> Step:
    if isinstance(step, Branch):
        cases = (tuple(computed_once(case, machine)) for case in step.cases)
        return replace(step, cases=tuple(cases))
    if not isinstance(step, Loop | Map | Spread | While):
        return step
    calls = simple_steps(step) if isinstance(step, Spread) else []
    if not calls:
        return replace(step, steps=tuple(computed_once(step.steps, machine)))
    *caches, _ = machine.tile.memories
    near = caches[-1].size if caches else 0
    return replace(step, steps=tuple(_shared([c for c in calls if isinstance(c, Call)], near)))


def _shared(calls: list[Call], near: int) -> list[Call]:
    """Vertices of a walk, in order, until no two of them compute the same."""
    while (found := _once(calls, near)) is not None:
        calls = found
    return calls


def _once(calls: Sequence[Call], near: int) -> list[Call] | None:
    """With one function less; None where there is none of what is near when it is read."""
    known: dict[tuple, int] = {}
    values = [_numbers(call, known) for call in calls]
    for first, call in enumerate(calls):
        for value in _functions(call, values[first], near):
            holders = [i for i in range(first, len(calls)) if value in values[i]]
            if len(holders) < 2:
                continue
            value = _as_far(value, [calls[i] for i in holders], [values[i] for i in holders])
            if not _is_changed(calls[first : holders[-1]], _read_by(call, values[first], value)):
                return _with(calls, values, value, holders)
    return None


def _expression(codelet: Codelet) -> Expression | None:
    if isinstance(codelet, Convolution):
        return codelet.epilogue
    return codelet.expression if isinstance(codelet, Elementwise | Reduce) else None


def _shape(codelet: Codelet) -> tuple[int, ...]:
    """Of the domain of its expression."""
    assert isinstance(codelet, Convolution | Elementwise | Reduce)
    return codelet.out.shape if isinstance(codelet, Convolution) else codelet.shape


def _leaves(call: Call) -> Sequence[View | None]:
    """What its expression reads; None is a convolution's sum."""
    read = call.views[: len(call.codelet.inputs)]
    return (None, *read[2:]) if isinstance(call.codelet, Convolution) else read


def _numbers(call: Call, known: dict[tuple, int]) -> list[int]:
    """Of each value of its expression, the same number wherever it is the same value."""
    expression = _expression(call.codelet)
    if expression is None or any(step.op == "iota" for step in expression.instructions):
        return []
    domain, found = tuple(n for n in _shape(call.codelet) if n > 1), []
    keys: list[tuple] = [
        ("sum", id(call)) if view is None else (*_place(view), domain) for view in _leaves(call)
    ]
    for key in keys:
        found.append(known.setdefault(key, len(known)))
    for step in expression.instructions:
        key = (step.op, step.dtype, step.params, domain, *(found[i] for i in step.arguments))
        found.append(known.setdefault(key, len(known)))
    return found


def _place(view: View) -> tuple:
    """Where it lies, whatever dimensions of one element it has."""
    moves = tuple(sorted(move for move in view.moves if move[1]))
    kept = tuple((n, s) for n, s in zip(view.shape, view.strides, strict=True) if n > 1)
    return view.buffer.id, view.offset, moves, kept


def _functions(call: Call, values: Sequence[int], near: int) -> Iterator[int]:
    expression = _expression(call.codelet)
    if not values or expression is None or prod(_shape(call.codelet)) < FEWEST:
        return
    room = SHARE * near / prod(_shape(call.codelet))
    for number, step in enumerate(expression.instructions, len(expression.inputs)):
        if step.op not in NO_FUNCTIONS and numpy_dtype(step.dtype).itemsize <= room:
            yield values[number]


def _as_far(value: int, calls: Sequence[Call], values: Sequence[Sequence[int]]) -> int:
    """What all vertices make of a value, and nothing else of it behind the first."""
    while True:
        made = {user for call, some in zip(calls[1:], values[1:], strict=True)
                for user in _users(call, some, value)}  # fmt: skip
        if len(made) > 1 or not all(made.issubset(some) for some in values):
            return value
        value = made.pop()


def _users(call: Call, values: Sequence[int], value: int) -> set[int]:
    """What is made of a value; -1 if it is a result."""
    expression = _expression(call.codelet)
    assert expression is not None
    steps = enumerate(expression.instructions, len(expression.inputs))
    found = {values[i] for i, step in steps if value in (values[j] for j in step.arguments)}
    is_result = value in (values[i] for i in expression.outputs)
    return found | {-1} if is_result else found


def _read_by(call: Call, values: Sequence[int], value: int) -> set[Buffer]:
    """What a value is made of."""
    expression = _expression(call.codelet)
    assert expression is not None
    leaves, needed = _leaves(call), _needed(expression, [values.index(value)])
    return {view.buffer for i, view in enumerate(leaves) if i in needed and view is not None}


def _is_changed(calls: Iterable[Call], buffers: set[Buffer]) -> bool:
    return any(
        view.buffer in buffers for call in calls for view in call.views[len(call.codelet.inputs) :]
    )


def _needed(expression: Expression, wanted: Iterable[int], given: int = -1) -> set[int]:
    """Values by number that others are made of, but for what only a `given` one is."""
    count, found, waiting = len(expression.inputs), set(), list(wanted)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            if number >= count and number != given:
                waiting += expression.instructions[number - count].arguments
    return found


def _with(
    calls: Sequence[Call], values: Sequence[Sequence[int]], value: int, holders: Sequence[int]
) -> list[Call]:
    """The first holder leaves a value, the others read it."""
    made, (first, *later) = list(calls), holders
    expression = _expression(calls[first].codelet)
    assert expression is not None
    dtype = expression.dtype(values[first].index(value))
    buffer = Buffer(dtype, prod(_shape(calls[first].codelet)), "tile")
    made[first] = _leaving(calls[first], values[first].index(value), buffer)
    for i in later:
        made[i] = _reading(calls[i], values[i].index(value), buffer)
    return made


def _leaving(call: Call, number: int, buffer: Buffer) -> Call:
    codelet, expression = call.codelet, _expression(call.codelet)
    assert expression is not None
    expression = replace(expression, outputs=(*expression.outputs, number))
    view = whole(buffer, _shape(codelet))
    match codelet:
        case Elementwise():
            strides = (*codelet.output_strides, view.strides)
            codelet = replace(codelet, expression=expression, output_strides=strides)
        case Reduce():
            stored = (*codelet.stored, view.strides)
            codelet = replace(codelet, expression=expression, stored=stored)
        case Convolution():
            codelet = replace(codelet, epilogue=expression, more=(*codelet.more, operand(view)))
    return replace(call, codelet=codelet, views=(*call.views, view))


def _reading(call: Call, number: int, buffer: Buffer) -> Call:
    codelet, expression = call.codelet, _expression(call.codelet)
    assert expression is not None
    view = whole(buffer, _shape(codelet))
    leaves = _leaves(call)
    needed = _needed(expression, expression.outputs, number)
    kept = [i for i, leaf in enumerate(leaves) if i in needed or leaf is None]
    shorter = _shorter(expression, number, kept, needed)
    read = [v for i in kept if (v := leaves[i]) is not None] + [view]
    written = call.views[len(codelet.inputs) :]
    strides = tuple(side.strides for side in read)
    match codelet:
        case Elementwise() | Reduce():
            codelet = replace(codelet, expression=shorter, input_strides=strides)
        case Convolution():
            beside: tuple[Operand, ...] = tuple(map(operand, read))
            codelet = replace(codelet, epilogue=shorter, beside=beside)
            read = [*call.views[:2], *read]
    return replace(call, codelet=codelet, views=(*read, *written))


def _shorter(
    expression: Expression, given: int, kept: Sequence[int], needed: set[int]
) -> Expression:
    """With a value as the last input, of those that are `kept`, and what is not `needed` gone."""
    count = len(expression.inputs)
    new: dict[int, int] = {old: i for i, old in enumerate(kept)} | {given: len(kept)}
    steps: list[Instruction] = []
    for number, step in enumerate(expression.instructions, count):
        if number in needed and number != given:
            new[number] = len(kept) + 1 + len(steps)
            steps.append(replace(step, arguments=tuple(new[i] for i in step.arguments)))
    inputs = (*(expression.inputs[i] for i in kept), expression.dtype(given))
    return Expression(inputs, tuple(steps), tuple(new[i] for i in expression.outputs))
