"""LLVM text of a fused scalar expression, on vectors or on one number.

In: an `Expression` and registers that hold its inputs, in register types (see `llvm.py`). Out:
registers of its outputs. Always: every instruction is rounded to its own dtype before the next
one reads it, and none is contracted with another, so the bits are those of `evaluate_expression`
outside of transcendental functions, whatever the width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.codelets import scalar_math
from tilewright.codelets.emit import conversions
from tilewright.codelets.emit import integers as whole
from tilewright.codelets.emit.conversions import FLOATS, rounded
from tilewright.codelets.emit.llvm import REGISTER_TYPE, Function
from tilewright.codelets.emit.operations import EXACT, OPERATIONS, is_signed, select
from tilewright.codelets.emit.ranges import narrowed
from tilewright.codelets.emit.registers import Register, literal
from tilewright.codelets.expression import Expression, Instruction, constant_value
from tilewright.graph.floats import bits_of
from tilewright.graph.law import LANES
from tilewright.machine.machine import Features

FUNCTION = 15
"""Instructions that tanh and the like count for."""
LONG = 12
"""Instructions a vector up to which a processor finds enough to do in those that follow."""
_ABREAST = 4
"""Registers of a long expression that are computed side by side. On Zen 4 with AVX-512 and AVX2, a
softplus takes 12 and 29 % less time than with one or two at a time, tanh 11 and 15 %, the inverse
error function a quarter; eight outgrow the registers."""

Indices = Callable[[int], str] | list[str] | tuple[str, ...]
"""dimension of the domain -> register of i64 lanes that holds the index there."""


def emit_expression(
    function: Function,
    expression: Expression,
    inputs: Sequence[str],
    width: int,
    indices: Indices = (),
) -> list[str]:
    """The outputs' registers; width 0 computes one number."""
    values = [
        Register(function, REGISTER_TYPE[dtype], width, name)
        for dtype, name in zip(expression.inputs, inputs, strict=True)
    ]
    for instruction in narrowed(expression).instructions:
        dtypes = [expression.dtype(i) for i in instruction.arguments]
        operands = [values[i] for i in instruction.arguments]
        if instruction.op == "constant":
            result = _constant(function, instruction, width)
        elif instruction.op == "iota":
            result = _iota(function, instruction, width, indices)
        else:
            result = emit_operation(instruction, dtypes, operands)
        values.append(result)
    return [values[i].name for i in expression.outputs]


def instructions_of(expression: Expression) -> int:
    """About how many instructions a vector takes."""
    return sum(
        1 if i.op in OPERATIONS or i.op in ("select", "convert", "bitcast") else FUNCTION
        for i in expression.instructions
        if i.op != "constant"
    )


def abreast(expression: Expression, features: Features) -> int:
    """How many neighbours should be computed at the same time, as one vector.

    Many instructions are a chain, each waiting for the one before it, and longer than the window in
    which a processor looks for others to do: it needs several side by side.
    """
    dtypes = [*expression.inputs, *(step.dtype for step in expression.instructions)]
    numbered = any(step.op == "iota" for step in expression.instructions)
    wide = any(dtype.endswith("64") for dtype in dtypes)
    if wide or numbered or instructions_of(expression) <= LONG:
        return LANES
    return max(LANES, _ABREAST * features.vector_bits // 32)


def emit_operation(
    instruction: Instruction, dtypes: Sequence[str], operands: Sequence[Register]
) -> Register:
    """One operation of `graph/ops/` on registers."""
    op, params = instruction.op, dict(instruction.params)
    if op == "select":
        return select(dtypes[0], *operands)
    if op in _CHANGES:
        return _CHANGES[op](instruction.dtype, dtypes, operands, params)
    if op in OPERATIONS:
        result = OPERATIONS[op](dtypes[-1], *operands)
        return result if op in EXACT else rounded(result, instruction.dtype)
    if dtypes[-1] not in FLOATS:
        assert op == "pow", f"{op} of {dtypes[-1]}"
        return whole.power(operands[0], operands[1], is_signed(dtypes[-1]))
    result = scalar_math.emit(op, operands, approximate=bool(params.get("approximate")))
    return rounded(result, instruction.dtype)


def _nextafter(
    dtype: str, dtypes: Sequence[str], operands: Sequence[Register], params: dict[str, Any]
) -> Register:
    return conversions.next_after(operands[0], operands[1], dtype)


def _convert(
    dtype: str, dtypes: Sequence[str], operands: Sequence[Register], params: dict[str, Any]
) -> Register:
    return conversions.convert(operands[0], dtypes[0], dtype)


def _bitcast(
    dtype: str, dtypes: Sequence[str], operands: Sequence[Register], params: dict[str, Any]
) -> Register:
    return conversions.bitcast(operands[0], dtypes[0], dtype)


def _reduce_precision(
    dtype: str, dtypes: Sequence[str], operands: Sequence[Register], params: dict[str, Any]
) -> Register:
    return conversions.reduce_precision(operands[0], dtype, params["exponent"], params["mantissa"])


_CHANGES = {
    "nextafter": _nextafter,
    "convert": _convert,
    "bitcast": _bitcast,
    "reduce_precision": _reduce_precision,
}


def _constant(function: Function, instruction: Instruction, width: int) -> Register:
    """By its bits, so that NaN and -0 come through."""
    kind = REGISTER_TYPE[instruction.dtype]
    value = constant_value(instruction)
    if kind == "float":
        text = f"bitcast (i32 {bits_of(value.astype(np.float32))} to float)"
    elif kind == "double":
        text = f"0x{int(bits_of(value)):016X}"
    else:
        text = literal(kind, int(value))
    return Register(function, kind, width, f"splat ({kind} {text})" if width else text)


def _iota(function: Function, instruction: Instruction, width: int, indices: Indices) -> Register:
    dimension = dict(instruction.params)["dimension"]
    name = indices(dimension) if callable(indices) else indices[dimension]
    index = Register(function, "i64", width, name)
    if instruction.dtype == "float64":
        return index.cast("sitofp", "double")
    if instruction.dtype in FLOATS:
        # No dimension has 2**31 elements; conversion from i64 is slow without AVX-512.
        number = index.cast("trunc", "i32").cast("sitofp", "float")
        return rounded(number, instruction.dtype)
    return index.cast("trunc", REGISTER_TYPE[instruction.dtype])
