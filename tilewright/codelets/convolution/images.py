"""Convolutions: sums over a kernel's taps and input channels, in the law's `sequence`.

In: an image with whatever border its kernel reads, a kernel. Out: an image. Lanes are output
channels (see `channels.py`); how they are written is in `images_emit.py`. Always: the order is that
of `graph/law.py`, so that bits do not hang on tiles, strides or the instruction set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.convolution import images_emit
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut, over_images
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count, narrow

GROUPS = 2
"""Of a piece, at least: what is written then fills lines that lie side by side."""


@frozen
class Convolution(Codelet):
    """image (n, h, w, groups, in), kernel (groups, kh, kw, in, out), out (n, oh, ow, groups, out).

    Output (y, x) reads (y, x) * stride + tap * dilation, all of which lie inside the image.
    `paired`: input channels are taken in pairs, and the kernel is (groups, kh, kw, in / 2, out, 2).

    With an `epilogue` the sums go through an expression before they are stored: its inputs are the
    sum (of `sum_dtype`) and the arrays `beside`, its outputs are `out` and `more`; all have the
    shape of `out`, and along the lanes they are as dense as `out` is, or repeat.

    So many rows (above, below) and columns (before, after) of the image are `padding`: zeros.
    """

    image: Operand
    kernel: Operand
    out: Operand
    stride: tuple[int, int]
    dilation: tuple[int, int]
    epilogue: Expression | None = None
    beside: tuple[Operand, ...] = ()
    more: tuple[Operand, ...] = ()
    paired: bool = False
    padding: conv.Pads = ((0, 0), (0, 0))

    @property
    def name(self) -> str:
        groups, kh, kw = self.kernel.shape[:3]
        after = f"_{self.epilogue.label}" if self.epilogue else ""
        after = f"_paired{after}" if self.paired else after
        return f"conv_{kh}x{kw}x{self.channels}_{groups}_groups_{self.out.label}{after}"

    @property
    def channels(self) -> int:
        """Input channels of a group."""
        return self.image.shape[4]

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.kernel, *self.beside)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out, *self.more)

    @property
    def sides(self) -> tuple[Operand, ...]:
        """What has the shape of the results: what is read beside sums, and the results."""
        return (*self.beside, *self.outputs)

    def on(self, operands: Sequence[Operand]) -> Convolution:
        image, kernel, *sides = operands
        beside, (out, *more) = sides[: len(self.beside)], sides[len(self.beside) :]
        short = (out.shape[i] < self.out.shape[i] for i in (1, 2))
        rows, columns = (
            (0, 0) if cut else pad for cut, pad in zip(short, self.padding, strict=True)
        )
        return replace(
            self, image=image, kernel=kernel, beside=tuple(beside), out=out, more=tuple(more),
            padding=(rows, columns),
        )  # fmt: skip

    @property
    def cut(self) -> Cut:
        """Between images; else groups, where their kernels are more to read; else rows."""
        if self.out.shape[0] < ENOUGH_BATCHES and self._has_large_kernels:
            axes = (3, 0, *(3 for _ in self.sides))
            return Cut(self.out.shape[3], axes, grain=GROUPS)
        return self.cut_of_images

    @property
    def cut_of_images(self) -> Cut:
        """Between images, else rows, however large the kernels are."""
        (n, height), taps = self.out.shape[:2], self.kernel.shape[1]
        return over_images(
            n, height, taps, self.stride[0], self.dilation[0], beside=1, made=len(self.sides)
        )

    @property
    def _has_large_kernels(self) -> bool:
        """Whether kernels of groups that fill vectors take more than half of what images do."""
        wide, apart = self.out.shape[4] >= LANES, self.image.strides[3]
        return wide and bool(apart) and 2 * self.kernel.nbytes > self.image.nbytes

    @property
    def sum_dtype(self) -> str:
        if self.epilogue:
            return self.epilogue.inputs[0]
        if self.paired:
            return "float32"
        return law.dot_working_dtype(self.image.dtype, self.kernel.dtype, self.out.dtype)

    @property
    def work(self) -> Count:
        key = narrow(self.image.dtype, self.kernel.dtype, self.sum_dtype, self.paired)
        macs = {key: self.out.size * prod(self.kernel.shape[1:3]) * self.channels}
        moved = nbytes(*self.inputs), nbytes(*self.outputs)
        count = Count(macs, {}, *moved, prod(self.out.shape[:3]))
        return count + self.epilogue.work(self.out.size) if self.epilogue else count

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, kernel, *beside = arrays
        size, made, groups = image.shape[1:3], self.out.shape[1:3], self.out.shape[3]
        x = image.reshape(*image.shape[:3], -1)
        pad = conv.exact_pads(size, made, kernel.shape[1:3], self.stride, self.dilation)
        result = conv.conv(
            x, kernel, stride=self.stride, pad=pad, dilation=self.dilation,
            groups=groups, dtype=self.sum_dtype if self.epilogue else self.out.dtype,
            pairs=self.paired,
        )  # fmt: skip
        result = result.reshape(self.out.shape)
        if self.epilogue is None:
            return (result,)
        return tuple(evaluate_expression(self.epilogue, (result, *beside), self.out.shape))

    def emit(self, module: Module, symbol: str) -> None:
        images_emit.emit(self, module, symbol)
