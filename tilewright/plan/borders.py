"""Padding is a place: what a padded convolution reads is written inside a border of zeros.

In: a graph, and values as they are computed. Out: a buffer with room around the image, of which the
middle is where the value goes, so that no copy puts the border there later. Always: the border is
zeros from before the value is written until it was read last; a pixel's pitch is no power of two of
cache lines, or rows and columns of neighbours would meet in few sets of a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import Graph, Node, Value, numpy_dtype
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.ops.conv import Phase, phase_pairs
from tilewright.plan import views
from tilewright.plan.ir import View, dense_strides

CACHE_LINE = 64
FEWEST_LINES = 4
"""Lines of a pixel from which on a power of two of them crowds."""
READERS = ("conv", "conv_filter", "conv_data")

Pads = tuple[tuple[int, int], tuple[int, int]]
"""(low, high) of rows and of columns."""


@frozen
class Border:
    """`inside` is where the value lies in the `whole`, which has `pads` around it."""

    whole: View
    inside: View
    pads: Pads

    def holds(self, pads: Sequence[Sequence[int]]) -> bool:
        """Whether it is as wide everywhere."""
        sides = zip(self.pads, pads, strict=True)
        return all(a >= b for row in sides for a, b in zip(*row, strict=True))


def bordered_values(graph: Graph) -> dict[Value, Pads]:
    """Values that elementwise nodes make for padded convolutions, and at most such nodes beside.

    With as much border as any of them reads; who reads less of it has a window.
    """
    producers, readers = graph.producers(), graph.readers()
    found: dict[Value, Pads] = {}
    for node in graph.nodes:
        value = node.inputs[0] if node.op in READERS else None
        maker = producers.get(value) if value is not None else None
        if value is None or maker is None or maker.op not in ELEMENTWISE or value in found:
            continue
        images = (reader for reader in readers[value] if reader and _is_image(reader, value))
        wanted = [pads_of(reader) for reader in images]
        pads = _widest([((0, 0), (0, 0)), *wanted])
        some = any(min(map(min, one)) >= 0 and any(map(any, one)) for one in wanted)
        if some and all(map(_reads_lines(value), readers[value])):
            found[value] = pads
    return found


def _is_image(reader: Node, value: Value) -> bool:
    return reader.op in READERS and reader.inputs[0] is value


def pads_of(node: Node) -> Pads:
    """What a convolution reads around its image; of a data gradient, any of its phases."""
    if node.op != "conv_data":
        return node.params["pad"]
    found = [
        (rows.pad, columns.pad) for rows, columns in phases_of(node) if rows.taps and columns.taps
    ]
    return _widest(found or [((0, 0), (0, 0))])


def _widest(pads: Sequence[Pads]) -> Pads:
    """On every side, the most that any has."""
    (top, bottom), (left, right) = (
        (max(one[axis][0] for one in pads), max(one[axis][1] for one in pads)) for axis in (0, 1)
    )
    return (top, bottom), (left, right)


def phases_of(node: Node) -> list[tuple[Phase, Phase]]:
    """Of a data gradient's rows and columns."""
    given, kernel = (value.shape for value in node.inputs)
    names = ("stride", "pad", "dilation")
    rest = (node.params[name] for name in names)
    return list(phase_pairs(node.params["size"], given[1:3], kernel[1:3], *rest))


def _reads_lines(value: Value) -> Callable[[Node | None], bool]:
    """Whether a reader minds no gaps between the lines of an image."""

    def reads(node: Node | None) -> bool:
        if node is None:
            return False
        gradient = node.op == "conv_filter" and value in node.inputs
        return node.op in ELEMENTWISE or _is_image(node, value) or gradient

    return reads


def whole_shape(shape: Sequence[int], pads: Pads) -> tuple[int, ...]:
    n, h, w, channels = shape
    return (n, h + sum(pads[0]), w + sum(pads[1]), channels)


def strides_of(shape: Sequence[int], dtype: str) -> tuple[int, ...]:
    """Row-major, a line more between pixels where these would crowd."""
    line = CACHE_LINE // numpy_dtype(dtype).itemsize
    lines, rest = divmod(shape[-1], line)
    crowded = not rest and lines >= FEWEST_LINES and lines & (lines - 1) == 0
    return dense_strides((*shape[:-1], shape[-1] + crowded * line))


def inside_of(whole: View, shape: tuple[int, ...], pads: Pads) -> View:
    """The middle of a bordered image."""
    return views.window(whole, (0, pads[0][0], pads[1][0], 0), shape)


def edges_of(whole: View, shape: Sequence[int], pads: Pads) -> Iterator[View]:
    """What lies above, below, left and right of the middle."""
    n, height, width, channels = whole.shape
    (y, _), (x, _), (_, h, w, _) = pads[0], pads[1], shape
    for start, size in (
        ((0, 0, 0, 0), (n, y, width, channels)),
        ((0, y + h, 0, 0), (n, height - y - h, width, channels)),
        ((0, y, 0, 0), (n, h, x, channels)),
        ((0, y, x + w, 0), (n, h, width - x - w, channels)),
    ):
        if prod(size):
            yield views.window(whole, start, size)


def zero(dtype: str) -> np.ndarray:
    return np.zeros((), numpy_dtype(dtype))
