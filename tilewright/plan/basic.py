"""The plainest vertices: copy and fill, from views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import Operand
from tilewright.codelets.elementwise import Elementwise, Transpose
from tilewright.codelets.expression import Expression, constant_instruction
from tilewright.plan import views
from tilewright.plan.ir import Call, View

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
    """A matrix with contiguous columns, to be written with contiguous rows.

    Which codelet does a copy, no more: where anything lies was decided before.
    """
    return (
        len(source.shape) == 2
        and min(source.shape) >= WORTH_TRANSPOSING
        and source.strides[0] == 1
        and target.strides[1] == 1
    )


def copy_call(source: View, target: View) -> Call:
    """A vertex that copies a view, turned round in registers where it lies across."""
    if is_transposition(source, target):
        source, target = (views.transpose(view, (1, 0)) for view in (source, target))
        return Call(Transpose(operand(source), operand(target)), (source, target))
    return Call(copy_codelet([source], [target]), (source, target))


def fill_codelet(value: np.ndarray, target: View) -> Elementwise:
    """One constant everywhere."""
    constant = Expression((), (constant_instruction(value),), (0,))
    return Elementwise(constant, target.shape, (), (target.strides,))
