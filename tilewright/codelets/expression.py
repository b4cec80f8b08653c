"""A fused elementwise computation: a straight line of scalar instructions, hashable.

Values are numbered: the inputs first, then one per instruction. Ops are the elementwise ones of
`graph/ops/` and two more:

    constant bits=      the value's bytes as an unsigned integer, so that NaN equals itself
    iota dimension=     the index along a dimension of the codelet's domain
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.ops.elementwise import priced
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count


@frozen
class Instruction:
    """One operation; `dtype` is its result's."""

    op: str
    arguments: tuple[int, ...]
    dtype: str
    params: tuple[tuple[str, Any], ...] = ()


@frozen
class Expression:
    """`inputs` are dtypes, `outputs` are value numbers."""

    inputs: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]

    def dtype(self, value: int) -> str:
        """The dtype of a value by number."""
        count = len(self.inputs)
        return self.inputs[value] if value < count else self.instructions[value - count].dtype

    @property
    def label(self) -> str:
        """For names: up to three operations, or how many there are."""
        ops = [step.op for step in self.instructions if step.op != "constant"]
        return ("_".join(ops) if len(ops) <= 3 else f"fused_{len(ops)}") or "copy"

    def work(self, size: int) -> Count:
        """Of computing `size` elements; without instructions, they are only moved."""
        operations: dict[tuple[str, str], float] = {}
        for step in self.instructions:
            if step.op != "constant" and not self._is_known(step):
                dtype = self.dtype(step.arguments[-1]) if step.arguments else step.dtype
                key = (priced(step.op, dict(step.params)), dtype)
                operations[key] = operations.get(key, 0) + size
        return Count(operations=operations or {("move", self.dtype(v)): size for v in self.outputs})

    def _is_known(self, step: Instruction) -> bool:
        """Whether it chooses by a pattern, which is part of the code."""
        return bool(step.arguments) and self.dtype(step.arguments[0]) == "pattern"


def constant_instruction(value: np.ndarray) -> Instruction:
    """The instruction that yields a scalar."""
    scalar = np.asarray(value).reshape(())
    bits = int.from_bytes(scalar.tobytes(), "little")
    return Instruction("constant", (), scalar.dtype.name, (("bits", bits),))


def constant_value(instruction: Instruction) -> np.ndarray:
    """The scalar (0-d array) of a constant instruction."""
    dtype = numpy_dtype(instruction.dtype)
    bits = dict(instruction.params)["bits"]
    return np.frombuffer(bits.to_bytes(dtype.itemsize, "little"), dtype).reshape(())


def evaluate_expression(
    expression: Expression, arrays: Sequence[np.ndarray], domain: tuple[int, ...]
) -> list[np.ndarray]:
    """The outputs, each of shape `domain`; arrays broadcast to it."""
    values = [np.asarray(array) for array in arrays]
    for instruction in expression.instructions:
        values.append(_evaluate(instruction, values, domain))
    return [np.broadcast_to(values[i], domain) for i in expression.outputs]


def _evaluate(
    instruction: Instruction, values: list[np.ndarray], domain: tuple[int, ...]
) -> np.ndarray:
    params = dict(instruction.params)
    if instruction.op == "constant":
        return constant_value(instruction)
    if instruction.op == "iota":
        return _iota(params["dimension"], domain, instruction.dtype)
    operands = [values[i] for i in instruction.arguments]
    return SCALAR[instruction.op](*operands, **(params | {"dtype": instruction.dtype}))


def _iota(dimension: int, domain: tuple[int, ...], dtype: str) -> np.ndarray:
    index = np.arange(domain[dimension]).astype(numpy_dtype(dtype))
    shape = [1] * len(domain)
    shape[dimension] = -1
    return index.reshape(shape)


def indexed_dimensions(expression: Expression) -> list[int]:
    """The dimensions of the domain whose index an expression reads."""
    return sorted({dict(i.params)["dimension"] for i in expression.instructions if i.op == "iota"})
