"""Codelets made again for operands of other shapes or strides: those that a grid may cut.

In: a codelet of one of `KINDS`, views of its inputs and outputs. Out: the same on those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tilewright.codelets.base import Codelet
from tilewright.codelets.contract import (
    ContractBlocks,
    ContractOuter,
    ContractSampled,
    ContractVector,
)
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce, Tree
from tilewright.plan.basic import operand
from tilewright.plan.ir import View

KINDS = (
    ContractBlocks,
    ContractOuter,
    ContractSampled,
    ContractVector,
    Convolution,
    FilterGradient,
    Elementwise,
    Reduce,
    Tree,
)


def made_again(codelet: Codelet, views: Sequence[View]) -> Codelet:
    """Scratch memory, if any, comes last among the views and stands for nothing."""
    operands = [operand(view) for view in views[: len(codelet.inputs) + len(codelet.outputs)]]
    if isinstance(codelet, FilterGradient):
        image, gradient, out = operands
        return replace(codelet, image=image, gradient=gradient, out=out)
    if isinstance(codelet, Elementwise):
        count, strides = len(codelet.inputs), [side.strides for side in operands]
        inside = strides[:count], strides[count:]
        return replace(codelet, input_strides=tuple(inside[0]), output_strides=tuple(inside[1]))
    if not isinstance(codelet, Reduce):
        return codelet.on(operands)
    count = len(codelet.inputs)
    inputs, (out, *stored) = operands[:count], operands[count:]
    kept: Any = dict(zip(codelet.kept, out.shape, strict=True))
    shape = inputs[0].shape
    assert all(shape[i] == n for i, n in kept.items())
    strides, beside = (tuple(side.strides for side in some) for some in (inputs, stored))
    return replace(
        codelet, shape=shape, input_strides=strides, output_strides=out.strides, stored=beside
    )
