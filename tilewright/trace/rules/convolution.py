"""Convolutions and windows: whatever JAX writes, as one of the forms of `graph/ops/conv.py`.

In: `conv_general_dilated` with any dimension numbers, dilations and groups, as users, gradients and
`vmap` write it. Out: `dot` where there is a single tap, or a single position; else one of

    conv         no dilation of the image
    conv_data    the image is dilated, and windows do not stride: a data gradient, or a transposed
                 convolution; the kernel, which JAX turns round for it, is turned back
    conv_filter  operands lie with their channels where batches are: a filter gradient

What fits none (a dilated image with strides) is dilated with zeros and convolved. More than two
spatial dimensions are not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tilewright.graph.ir import Value
from tilewright.graph.ops.conv import exact_pads, extent
from tilewright.trace import jax_internals as internals
from tilewright.trace.rules.across import product_operands
from tilewright.trace.rules.movement import cut, integers
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of

Pair = tuple[int, int]


def convolution(scope: Scope, equation: internals.Equation, lhs: Value, rhs: Value) -> Value:
    """`conv_general_dilated`."""
    params = equation.params
    left, right, out = (list(spec) for spec in params["dimension_numbers"])
    if len(left) > 4:
        raise scope.unsupported(equation, "over more than two spatial dimensions")
    lhs, rhs, accumulator = product_operands(scope, equation, lhs, rhs)
    form = _Form(scope, params, accumulator)
    filters = left[0] > left[1] and right[0] > right[1] and left[1] == right[1]
    if filters and form.features == 1 and form.spread == (1, 1):
        x, g = (_images(scope, v, s[1], s[2:], s[0]) for v, s in ((lhs, left), (rhs, right)))
        result = form.filter_gradient(x, g)
    else:
        x = _images(scope, lhs, left[0], left[2:], left[1])
        result = form.images(x, _images(scope, rhs, right[1], right[2:], right[0]))
    result = scope.convert(result, type_of(equation.outvars[0].aval).dtype)
    shape = (result.shape[0], *result.shape[5 - len(out) : 3], result.shape[3])
    result = scope.reshape(result, shape)
    order = [0] * len(out)
    for position, dimension in enumerate((out[0], *out[2:], out[1])):
        order[dimension] = position
    return _transposed(scope, result, order)


class _Form:
    """The parameters of one convolution over (rows, columns)."""

    def __init__(self, scope: Scope, params: Any, dtype: str):
        self.scope, self.dtype = scope, dtype
        self.stride = _pair(params["window_strides"], 1)
        self.pad = tuple(_pair(row, 0) for row in _pairs(params["padding"]))
        self.spread = _pair(params["lhs_dilation"], 1)
        self.dilation = _pair(params["rhs_dilation"], 1)
        self.features = int(params["feature_group_count"])
        self.batches = int(params["batch_group_count"])

    def images(self, x: Value, w: Value) -> Value:
        """x (n, h, w, channels) with w (in, kh, kw, groups x out)."""
        scope, groups = self.scope, max(self.features, self.batches)
        if self.batches > 1:  # what are groups of images become groups of channels
            n, h, width, channels = x.shape
            x = scope.reshape(x, (groups, n // groups, h, width, channels))
            x = _transposed(scope, x, (1, 2, 3, 0, 4))
            x = scope.reshape(x, (n // groups, h, width, groups * channels))
        spread = tuple(d if n > 1 else 1 for d, n in zip(self.spread, x.shape[1:3], strict=True))
        if spread != (1, 1) and self.stride == (1, 1):
            return self._data_gradient(x, w, groups, _pair(spread, 1))
        if spread != (1, 1):
            zero = scope.small(0, x.dtype)
            holes = (0, *(d - 1 for d in spread), 0)
            x = scope.op("pad", x, zero, low=(0,) * 4, high=(0,) * 4, interior=holes)
        if groups == 1 and self._is_product(x, w):
            return self._product(x, w)
        params = dict(stride=self.stride, pad=self.pad, dilation=self.dilation)
        kernel = self._kernel(w, groups)
        return scope.op("conv", x, kernel, groups=groups, dtype=self.dtype, **params)

    def _kernel(self, w: Value, groups: int) -> Value:
        """(in, kh, kw, groups x out) as (groups, kh, kw, in, out)."""
        channels, kh, kw, out = w.shape
        w = self.scope.reshape(w, (channels, kh, kw, groups, out // groups))
        return _transposed(self.scope, w, (3, 1, 2, 0, 4))

    def _data_gradient(self, g: Value, w: Value, groups: int, stride: Pair) -> Value:
        scope, taps = self.scope, w.shape[1:3]
        size = [
            extent((g.shape[1 + i] - 1) * stride[i] + 1, taps[i], 1, self.pad[i], self.dilation[i])
            for i in range(2)
        ]
        low = [(taps[i] - 1) * self.dilation[i] - self.pad[i][0] for i in range(2)]
        pad = exact_pads(size, g.shape[1:3], taps, stride, self.dilation, low)
        kernel = self._kernel(scope.op("reverse", w, dimensions=(1, 2)), groups)
        return scope.op(
            "conv_data",
            g,
            _transposed(scope, kernel, (0, 1, 2, 4, 3)),
            stride=stride,
            pad=pad,
            dilation=self.dilation,
            groups=groups,
            dtype=self.dtype,
            size=tuple(size),
        )

    def _is_product(self, x: Value, w: Value) -> bool:
        """Whether every output is a product of one position, or the only one."""
        inside = all(edge <= 0 for row in self.pad for edge in row)
        single = w.shape[1:3] == (1, 1) and inside
        whole = w.shape[1:3] == x.shape[1:3] and self.pad == ((0, 0), (0, 0))
        return x.type.size > 0 and (single or (whole and self.dilation == (1, 1)))

    def _product(self, x: Value, w: Value) -> Value:
        """Positions that are strided over or cropped are left out, then it is a `dot`."""
        scope = self.scope
        if w.shape[1:3] == x.shape[1:3] != (1, 1):
            return scope.reshape(
                self._dot(x, w, ((1, 2, 3), (1, 2, 0))), (x.shape[0], 1, 1, w.shape[3])
            )
        x = self._positions(x, self.stride, (None, None))
        return self._dot(x, scope.reshape(w, (w.shape[0], w.shape[3])), ((3,), (0,)))

    def _positions(self, x: Value, stride: Pair, count: Sequence[int | None]) -> Value:
        """Every so manieth row and column of a cropped image, `count` of them or all."""
        start = [-self.pad[i][0] for i in range(2)]
        limit = [
            x.shape[1 + i] + self.pad[i][1] if (n := count[i]) is None
            else start[i] + (n - 1) * stride[i] + 1
            for i in range(2)
        ]  # fmt: skip
        whole = x.shape[0], x.shape[3]
        return cut(self.scope, x, (0, *start, 0), (whole[0], *limit, whole[1]), (1, *stride, 1))

    def _dot(self, left: Value, right: Value, contract: Any) -> Value:
        return self.scope.op(
            "dot", left, right, contract=contract, batch=((), ()), dtype=self.dtype
        )

    def filter_gradient(self, x: Value, g: Value) -> Value:
        """x (n, h, w, groups x in) with g (n, oh, ow, groups x out) to (in, kh, kw, groups x out).

        Where positions are counted by x's stride (the dilation of g), taps by its dilation.
        """
        scope, groups = self.scope, self.batches
        stride, spacing = self.dilation, self.stride
        size, made = x.shape[1:3], g.shape[1:3]
        taps = [extent(size[i], made[i], spacing[i], self.pad[i], stride[i]) for i in range(2)]
        inside = all(edge <= 0 for row in self.pad for edge in row)
        channels, out = x.shape[3] // groups, g.shape[3]
        if taps == [1, 1] and groups == 1 and inside and g.type.size:
            x = self._positions(x, stride, made)
            product = self._dot(x, g, ((0, 1, 2), (0, 1, 2)))
            return scope.reshape(product, (channels, 1, 1, out))
        pads = exact_pads(size, made, taps, stride, spacing, [low for low, _ in self.pad])
        w = scope.op(
            "conv_filter", x, g, stride=stride, pad=pads, dilation=spacing, groups=groups,
            dtype=self.dtype, kernel=tuple(taps),
        )  # fmt: skip
        w = _transposed(scope, w, (3, 1, 2, 0, 4))
        return scope.reshape(w, (channels, *taps, out))


def _images(scope: Scope, value: Value, first: int, spatial: Sequence[int], last: int) -> Value:
    """Dimensions `first`, the spatial ones, `last`; those of rows and columns that miss are 1."""
    value = _transposed(scope, value, (first, *spatial, last))
    ones = (1,) * (2 - len(spatial))
    return scope.reshape(value, (value.shape[0], *ones, *value.shape[1:]))


def _transposed(scope: Scope, value: Value, order: Sequence[int]) -> Value:
    if tuple(order) == tuple(range(len(order))):
        return value
    return scope.op("transpose", value, permutation=tuple(order))


def _pair(numbers: Sequence[int], missing: int) -> Pair:
    """Of rows and columns; a signal has one row."""
    first, second = ((missing,) * 2 + integers(numbers))[-2:]
    return first, second


def _pairs(rows: Sequence[Sequence[int]]) -> tuple[Sequence[int], ...]:
    return (((0, 0),) * 2 + tuple(map(tuple, rows)))[-2:]


RULES: dict[str, Rule] = {"conv_general_dilated": convolution}
