"""Windows over images, each channel's by themselves: their shapes, their meaning, their work.

    window         (x) -> y     kind (sum prod max min) size stride pad dilation: each channel's
                                windows, combined one after the other, row by row
    window_scatter (x, g) -> x  kind (max min) size stride pad: adds each g to its window's first
                                extreme, window after window; the gradient of such a window

Images are NHWC, and parameters are as in `conv.py`; what lies outside takes part as the kind's
identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Node, Type, numpy_dtype
from tilewright.graph.ops.across import combination
from tilewright.graph.ops.conv import Pads, Pair, extents, image_faults, patches
from tilewright.graph.ops.operation import Operation, typed
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count


def _of_windows(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    n, *size, channels = operands[0].shape
    return (n, *extents(size, params["size"], params), channels)


def _window_faults(node: Node) -> Iterator[str]:
    yield from image_faults(node, node.inputs)
    made = _of_windows([value.type for value in node.inputs], node.params)
    if node.op == "window_scatter" and node.inputs[1].shape != made:
        yield f"a gradient of {made} is expected"


def window(
    x: np.ndarray, *, kind: str, size: Pair, stride: Pair, pad: Pads, dilation: Pair
) -> np.ndarray:
    working = law.accumulation_dtype(x.dtype.name)
    start = law.identity(kind, x.dtype.name)
    read = patches(x, size, stride, pad, dilation, 1, start)
    terms = read.reshape(*read.shape[:3], prod(size), x.shape[3]).astype(numpy_dtype(working))
    result = np.full((*terms.shape[:3], x.shape[3]), law.identity(kind, working))
    for tap in range(prod(size)):
        result = law.combine(kind, result, terms[:, :, :, tap])
    return result.astype(x.dtype)


def window_scatter(
    x: np.ndarray,
    g: np.ndarray,
    *,
    kind: str,
    size: Pair,
    stride: Pair,
    pad: Pads,
    sums: np.ndarray | None = None,
) -> np.ndarray:
    """An element is taken where no earlier one is as extreme, or where that one is NaN.

    They are added to `sums` (zeros, if nothing is given).
    """
    dtype = law.accumulation_dtype(x.dtype.name) if sums is None else sums.dtype.name
    (top, bottom), (left, right) = pad
    n, h, w, channels = x.shape
    shape = (n, h + max(0, top) + max(0, bottom), w + max(0, left) + max(0, right), channels)
    total = np.zeros(shape, numpy_dtype(dtype)) if sums is None else np.array(sums)
    chosen = _extremes(x, kind, size, stride, pad)
    first = max(0, -top), max(0, -left)
    for row, column in np.ndindex(chosen.shape[1:3]):
        for tap in range(prod(size)):
            y = first[0] + row * stride[0] + tap // size[1]
            z = first[1] + column * stride[1] + tap % size[1]
            more = law.combine("sum", total[:, y, z], g[:, row, column].astype(total.dtype))
            total[:, y, z] = np.where(chosen[:, row, column] == tap, more, total[:, y, z])
    if sums is None:
        total = total[:, max(0, top) :, max(0, left) :][:, :h, :w].astype(x.dtype)
    return total


def _extremes(x: np.ndarray, kind: str, size: Pair, stride: Pair, pad: Pads) -> np.ndarray:
    """The number of each window's first extreme, row by row."""
    read = patches(x, size, stride, pad, (1, 1), 1, law.identity(kind, x.dtype.name))
    terms = read.reshape(*read.shape[:3], prod(size), x.shape[3])
    chosen = np.zeros((*terms.shape[:3], x.shape[3]), np.int32)
    best = terms[:, :, :, 0] if prod(size) else chosen
    for tap in range(1, prod(size)):
        term = terms[:, :, :, tap]
        stays = SCALAR["ge" if kind == "max" else "le"](best, term, dtype="bool")
        best, chosen = np.where(stays, best, term), np.where(stays, chosen, tap)
    return chosen


def _combinations(node: Node) -> Count:
    """What is done with each element of each window."""
    windows = node.inputs[1] if node.op == "window_scatter" else node.output
    key = combination(node.params["kind"]), node.output.dtype
    return Count(operations={key: windows.type.size * prod(node.params["size"])}, iterations=1)


ROWS = {
    "window": Operation(typed(_of_windows), window, _combinations, faults=_window_faults),
    "window_scatter": Operation(
        typed(lambda operands, params: operands[0].shape),
        window_scatter,
        _combinations,
        faults=_window_faults,
    ),
}
