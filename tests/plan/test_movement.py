"""Padding and putting together: what is left is copied once, what is cropped is never read."""

import numpy as np
import pytest

from tests.plan.by_hand import calls_of, run
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type

X = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
FILL = np.array(-1, np.float32)

PADS = [
    ((1, 0), (0, 2), (0, 0)),
    ((0, 0), (0, 0), (2, 1)),
    ((-1, 0), (0, -2), (0, 0)),
    ((-2, 1), (1, -3), (1, 2)),
    ((-3, -1), (5, 0), (1, 0)),
    ((2, -4), (-1, 3), (0, 3)),
]


def padded(low, high, interior):
    b = Builder([Type("float32", X.shape), Type("float32", ())])
    return b.graph([b.op("pad", *b.inputs, low=low, high=high, interior=interior)])


@pytest.mark.parametrize(("low", "high", "interior"), PADS)
def test_padding_of_any_sign(low, high, interior):
    graph = padded(low, high, interior)
    program, calls = calls_of(graph)
    (expected,) = evaluate(graph, [X, FILL])
    (found,) = run(program, [X, FILL])
    np.testing.assert_array_equal(found, expected.reshape(-1))
    *_, copy = calls
    assert copy.views[0].size == (expected != FILL).sum(), "of what is left, and no more"


def test_where_all_is_cropped_nothing_is_copied():
    graph = padded((-4, 0), (3, 0), (0, 0))
    program, calls = calls_of(graph)
    (found,) = run(program, [X, FILL])
    assert (found == FILL).all()
    assert len(calls) == 1


@pytest.mark.parametrize("dimension", [0, 1])
def test_parts_lie_side_by_side(dimension):
    b = Builder([Type("float32", X.shape)] * 2)
    turned = b.op("reverse", b.inputs[1], dimensions=(0, 1))
    graph = b.graph([b.op("concatenate", b.inputs[0], turned, dimension=dimension)])
    program, calls = calls_of(graph)
    (expected,) = evaluate(graph, [X, -X])
    (found,) = run(program, [X, -X])
    np.testing.assert_array_equal(found, expected.reshape(-1))
    assert sum(call.views[-1].size for call in calls) == expected.size, "each is written once"
