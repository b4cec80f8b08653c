"""Convolutions of images: their shapes, their meaning, their work.

Images are NHWC: x (n, h, w, groups x in), g (n, oh, ow, groups x out), groups outermost among the
channels; a signal of one dimension has h = 1. Kernels w are (groups, kh, kw, in, out).

    conv        (x, w) -> g     stride pad dilation groups dtype [, pairs=]
    conv_data   (g, w) -> x     the same, and size = (h, w) of x: the gradient for x, and what is
                                called a transposed convolution
    conv_filter (x, g) -> w     the same, and kernel = (kh, kw): the gradient for w

`stride`, `dilation`, `size` and `kernel` are (rows, columns), `pad` is ((low, high), (low, high)),
negative where it crops. Output y of a row reads x at y * stride + tap * dilation - low. What lies
outside takes part as a zero. The order of sums is said in `law.py`; the kernel of a `conv` that
takes input channels in `pairs` is (groups, kh, kw, in / 2, out, 2); that of a `conv_data`, whose
pairs are of output channels, is as it always is, and so is that which a `conv_filter` gives, whose
pairs are of positions in a row.

A data gradient is as many plain convolutions as the stride has phases (`phases`): rows of x that
lie a stride apart read the same taps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import gcd, prod
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph import law
from tilewright.graph.ir import Node, Type, Value, numpy_dtype
from tilewright.graph.ops.movement import pad as pad_array
from tilewright.graph.ops.operation import Operation, typed
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count, narrow

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


# Shapes.


def extent(size: int, taps: int, stride: int, pad: Pair, dilation: int = 1) -> int:
    """How many windows of so many taps there are along one dimension."""
    return max(0, (size + sum(pad) - reach(taps, dilation)) // stride + 1)


def reach(taps: int, dilation: int) -> int:
    """From the first place that a window reads to behind the last."""
    return (taps - 1) * dilation + 1 if taps else 0


def extents(size: Sequence[int], taps: Sequence[int], params: Mapping[str, Any]) -> Pair:
    """The same along both."""
    dilation = params.get("dilation", (1, 1))
    rows, columns = (
        extent(size[i], taps[i], params["stride"][i], params["pad"][i], dilation[i])
        for i in range(2)
    )
    return rows, columns


def exact_pads(
    size: Sequence[int],
    made: Sequence[int],
    taps: Sequence[int],
    stride: Pair,
    dilation: Pair,
    low: Sequence[int] = (0, 0),
) -> Pads:
    """Pads of which the high ones end where the last of `made` windows does."""
    rows, columns = (
        (low[i], (made[i] - 1) * stride[i] + reach(taps[i], dilation[i]) - size[i] - low[i])
        for i in range(2)
    )
    return rows, columns


def _conv_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    (n, *size, _), (groups, *taps, _, out) = operands[0].shape, operands[1].shape[:5]
    return (n, *extents(size, taps, params), groups * out)


def _conv_data_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    groups, _, _, channels, _ = operands[1].shape
    return (operands[0].shape[0], *params["size"], groups * channels)


def _conv_filter_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    groups = params["groups"]
    channels, out = (t.shape[3] // groups for t in operands)
    return (groups, *params["kernel"], channels, out)


# Faults.


def _conv_faults(node: Node) -> Iterator[str]:
    yield from image_faults(node, node.inputs[:1])
    yield from _kernel_faults(node, 3)


def _conv_data_faults(node: Node) -> Iterator[str]:
    yield from image_faults(node, node.inputs[:1])
    yield from _kernel_faults(node, 4)
    given, kernel = (value.shape for value in node.inputs)
    if given[1:3] != extents(node.params["size"], kernel[1:3], node.params):
        yield "no convolution of that size makes an image of this one"


def _conv_filter_faults(node: Node) -> Iterator[str]:
    yield from image_faults(node, node.inputs)
    if any(value.shape[3] % node.params["groups"] for value in node.inputs):
        yield "channels are not a multiple of the groups"
    if node.params.get("pairs") and {value.dtype for value in node.inputs} != {"bfloat16"}:
        yield "pairs are of bfloat16"
    image, given = (value.shape for value in node.inputs)
    made = (image[0], *extents(image[1:3], node.params["kernel"], node.params))
    if given[:3] != made:
        yield f"a gradient of {made[0]} images of {made[1:]} is expected"


def image_faults(node: Node, images: Sequence[Value]) -> Iterator[str]:
    """Of nodes with images (n, h, w, channels) among their operands."""
    if len(node.inputs) != (1 if node.op == "window" else 2):
        yield "has other operands"
    if any(len(value.shape) != 4 for value in images):
        yield "an image has dimensions (n, h, w, channels)"


def _kernel_faults(node: Node, side: int) -> Iterator[str]:
    """`side` is the kernel's dimension that runs along the channels that are given."""
    image, kernel = (value.shape for value in node.inputs)
    if node.params.get("pairs") and node.op == "conv_data":
        if {value.dtype for value in node.inputs} != {"bfloat16"} or kernel[4] % 2:
            yield "pairs are of bfloat16, and of an even number of channels"
    elif node.params.get("pairs"):
        if {value.dtype for value in node.inputs} != {"bfloat16"} or kernel[5:] != (2,):
            yield "pairs are of bfloat16, in a kernel (groups, kh, kw, in / 2, out, 2)"
        kernel = unpaired(kernel)
    if len(kernel) != 5 or kernel[0] != node.params["groups"]:
        yield "a kernel has dimensions (groups, kh, kw, in, out)"
    if image[3] != kernel[0] * kernel[side]:
        yield f"a kernel for {kernel[0] * kernel[side]} channels meets {image[3]}"


def unpaired(kernel: Sequence[int]) -> tuple[int, ...]:
    """The shape (groups, kh, kw, in, out) of a kernel in pairs."""
    groups, kh, kw, pairs, out, two = kernel
    return (groups, kh, kw, two * pairs, out)


# Phases of a data gradient.


@frozen
class Phase:
    """Rows start, start + stride, ... of x, `count` of them, read `taps` of the kernel in turn.

    They are a convolution of g with these taps at stride 1: with this `pad` and `dilation`.
    """

    start: int
    count: int
    taps: tuple[int, ...]
    pad: Pair
    dilation: int


def phases(size: int, given: int, taps: int, stride: int, low: int, dilation: int) -> list[Phase]:
    """Of a dimension of `size` in x and of `given` in g; those without taps stay zero."""
    found = []
    spacing = dilation // gcd(stride, dilation)
    for start in range(min(stride, size)):
        count = -(-(size - start) // stride)
        read = tuple(i for i in reversed(range(taps)) if not (start + low - i * dilation) % stride)
        if not read:
            found.append(Phase(start, count, (), (0, 0), 1))
            continue
        first = (start + low - read[0] * dilation) // stride
        last = first + (len(read) - 1) * spacing + count - 1
        found.append(Phase(start, count, read, (-first, last - given + 1), spacing))
    return found


# Meaning.


def conv(
    x: np.ndarray,
    w: np.ndarray,
    *,
    stride: Pair,
    pad: Pads,
    dilation: Pair,
    groups: int,
    dtype: str,
    pairs: bool = False,
) -> np.ndarray:
    working = law.dot_working_dtype(x.dtype.name, w.dtype.name, dtype)
    if pairs:
        w = np.moveaxis(w, 5, 4).reshape(unpaired(w.shape))
    sums = _sums(x, w, stride, pad, dilation, working, "pairs" if pairs else "sequence")
    return SCALAR["convert"](sums, dtype=dtype)


def _sums(
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    pad: Pads,
    dilation: Pair,
    working: str,
    order: str = "sequence",
) -> np.ndarray:
    """A convolution in the dtype that it is summed in."""
    groups, *taps, channels, out = w.shape
    read = patches(x, (taps[0], taps[1]), stride, pad, dilation, groups)
    n, oh, ow = read.shape[:3]
    terms = prod(taps) * channels
    left = np.moveaxis(read, 3, 0).reshape(groups, n * oh * ow, terms)
    right = w.reshape(groups, terms, out).swapaxes(1, 2)
    sums = law.product(left, right, order, working).reshape(groups, n, oh, ow, out)
    return np.moveaxis(sums, 0, 3).reshape(n, oh, ow, groups * out)


def patches(
    x: np.ndarray, taps: Pair, stride: Pair, pad: Pads, dilation: Pair, groups: int, fill: Any = 0
) -> np.ndarray:
    """What each output reads: (n, oh, ow, groups, kh, kw, in)."""
    n, *size, channels = x.shape
    low, high = ((0, pad[0][i], pad[1][i], 0) for i in range(2))
    image = pad_array(x, np.asarray(fill, x.dtype), low=low, high=high, interior=(0,) * 4)
    oh, ow = extents(size, taps, {"stride": stride, "pad": pad, "dilation": dilation})
    shape = (n, oh, ow, *taps, channels)
    if not prod(shape):
        return np.zeros((n, oh, ow, groups, *taps, channels // groups), x.dtype)
    image = np.ascontiguousarray(image)
    a, b, c, d = image.strides
    steps = (a, b * stride[0], c * stride[1], b * dilation[0], c * dilation[1], d)
    read = np.lib.stride_tricks.as_strided(image, shape, steps)
    return np.moveaxis(read.reshape(*shape[:5], groups, channels // groups), 5, 3)


def conv_data(
    g: np.ndarray,
    w: np.ndarray,
    *,
    stride: Pair,
    pad: Pads,
    dilation: Pair,
    groups: int,
    dtype: str,
    size: Pair,
    pairs: bool = False,
) -> np.ndarray:
    working = law.dot_working_dtype(g.dtype.name, w.dtype.name, dtype)
    order = "pairs" if pairs else "sequence"
    result = np.zeros((g.shape[0], *size, groups * w.shape[3]), numpy_dtype(working))
    for rows, columns in phase_pairs(size, g.shape[1:3], w.shape[1:3], stride, pad, dilation):
        if rows.taps and columns.taps:
            part = w[:, rows.taps][:, :, columns.taps].swapaxes(3, 4)
            pads, spacing = (rows.pad, columns.pad), (rows.dilation, columns.dilation)
            result[:, rows.start :: stride[0], columns.start :: stride[1]] = _sums(
                g, part, (1, 1), pads, spacing, working, order
            )
    return SCALAR["convert"](result, dtype=dtype)


def phase_pairs(
    size: Sequence[int],
    given: Sequence[int],
    taps: Sequence[int],
    stride: Pair,
    pad: Pads,
    dilation: Pair,
) -> Iterator[tuple[Phase, Phase]]:
    """Phases of rows with those of columns."""
    rows, columns = (
        phases(size[i], given[i], taps[i], stride[i], pad[i][0], dilation[i]) for i in range(2)
    )
    return ((a, b) for a in rows for b in columns)


def conv_filter(
    x: np.ndarray,
    g: np.ndarray,
    *,
    stride: Pair,
    pad: Pads,
    dilation: Pair,
    groups: int,
    dtype: str,
    kernel: Pair,
    pairs: bool = False,
) -> np.ndarray:
    working = law.dot_working_dtype(x.dtype.name, g.dtype.name, dtype)
    n, oh, ow, out = g.shape
    channels = x.shape[3] // groups
    left = patches(x, kernel, stride, pad, dilation, groups)
    left = left.reshape(n, oh, ow, groups, prod(kernel) * channels)
    right = g.reshape(n, oh, ow, groups, out // groups)
    if pairs:
        left, right = (array[:, :, law.turned(ow)] for array in (left, right))
    height = law.leaf_height(ow)
    leaves = [
        tuple(_positions(array[i, row : row + height]) for array in (left, right))
        for i in range(n)
        for row in range(0, oh, height)
    ]
    sums = law.sum_of_leaves(leaves, (groups, left.shape[4], right.shape[4]), n * oh * ow, working)
    shape = (groups, *kernel, channels, out // groups)
    return SCALAR["convert"](sums, dtype=dtype).reshape(shape)


def _positions(rows: np.ndarray) -> np.ndarray:
    """(rows, columns, ...) as (positions, ...)."""
    return rows.reshape(rows.shape[0] * rows.shape[1], *rows.shape[2:])


# Work.


def _products(node: Node) -> Count:
    """Multiply-adds, those with padding among them (2 flops each)."""
    kernel = (node.output if node.op == "conv_filter" else node.inputs[1]).shape
    pairs = node.params.get("pairs")
    key = narrow("bfloat16", "bfloat16", "float32", pairs) if pairs else node.inputs[0].dtype
    kernel = unpaired(kernel) if pairs and node.op == "conv" else kernel
    made = {"conv": node.output, "conv_data": node.inputs[0], "conv_filter": node.inputs[1]}
    macs = made[node.op].type.size * prod(kernel[1:4])
    return Count(macs={key: macs}, iterations=1)


ROWS = {
    "conv": Operation(typed(_conv_shape), conv, _products, faults=_conv_faults, flushes=True),
    "conv_data": Operation(
        typed(_conv_data_shape), conv_data, _products, faults=_conv_data_faults, flushes=True
    ),
    "conv_filter": Operation(
        typed(_conv_filter_shape), conv_filter, _products, faults=_conv_filter_faults, flushes=True
    ),
}
