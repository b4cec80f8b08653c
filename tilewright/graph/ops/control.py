"""Control flow: operations with bodies, graphs that see nothing but their own inputs.

    loop    (consts, carry) -> carry             bodies: condition, step; runs while it is true
    scan    (consts, carry, xs) -> (carry, ys)   body: (consts, carry, x) -> (carry, y)
    map     (consts, xs) -> ys                   body: (consts, x) -> y; instances are independent
    branch  (index, operands) -> results         bodies: one a case; the index is clamped

`consts` is the number of leading operands that bodies read but do not change; scan also has
`carry`, `length` and `reverse`, map has `length`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.ops.operation import Arrays, Control, Run
from tilewright.machine.cost import LIKELY_TRIPS, NOTHING, Count

# What they mean.


def _loop(node: Node, operands: Arrays, run: Run) -> Arrays:
    count = node.params["consts"]
    consts, carry = operands[:count], operands[count:]
    condition, step = node.bodies
    while run(condition, [*consts, *carry])[0]:
        carry = run(step, [*consts, *carry])
    return carry


def _scan(node: Node, operands: Arrays, run: Run) -> Arrays:
    count, width, length = (node.params[key] for key in ("consts", "carry", "length"))
    consts, carry = operands[:count], operands[count : count + width]
    xs, (body,) = operands[count + width :], node.bodies
    rows: list[Arrays] = []
    order_of_trips = range(length)[::-1] if node.params["reverse"] else range(length)
    for i in order_of_trips:
        results = run(body, [*consts, *carry, *(x[i] for x in xs)])
        carry = results[:width]
        rows.append(results[width:])
    rows = rows[::-1] if node.params["reverse"] else rows
    return [*carry, *_stack(rows, node.outputs[width:])]


def _map(node: Node, operands: Arrays, run: Run) -> Arrays:
    count, (body,) = node.params["consts"], node.bodies
    consts, xs = operands[:count], operands[count:]
    rows = [run(body, [*consts, *(x[i] for x in xs)]) for i in range(node.params["length"])]
    return _stack(rows, node.outputs)


def _stack(rows: Sequence[Arrays], outputs: Sequence[Value]) -> Arrays:
    """One array of `outputs`' types for each column of `rows`."""
    stacked = [np.empty(v.shape, v.type.numpy) for v in outputs]
    for i, row in enumerate(rows):
        for array, part in zip(stacked, row, strict=True):
            array[i] = part
    return stacked


def _branch(node: Node, operands: Arrays, run: Run) -> Arrays:
    case = min(max(int(operands[0]), 0), len(node.bodies) - 1)
    return run(node.bodies[case], operands[1:])


# What they do.


def _trips(node: Node, bodies: Sequence[Count]) -> Count:
    return bodies[0] * node.params["length"]


def _likely(node: Node, bodies: Sequence[Count]) -> Count:
    return sum(bodies, start=NOTHING) * LIKELY_TRIPS


def _dearest(node: Node, bodies: Sequence[Count]) -> Count:
    return max(bodies, key=lambda count: count.flops)


# Each body sees and gives what its node says.


def types_of(values: Sequence[Value]) -> list[Type]:
    return [v.type for v in values]


def _elements(values: Sequence[Value]) -> list[Type]:
    return [Type(v.dtype, v.shape[1:]) for v in values]


def signature(body: Graph, inputs: list[Type], outputs: list[Type]) -> Iterator[str]:
    """What a body takes or gives that it should not."""
    for what, found, expected in (
        ("takes", types_of(body.inputs), inputs),
        ("gives", types_of(body.outputs), outputs),
    ):
        if found != expected:
            yield f"a body {what} {list(map(str, found))}, not {list(map(str, expected))}"


def _loop_faults(node: Node) -> Iterator[str]:
    if len(node.bodies) != 2:
        yield "has a condition and a step"
    carry = types_of(node.inputs[node.params["consts"] :])
    yield from signature(node.bodies[0], types_of(node.inputs), [Type("bool", ())])
    yield from signature(node.bodies[1], types_of(node.inputs), carry)
    if types_of(node.outputs) != carry:
        yield "gives its carry"


def _scan_faults(node: Node) -> Iterator[str]:
    consts = node.params["consts"]
    carry = node.params["carry"] if node.op == "scan" else 0
    before, xs = node.inputs[: consts + carry], node.inputs[consts + carry :]
    ys = node.outputs[carry:]
    if len(node.bodies) != 1:
        yield "has one body"
    length = node.params["length"]
    if any(v.shape[:1] != (length,) for v in (*xs, *ys)):
        yield f"an x or y has no leading dimension of {length}"
    inputs = [*types_of(before), *_elements(xs)]
    results = [*types_of(node.outputs[:carry]), *_elements(ys)]
    yield from signature(node.bodies[0], inputs, results)
    if types_of(before[consts:]) != types_of(node.outputs[:carry]):
        yield "gives its carry"


def _branch_faults(node: Node) -> Iterator[str]:
    if not node.bodies:
        yield "has at least one case"
    for body in node.bodies:
        yield from signature(body, types_of(node.inputs[1:]), types_of(node.outputs))
    index = node.inputs[0]
    if index.shape != () or index.dtype not in ("int32", "bool"):
        yield "the index is a scalar"


ROWS = {
    "loop": Control(_loop, _likely, _loop_faults),
    "scan": Control(_scan, _trips, _scan_faults),
    "map": Control(_map, _trips, _scan_faults),
    "branch": Control(_branch, _dearest, _branch_faults),
}
