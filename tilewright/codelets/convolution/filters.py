"""Gradients of convolutions for their kernels: sums over positions, in leaves of rows of one image.

In: an image with its border, the gradient of what the convolution made. Out: the gradient of the
kernel; how it is written is in `filters_emit.py`. Always: the leaves and the order are those of
`graph/law.py`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.convolution import filters_emit
from tilewright.codelets.cut import ENOUGH_BATCHES, Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.frozen import frozen
from tilewright.graph import law
from tilewright.graph.ops import conv
from tilewright.machine.cost import Count, narrow


@frozen
class FilterGradient(Codelet):
    """image (n, h, w, groups, in), gradient (n, oh, ow, groups, out), out (groups, kh, kw, in, out)

    Position (y, x) reads (y, x) * stride + tap * dilation, all of which lie inside the image.
    `paired`: of bfloat16, the positions of a row are taken in pairs.
    """

    image: Operand
    gradient: Operand
    out: Operand
    stride: tuple[int, int]
    dilation: tuple[int, int]
    paired: bool = False

    @property
    def name(self) -> str:
        n, oh, ow, *_ = self.gradient.shape
        return f"conv_filter_{self.out.label}_of_{n}x{oh}x{ow}{'_paired' * self.paired}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.image, self.gradient)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Between groups, else output channels: images and rows are summed over."""
        groups, *_, out = self.out.shape
        if groups >= ENOUGH_BATCHES:
            return Cut(groups, (3, 3, 0), along_lanes=out < LANES)
        return Cut(out, (None, 4, 4), along_lanes=True, grain=LANES)

    @property
    def sum_dtype(self) -> str:
        return law.dot_working_dtype(self.image.dtype, self.gradient.dtype, self.out.dtype)

    @property
    def work(self) -> Count:
        positions = prod(self.gradient.shape[:3])
        key = narrow(self.image.dtype, self.gradient.dtype, self.sum_dtype, self.paired)
        macs = {key: self.out.size * positions}
        return Count(macs, {}, nbytes(self.image, self.gradient), self.out.nbytes, positions)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        image, gradient = (array.reshape(*array.shape[:3], -1) for array in arrays)
        groups, kh, kw, _, _ = self.out.shape
        size, made = image.shape[1:3], gradient.shape[1:3]
        pad = conv.exact_pads(size, made, (kh, kw), self.stride, self.dilation)
        result = conv.conv_filter(
            image, gradient, stride=self.stride, pad=pad, dilation=self.dilation, groups=groups,
            dtype=self.out.dtype, kernel=(kh, kw), pairs=self.paired,
        )  # fmt: skip
        return (result,)

    def emit(self, module: Module, symbol: str) -> None:
        filters_emit.emit(self, module, symbol)
