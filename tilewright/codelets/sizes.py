"""Names and bytes of operands, for the codelets that move data."""

from __future__ import annotations

from tilewright.codelets.base import Operand
from tilewright.codelets.vectors import itemsize


def sized(operand: Operand) -> str:
    """For names: dtype and shape."""
    return f"{operand.dtype}_{'x'.join(map(str, operand.shape)) or 'scalar'}"


def moved_bytes(*operands: Operand) -> int:
    return sum(operand.size * itemsize(operand.dtype) for operand in operands)
