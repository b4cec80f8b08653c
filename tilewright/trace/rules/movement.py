"""Primitives that move elements. Arrays of PRNG keys have more dimensions: the words of a key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.graph.ir import Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of


def words(equation: internals.Equation) -> tuple[int, ...]:
    """The trailing dimensions that the first operand has and its abstract value has not."""
    return internals.key_shape(equation.invars[0].aval)


def integers(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(n) for n in numbers)


def broadcast(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """`broadcast_in_dim`; dimensions of one that grow are dropped first."""
    extra = words(equation)
    shape = integers(equation.params["shape"]) + extra
    dimensions = integers(equation.params["broadcast_dimensions"])
    dimensions += tuple(len(shape) - 1 - i for i in range(len(extra)))
    if operand.shape == shape and dimensions == tuple(range(len(shape))):
        return operand
    kept = [i for i, n in enumerate(operand.shape) if n == shape[dimensions[i]]]
    operand = scope.reshape(operand, [operand.shape[i] for i in kept])
    return scope.op(
        "broadcast", operand, shape=shape, dimensions=tuple(dimensions[i] for i in kept)
    )


def reshape(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """`reshape` and `squeeze` alike."""
    if equation.params.get("dimensions") is not None and equation.primitive.name == "reshape":
        permutation = integers(equation.params["dimensions"])
        permutation += tuple(range(len(permutation), len(operand.shape)))
        operand = _transpose(scope, operand, permutation)
    return scope.reshape(operand, type_of(equation.outvars[0].aval).shape)


def transpose(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    permutation = integers(equation.params["permutation"])
    permutation += tuple(range(len(permutation), len(operand.shape)))
    return _transpose(scope, operand, permutation)


def _transpose(scope: Scope, operand: Value, permutation: tuple[int, ...]) -> Value:
    if permutation == tuple(range(len(permutation))):
        return operand
    return scope.op("transpose", operand, permutation=permutation)


def cut(
    scope: Scope,
    operand: Value,
    start: Sequence[int],
    limit: Sequence[int],
    stride: Sequence[int] | None = None,
) -> Value:
    """A `slice` node, unless it takes everything; missing dimensions are taken whole."""
    rank, given = len(operand.shape), len(start)
    start = integers(start) + (0,) * (rank - given)
    limit = integers(limit) + operand.shape[given:]
    stride = integers(stride or (1,) * given) + (1,) * (rank - given)
    if start == (0,) * rank and limit == operand.shape and stride == (1,) * rank:
        return operand
    return scope.op("slice", operand, start=start, limit=limit, stride=stride)


def slice_(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    params = equation.params
    return cut(scope, operand, params["start_indices"], params["limit_indices"], params["strides"])


def part(scope: Scope, operand: Value, axis: int, start: int, size: int) -> Value:
    """`size` consecutive rows along one dimension."""
    low, high = [0] * len(operand.shape), list(operand.shape)
    low[axis], high[axis] = start, start + size
    return cut(scope, operand, low, high)


def split(scope: Scope, equation: internals.Equation, operand: Value) -> list[Value]:
    axis, sizes = int(equation.params["axis"]), integers(equation.params["sizes"])
    starts = np.cumsum((0, *sizes))
    return [part(scope, operand, axis, int(a), n) for a, n in zip(starts, sizes, strict=False)]


def unstack(scope: Scope, equation: internals.Equation, operand: Value) -> list[Value]:
    axis = int(equation.params["axis"])
    shape = type_of(equation.outvars[0].aval).shape
    parts = [part(scope, operand, axis, i, 1) for i in range(operand.shape[axis])]
    return [scope.reshape(piece, shape) for piece in parts]


def stack(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
    axis = int(equation.params["axis"])
    shape = operands[0].shape
    pieces = [scope.reshape(v, (*shape[:axis], 1, *shape[axis:])) for v in operands]
    return join(scope, pieces, axis)


def join(scope: Scope, pieces: Sequence[Value], dimension: int) -> Value:
    if len(pieces) == 1:
        return pieces[0]
    return scope.op("concatenate", *pieces, dimension=dimension)


def concatenate(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
    return join(scope, operands, int(equation.params["dimension"]))


def tile(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """Each dimension n becomes (repeats, n), which are then one."""
    repeats = integers(equation.params["reps"])
    extra = words(equation)
    sizes = operand.shape[: len(repeats)]
    shape = tuple(n for pair in zip(repeats, sizes, strict=True) for n in pair) + extra
    dimensions = tuple(2 * i + 1 for i in range(len(sizes))) + tuple(
        2 * len(sizes) + i for i in range(len(extra))
    )
    operand = scope.op("broadcast", operand, shape=shape, dimensions=dimensions)
    return scope.reshape(operand, type_of(equation.outvars[0].aval).shape)


def reverse(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    return scope.op("reverse", operand, dimensions=integers(equation.params["dimensions"]))


def pad(scope: Scope, equation: internals.Equation, operand: Value, filling: Value) -> Value:
    if words(equation):
        raise scope.unsupported(equation, "of PRNG keys")
    rows = [integers(row) for row in equation.params["padding_config"]]
    if not any(any(row) for row in rows):
        return operand
    low, high, interior = (tuple(row[i] for row in rows) for i in range(3))
    return scope.op("pad", operand, filling, low=low, high=high, interior=interior)


def iota(scope: Scope, equation: internals.Equation) -> Value:
    result = type_of(equation.outvars[0].aval)
    dimension = int(equation.params["dimension"])
    return scope.op("iota", dimension=dimension, shape=result.shape, dtype=result.dtype)


def empty(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
    """Contents do not matter: zeros."""
    return scope.full(0, type_of(equation.outvars[0].aval))


def blocks(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """Zeros for all that the mask has not: see `trace/blocks.py`. The mask is part of the graph."""
    mask = equation.params["mask"]
    return scope.op("masked", operand, kept=mask.array, tall=mask.tall, wide=mask.wide)


RULES: dict[str, Rule] = {
    "blocks": blocks,
    "broadcast_in_dim": broadcast,
    "reshape": reshape,
    "squeeze": reshape,
    "transpose": transpose,
    "slice": slice_,
    "split": split,
    "unstack": unstack,
    "stack": stack,
    "concatenate": concatenate,
    "tile": tile,
    "rev": reverse,
    "pad": pad,
    "iota": iota,
    "empty": empty,
    "empty2": empty,
    "zeros_like": empty,
    "tie": lambda scope, equation, first, second: second,
}
