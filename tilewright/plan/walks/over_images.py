"""A vertex over images: what it takes to have it do one of them.

Convolutions, products with rows that are places of images, what is elementwise over (n, h, w,
channels), and gradients of kernels, which are sums over the images; sums over the places of each
image, and what is made of these (n, channels), too. Each says along which dimension of its
arguments the images lie, and gives the calls for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from tilewright.codelets.base import Codelet
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce, Tree
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import leaf_height
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.ir import Buffer, Call, Var, View

FEW = 2
"""How many times the bytes of all parts of a kernel's gradient its operands have at least."""


@frozen
class OverImages:
    """`axes`: the dimension of each argument along which images lie, None: of none."""

    codelet: Codelet
    arguments: tuple[View, ...]
    axes: tuple[int | None, ...]
    images: int
    each: int = 1
    """Rows of an image along that dimension."""

    @staticmethod
    def of(call: Call, images: int = 0) -> OverImages | None:
        """None where it has no images; of a product, how many is not known otherwise."""
        codelet, arguments = call.codelet, call.views
        match codelet:
            case Convolution():
                count = len(codelet.inputs) + len(codelet.outputs)
                axes = (0, None, *(0,) * (count - 2))
                return OverImages(codelet, arguments[:count], axes, codelet.out.shape[0])
            case Elementwise() if len(codelet.shape) in (2, 4):
                return _by_rows(codelet, arguments)
            case Reduce() if len(codelet.shape) == 4 and codelet.axes == (1, 2):
                return _by_rows(codelet, arguments)
            case ContractOuter() if images and not codelet.batch and codelet.m % images == 0:
                count = len(codelet.inputs) + len(codelet.outputs)
                axes, each = (0, None, *(0,) * (count - 2)), codelet.m // images
                return OverImages(codelet, arguments[:count], axes, images, each)
            case FilterGradient():
                found = OverImages(codelet, arguments, (0, 0, None), codelet.gradient.shape[0])
                return found if found._has_few_parts else None
        return None

    @property
    def sides(self) -> Iterator[tuple[View, int | None, bool]]:
        """Arguments, where their images are, and whether they are written."""
        count = len(self.codelet.inputs)
        for number, (view, axis) in enumerate(zip(self.arguments, self.axes, strict=True)):
            if axis is not None and self.each > 1:  # (images, rows of one, ...)
                shape = (self.images, self.each, *view.shape[1:])
                view = replace(
                    view, shape=shape, strides=(self.each * view.strides[0], *view.strides)
                )
            yield view, axis, number >= count

    @property
    def read(self) -> Sequence[View]:
        """What it reads as images."""
        match self.codelet:
            case Convolution() | FilterGradient():
                return self.arguments[:1]
            case Elementwise(shape=shape) | Reduce(shape=shape) if len(shape) == 4:
                return self.arguments[: len(self.codelet.inputs)]
        return ()

    @property
    def matrix(self) -> int:
        """Bytes of a matrix that every image reads."""
        return self.codelet.rhs.nbytes if isinstance(self.codelet, ContractOuter) else 0

    @property
    def is_sum(self) -> bool:
        return isinstance(self.codelet, FilterGradient)

    # Of a kernel's gradient

    @property
    def strip(self) -> int:
        """Rows of an image whose positions are a node of the law's tree: 2^j leaves."""
        assert isinstance(self.codelet, FilterGradient)
        rows, columns = self.codelet.gradient.shape[1:3]
        height = leaf_height(columns)
        leaves = -(-rows // height)
        return min(rows, (leaves & -leaves) * height)

    @property
    def parts_of_one(self) -> int:
        assert isinstance(self.codelet, FilterGradient)
        return -(-self.codelet.gradient.shape[1] // self.strip)

    @property
    def _has_few_parts(self) -> bool:
        codelet = self.codelet
        assert isinstance(codelet, FilterGradient)
        out = self.arguments[2]
        if not codelet.gradient.size or codelet.sum_dtype != out.dtype or not _is_packed(out):
            return False
        parts = self.images * self.parts_of_one * out.size * numpy_dtype(out.dtype).itemsize
        return FEW * parts <= codelet.image.nbytes + codelet.gradient.nbytes

    def parts(self) -> View | None:
        """Where the sums over the parts of all images go, one after the other."""
        if not self.is_sum:
            return None
        out, count = self.arguments[2], self.images * self.parts_of_one
        buffer = Buffer(out.dtype, count * out.size, "shared")
        return View(buffer, (count, *out.shape), (out.size, *out.strides))

    def added(self, parts: View) -> Call:
        """The sum of the parts."""
        out = self.arguments[2]
        flat = replace(parts, shape=(parts.shape[0], out.size), strides=(out.size, 1))
        line = replace(out, shape=(out.size,), strides=(1,))
        return Call(Tree(operand(flat), operand(line)), (flat, line))

    # The calls

    def calls(self, var: Var, parts: View | None) -> Iterator[Call]:
        """Those of image number `var`."""
        here = [
            view if axis is None else views.shift(view, var, axis, self.each)
            for view, axis in zip(self.arguments, self.axes, strict=True)
        ]
        if parts is not None:
            yield from self._strips(here, var, parts)
            return
        one = self.codelet.on([operand(view) for view in here])
        if one.scratch:
            here.append(views.whole(Buffer("uint8", one.scratch, "tile"), (one.scratch,)))
        yield Call(one, tuple(here))

    def _strips(self, here: list[View], var: Var, parts: View) -> Iterator[Call]:
        """One after the other, down an image."""
        codelet = self.codelet
        assert isinstance(codelet, FilterGradient)
        image, gradient, _ = here
        rows, step, each = gradient.shape[1], parts.strides[0], self.parts_of_one
        reach = (codelet.out.shape[1] - 1) * codelet.dilation[0] + 1
        for number in range(each):
            first = number * self.strip
            length = min(self.strip, rows - first)
            read = (length - 1) * codelet.stride[0] + reach
            sides = [
                _rows(image, first * codelet.stride[0], read),
                _rows(gradient, first, length),
                View(
                    parts.buffer, parts.shape[1:], parts.strides[1:], number * step,
                    ((var, each * step),),
                ),
            ]  # fmt: skip
            short = replace(
                codelet, image=operand(sides[0]), gradient=operand(sides[1]), out=operand(sides[2])
            )
            yield Call(short, tuple(sides))


def _by_rows(codelet: Elementwise | Reduce, arguments: tuple[View, ...]) -> OverImages | None:
    """None where it asks where it is."""
    if any(step.op == "iota" for step in codelet.expression.instructions):
        return None
    return OverImages(codelet, arguments, (0,) * len(arguments), codelet.shape[0])


def _rows(view: View, first: int, length: int) -> View:
    """Some rows of an image."""
    start = [0] * len(view.shape)
    start[1] = first
    return views.window(view, tuple(start), (view.shape[0], length, *view.shape[2:]))


def _is_packed(view: View) -> bool:
    """Whether its elements lie side by side, in whatever order of the dimensions."""
    last = sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
    return view.size == prod(view.shape) == last + 1 and min(view.strides) >= 0
