"""Convolutions and windows to codelets: images with borders, kernels with channels side by side.

In: a node whose images are (n, h, w, channels) and whose kernel is (groups, kh, kw, in, out). Out:
one vertex, before it the copies that put a border around an image or lay a kernel out for lanes; of
a data gradient, one vertex for each phase of its stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tilewright.codelets.base import LANES
from tilewright.codelets.convolution import Convolution, FilterGradient, Window, WindowScatter
from tilewright.codelets.convolution.pairs import are_words
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.graph.ir import Node, Type, numpy_dtype
from tilewright.graph.law import accumulation_dtype, identity
from tilewright.plan import views
from tilewright.plan.basic import fill_codelet, operand
from tilewright.plan.borders import Pads, pads_of, phases_of, zero
from tilewright.plan.ir import View
from tilewright.plan.kernels import across, across_in_words, in_words, side_by_side
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope


def lower_conv(scope: Scope, node: Node) -> None:
    image, kernel = _sides(scope, node)
    target = _grouped(scope.target(node.output), kernel.shape[0])
    _convolve(scope, image, kernel, target, node.params)


def lower_conv_with_epilogue(
    scope: Scope, node: Node, expression: Expression, beside: Sequence[View], outs: Sequence[View]
) -> bool:
    """A convolution whose sums go through an expression; False where strides forbid it.

    What is beside it may have another shape (a signal is an image of one row).
    """
    shape = node.output.shape
    sides = [view for each in (*beside, *outs) if (view := views.reshape(each, shape)) is not None]
    near = all(_is_near(_grouped(view, node.params["groups"])) for view in sides)
    if len(sides) < len(beside) + len(outs) or not near:
        return False
    image, kernel = _sides(scope, node)
    grouped = [_grouped(view, kernel.shape[0]) for view in sides]
    read, written = grouped[: len(beside)], grouped[len(beside) :]
    out, *more = map(operand, written)
    codelet = Convolution(
        operand(image), operand(kernel), out, node.params["stride"], node.params["dilation"],
        expression, tuple(map(operand, read)), tuple(more), node.params.get("pairs", False),
        _padding(node.params),
    )  # fmt: skip
    scope.call(codelet, [image, kernel, *read], written)
    return True


def _convolve(
    scope: Scope, image: View, kernel: View, target: View, params: Mapping[str, Any]
) -> None:
    codelet = Convolution(
        operand(image), operand(kernel), operand(target), params["stride"], params["dilation"],
        paired=params.get("pairs", False), padding=_padding(params),
    )  # fmt: skip
    scope.call(codelet, [image, kernel], [target])


def _padding(params: Mapping[str, Any]) -> Pads:
    """Rows and columns of zeros around the image that a convolution reads."""
    rows, columns = ((max(0, low), max(0, high)) for low, high in params["pad"])
    return rows, columns


def _sides(scope: Scope, node: Node) -> tuple[View, View]:
    """The image with its border and the kernel, as the codelet reads them."""
    image, kernel = (scope.view(value) for value in node.inputs)
    image, pixels = _bordered(scope, image, node.params["pad"]), prod(node.output.shape[:3])
    if node.params.get("pairs"):
        image, kernel = _word_image(scope, image), in_words(scope, kernel, pixels)
    else:
        kernel = side_by_side(scope, kernel, pixels)
    return _read_by(kernel, image, node.params["groups"]), kernel


def _read_by(kernel: View, image: View, groups: int) -> View:
    """An image of so many groups, which all panels of a kernel read where it has one."""
    grouped, panels = _grouped(image, groups), kernel.shape[0]
    if groups == panels:
        return grouped
    *around, _, channels = grouped.shape
    strides = (*grouped.strides[:3], 0, grouped.strides[4])
    return replace(grouped, shape=(*around, panels, channels), strides=strides)


def _word_image(scope: Scope, image: View) -> View:
    """With pairs of channels one after the other."""
    return image if are_words(image.shape, image.strides) else scope.dense(image)


def _is_near(side: View) -> bool:
    """Whether neighbours along the channels of all groups lie side by side, or are one."""
    *_, groups, channels = side.shape
    group, channel = side.strides[3:]
    if not ((groups == 1 or group) or (channels == 1 or channel)):
        return True
    return (channels == 1 or channel == 1) and (groups == 1 or group == channels)


def lower_conv_data(scope: Scope, unit: Unit) -> None:
    """Phase by phase, from one image with as much border as any of them reads."""
    (node,) = unit.nodes
    given, kernel = (scope.view(value) for value in node.inputs)
    params, pairs = node.params, bool(node.params.get("pairs"))
    pixels = prod(node.output.shape[:3])
    kernel = (across_in_words if pairs else across)(scope, kernel, pixels)
    target = _grouped(scope.target(node.output), kernel.shape[0])
    phases = phases_of(node)
    read = [pair for pair in phases if all(phase.taps for phase in pair)]
    most = pads_of(node)
    image = _bordered(scope, given, most) if read else given
    image = _word_image(scope, image) if pairs else image
    for pair in phases:
        rows, columns = pair
        part = views.window(
            target,
            (0, rows.start, columns.start, 0, 0),
            (target.shape[0], rows.count, columns.count, *target.shape[3:]),
            (1, *params["stride"], 1, 1),
        )
        if pair not in read:
            scope.call(fill_codelet(np.zeros((), numpy_dtype(part.dtype)), part), [], [part])
            continue
        low = [most[i][0] - pair[i].pad[0] for i in (0, 1)]
        size = [given.shape[1 + i] + sum(pair[i].pad) for i in (0, 1)]
        here = views.window(image, (0, *low, 0), (image.shape[0], *size, image.shape[3]))
        taps = [phase.taps for phase in pair]
        turned = views.window(
            kernel,
            (0, taps[0][0], taps[1][0], *(0,) * len(kernel.shape[3:])),
            (kernel.shape[0], len(taps[0]), len(taps[1]), *kernel.shape[3:]),
            (1, *(t[1] - t[0] if len(t) > 1 else 1 for t in taps), *(1,) * len(kernel.shape[3:])),
        )
        spaced = {
            "stride": (1, 1), "dilation": (rows.dilation, columns.dilation), "pairs": pairs,
            "pad": (rows.pad, columns.pad),
        }  # fmt: skip
        _convolve(scope, _read_by(kernel, here, params["groups"]), turned, part, spaced)


def lower_conv_filter(scope: Scope, unit: Unit) -> None:
    """Groups of few outputs come side by side, and are put where the result wants them."""
    (node,) = unit.nodes
    image, gradient = (scope.view(value) for value in node.inputs)
    params, groups = node.params, node.params["groups"]
    image = _grouped(_bordered(scope, image, params["pad"]), groups)
    gradient = _grouped(_dense_channels(scope, gradient), groups)
    wanted = scope.free_destination(node.output)
    _, kh, kw, channels, out = node.output.shape
    merged = groups > 1 and out < LANES
    if merged:
        made = scope.new(Type(node.output.dtype, (kh, kw, channels, groups, out)))
        made = views.transpose(made, (3, 0, 1, 2, 4))
    else:
        made = wanted or scope.new(node.output.type)
    codelet = FilterGradient(
        operand(image), operand(gradient), operand(made), params["stride"], params["dilation"],
        params.get("pairs", False),
    )  # fmt: skip
    scope.call(codelet, [image, gradient], [made])
    if merged and wanted is not None:
        scope.copy(made, wanted)
        made = wanted
    scope.put(node.output, made)


def lower_window(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    params, image = node.params, scope.view(node.inputs[0])
    image = _bordered(scope, image, params["pad"], identity(params["kind"], image.dtype))
    target = scope.target(node.output)
    codelet = Window(
        params["kind"], operand(image), operand(target), params["size"], params["stride"],
        params["dilation"],
    )  # fmt: skip
    scope.call(codelet, [image], [target])


def lower_window_scatter(scope: Scope, unit: Unit) -> None:
    """Sums with a border of their own, in the dtype that sums are kept in."""
    (node,) = unit.nodes
    image, gradient = (scope.view(value) for value in node.inputs)
    params, target = node.params, scope.target(node.output)
    pad, size = params["pad"], image.shape[1:3]
    image = _bordered(scope, image, pad, identity(params["kind"], image.dtype))
    sums = scope.new(Type(accumulation_dtype(target.dtype), image.shape))
    scope.call(fill_codelet(np.zeros((), numpy_dtype(sums.dtype)), sums), [], [sums])
    codelet = WindowScatter(
        params["kind"], operand(image), operand(gradient), operand(sums), params["size"],
        params["stride"],
    )  # fmt: skip
    scope.call(codelet, [image, gradient], [sums])
    kept = tuple(max(0, n + min(0, a) + min(0, b)) for n, (a, b) in zip(size, pad, strict=True))
    inside = views.window(
        sums, (0, *(max(0, low) for low, _ in pad), 0), (sums.shape[0], *kept, sums.shape[3])
    )
    if kept != size:
        scope.call(fill_codelet(np.zeros((), numpy_dtype(target.dtype)), target), [], [target])
    place = views.window(target, (0, *(max(0, -low) for low, _ in pad), 0), inside.shape)
    _convert(scope, inside, place)


def _convert(scope: Scope, source: View, target: View) -> None:
    """A copy, rounded to the target's dtype."""
    if source.dtype == target.dtype:
        scope.copy(source, target)
    elif source.size:
        step = Instruction("convert", (0,), target.dtype)
        expression = Expression((source.dtype,), (step,), (1,))
        codelet = Elementwise(expression, source.shape, (source.strides,), (target.strides,))
        scope.call(codelet, [source], [target])


def _grouped(image: View, groups: int) -> View:
    """(n, h, w, groups, channels)."""
    *around, channels = image.shape
    shaped = views.reshape(image, (*around, groups, channels // groups))
    if shaped is None:  # strides of an image with repeated rows: only its channels are cut
        step = image.strides[3]
        shape = (*around, groups, channels // groups)
        return replace(image, shape=shape, strides=(*image.strides[:3], shape[4] * step, step))
    return shaped


def _dense_channels(scope: Scope, image: View) -> View:
    return image if image.strides[3] == 1 or image.shape[3] == 1 else scope.dense(image)


def _bordered(
    scope: Scope, image: View, pad: Sequence[Sequence[int]], fill: np.ndarray | None = None
) -> View:
    """The image with `pad` ((low, high) of rows, of columns) around it, cropped if negative."""
    (top, bottom), (left, right) = pad
    border = scope.borders.get(image)
    n, h, w, channels = image.shape
    if border is not None and fill is None and border.holds(pad):
        size = (n, max(0, h + top + bottom), max(0, w + left + right), channels)
        (above, _), (before, _) = border.pads
        return views.window(border.whole, (0, above - top, before - left, 0), size)
    start = (0, max(0, -top), max(0, -left), 0)
    inside = (n, h - start[1] + min(0, bottom), w - start[2] + min(0, right), channels)
    whole = (n, max(0, h + top + bottom), max(0, w + left + right), channels)
    if whole == inside:
        return _dense_channels(scope, views.window(image, start, inside))
    value = zero(image.dtype) if fill is None else fill
    if min(inside) <= 0 or not prod(whole):
        made = scope.new(Type(image.dtype, whole))
        scope.call(fill_codelet(value, made), [], [made])
        return made
    pads = (max(0, top), max(0, bottom)), (max(0, left), max(0, right))
    made = scope.bordered(Type(image.dtype, inside), pads, value)
    scope.copy(views.window(image, start, inside), made.inside)
    return made.whole


KINDS = {
    "conv_data": lower_conv_data,
    "conv_filter": lower_conv_filter,
    "window": lower_window,
    "window_scatter": lower_window_scatter,
}
