"""The plainest vertices: copy and fill, from views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, constant_instruction
from tilewright.plan.ir import View

WORTH_TRANSPOSING = 8
"""Rows and columns from which on blocks are turned in registers."""


def operand(view: View) -> Operand:
    """How a view looks to a codelet."""
    return Operand(view.dtype, view.shape, view.strides)


def copy_codelet(sources: Sequence[View], targets: Sequence[View]) -> Elementwise:
    """The identity on several views of one shape and dtype."""
    count = len(sources)
    identity = Expression((sources[0].dtype,) * count, (), tuple(range(count)))
    strides = [tuple(view.strides for view in side) for side in (sources, targets)]
    return Elementwise(identity, sources[0].shape, strides[0], strides[1])


def is_transposition(source: View, target: View) -> bool:
    """A matrix with contiguous columns, to be written with contiguous rows."""
    return (
        len(source.shape) == 2
        and min(source.shape) >= WORTH_TRANSPOSING
        and source.strides[0] == 1
        and target.strides[1] == 1
    )


def fill_codelet(value: np.ndarray, target: View) -> Elementwise:
    """One constant everywhere."""
    constant = Expression((), (constant_instruction(value),), (0,))
    return Elementwise(constant, target.shape, (), (target.strides,))
