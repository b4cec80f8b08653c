"""Convolutions in NumPy: their order of sums written out by hand, their phases, their faults."""

from typing import Any

import numpy as np
import pytest

from tilewright.graph.fma import fma32
from tilewright.graph.ir import Builder, Type
from tilewright.graph.law import LEAF, leaf_height
from tilewright.graph.ops import conv
from tilewright.graph.verify import GraphError, verify

RNG = np.random.default_rng(0)
PLAIN: dict[str, Any] = dict(stride=(1, 1), pad=((0, 0), (0, 0)), dilation=(1, 1), dtype="float32")


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def one_by_one(pairs, start=0.0):
    """Fused multiply-adds in the order given."""
    total = np.float32(start)
    for a, b in pairs:
        total = fma32(np.float32(a), np.float32(b), total)
    return total


def joined(leaves):
    """Adjacent pairs, level by level."""
    while len(leaves) > 1:
        pairs = [a + b for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = [*pairs, *leaves[2 * len(pairs) :]]
    return leaves[0]


def test_terms_are_positions_row_by_row_with_all_their_channels_in_leaves_of_256():
    x, w = numbers(1, 3, 4, 90), numbers(1, 3, 3, 90, 2)
    found = conv.conv(x, w, **PLAIN, groups=1)
    pairs = [
        (x[0, i, 1 + j, c], w[0, i, j, c, 1]) for i in range(3) for j in range(3) for c in range(90)
    ]
    leaves = [one_by_one(pairs[i : i + LEAF]) for i in range(0, len(pairs), LEAF)]
    assert len(leaves) == 4
    assert found[0, 0, 1, 1] == joined(leaves)
    assert found[0, 0, 1, 1] != one_by_one(pairs)


def test_positions_of_a_filter_gradient_are_in_leaves_of_rows_of_one_image():
    assert (leaf_height(100), leaf_height(256), leaf_height(300), leaf_height(0)) == (2, 1, 1, 256)
    x, g = numbers(2, 5, 101, 1), numbers(2, 5, 100, 1)
    found = conv.conv_filter(x, g, **PLAIN, groups=1, kernel=(1, 2))
    leaves = [
        one_by_one([(x[n, y, z + 1, 0], g[n, y, z, 0]) for y in rows for z in range(100)])
        for n in range(2)
        for rows in ((0, 1), (2, 3), (4,))
    ]
    assert found[0, 0, 1, 0, 0] == joined(leaves)


def test_a_data_gradient_takes_the_taps_of_its_phase_in_the_order_of_what_is_read():
    g, w = numbers(1, 1, 4, 3), numbers(1, 1, 5, 2, 3)
    params: dict[str, Any] = dict(
        stride=(1, 2), pad=((0, 0), (1, 2)), dilation=(1, 1), dtype="float32"
    )
    found = conv.conv_data(g, w, **params, groups=1, size=(1, 8))
    # Position 4 is read by taps 5, 3, 1 of outputs at 0, 1, 2: tap = 4 + 1 - 2 * output.
    pairs = [(g[0, 0, o, c], w[0, 0, 5 - 2 * o, 1, c]) for o in (1, 2) for c in range(3)]
    assert found[0, 0, 4, 1] == one_by_one(pairs)
    pairs = [(g[0, 0, o, c], w[0, 0, 6 - 2 * o, 0, c]) for o in (1, 2, 3) for c in range(3)]
    assert found[0, 0, 5, 0] == one_by_one(pairs)


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 2), (2, 4), (4, 6)])
def test_phases_cover_every_position_and_tap_once(stride, dilation):
    size, taps, low = 11, 4, 2
    made = conv.extent(size, taps, stride, (low, 3), dilation)
    found = set()
    for phase in conv.phases(size, made, taps, stride, low, dilation):
        for q in range(phase.count):
            for number, tap in enumerate(phase.taps):
                output = q + number * phase.dilation - phase.pad[0]
                if 0 <= output < made:
                    found.add((phase.start + q * stride, tap, output))
    expected = {
        (y, tap, output)
        for output in range(made)
        for tap in range(taps)
        if 0 <= (y := output * stride + tap * dilation - low) < size
    }
    assert found == expected


def node(op, shapes, **params):
    builder = Builder(Type("float32", shape) for shape in shapes)
    return builder.graph([builder.op(op, *builder.inputs, **params)])


def test_what_fits_is_no_fault():
    verify(node("conv", [(2, 5, 6, 4), (2, 3, 3, 2, 3)], **PLAIN, groups=2))
    verify(node("conv_data", [(2, 3, 4, 6), (2, 3, 3, 2, 3)], **PLAIN, groups=2, size=(5, 6)))
    verify(node("conv_filter", [(2, 5, 6, 4), (2, 3, 4, 6)], **PLAIN, groups=2, kernel=(3, 3)))
    window: dict[str, Any] = dict(kind="max", size=(2, 2), stride=(1, 1), pad=((0, 0), (0, 0)))
    verify(node("window", [(2, 5, 6, 4)], **window, dilation=(1, 1)))
    verify(node("window_scatter", [(2, 5, 6, 4), (2, 4, 5, 4)], **window))


FAULTS = {
    "an image has dimensions": ("conv", [(5, 6, 4), (2, 3, 3, 2, 3)], dict(groups=2)),
    "a kernel has dimensions": ("conv", [(2, 5, 6, 4), (3, 3, 2, 3)], dict(groups=2)),
    "a kernel for 6 channels meets 4": ("conv", [(2, 5, 6, 4), (3, 3, 3, 2, 3)], dict(groups=3)),
    "a kernel for 6 channels meets 5": (
        "conv_data", [(2, 3, 4, 5), (2, 3, 3, 2, 3)], dict(groups=2, size=(5, 6)),
    ),
    "no convolution of that size": (
        "conv_data", [(2, 3, 4, 6), (2, 3, 3, 2, 3)], dict(groups=2, size=(6, 6)),
    ),
    "channels are not a multiple": (
        "conv_filter", [(2, 5, 6, 4), (2, 3, 4, 5)], dict(groups=2, kernel=(3, 3)),
    ),
    "a gradient of 2 images of": (
        "conv_filter", [(2, 5, 6, 4), (2, 3, 3, 6)], dict(groups=2, kernel=(3, 3)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_faults(message):
    op, shapes, params = FAULTS[message]
    builder = Builder(Type("float32", shape) for shape in shapes)
    wrong = builder.add(op, builder.inputs, [Type("float32", ())], **PLAIN, **params)
    with pytest.raises(GraphError, match=message):
        verify(builder.graph(wrong))
