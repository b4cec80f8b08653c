"""A codelet made again for other strides does the same, and reads where it is told to."""

import numpy as np
import pytest

from tests.plan.by_hand import calls_of
from tilewright.graph.ir import Builder, Type, numpy_dtype
from tilewright.plan.again import KINDS, made_again
from tilewright.plan.ir import Buffer, Call, View

RNG = np.random.default_rng(5)
MATRIX = Type("float32", (6, 10))


def elementwise(b):
    return [b.op("mul", b.op("exp", b.inputs[0]), b.inputs[1])]


def sums(b):
    return [b.op("reduce", b.op("abs", b.inputs[0]), kind="sum", axes=(1,))]


def largest(b):
    return [b.op("reduce", b.inputs[0], kind="max", axes=(0,))]


def products(b):
    return [b.op("dot", *b.inputs, contract=((1,), (1,)), batch=((), ()), accumulate="float32")]


def only_call(make) -> Call:
    """The first vertex of such a program that a grid may cut."""
    b = Builder([MATRIX, MATRIX])
    _, calls = calls_of(b.graph(make(b)))
    return next(call for call in calls if isinstance(call.codelet, KINDS))


def apart(view: View) -> View:
    """As far from each other in a larger buffer: every third element, from the seventh on."""
    strides = tuple(3 * step for step in view.strides)
    return View(Buffer(view.dtype, 3 * view.buffer.size + 7, "shared"), view.shape, strides, 7)


@pytest.mark.parametrize("make", [elementwise, sums, largest, products])
def test_other_strides_give_the_same_values(make):
    call = only_call(make)
    views = [apart(view) for view in call.views]
    again = made_again(call.codelet, views)
    count = len(call.codelet.inputs)
    inputs = [RNG.normal(size=v.shape).astype(numpy_dtype(v.dtype)) for v in call.views[:count]]
    expected = call.codelet.meaning(*inputs)
    for ours, theirs in zip(again.meaning(*inputs), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    made = [*again.inputs, *again.outputs]
    assert [side.strides for side in made] == [view.strides for view in views[: len(made)]]


@pytest.mark.parametrize("make", [elementwise, sums, largest])
def test_its_own_strides_make_the_same_codelet(make):
    call = only_call(make)
    assert made_again(call.codelet, call.views) == call.codelet


def test_a_sum_of_fewer_rows_has_fewer_results():
    call = only_call(sums)
    rows, out = call.views[0], call.views[-1]
    assert rows.shape == (6, 10)
    views = [View(rows.buffer, (4, 10), rows.strides), View(out.buffer, (4,), out.strides)]
    (result,) = made_again(call.codelet, views).meaning(np.ones((4, 10), np.float32))
    np.testing.assert_array_equal(result, np.full(4, 10.0))
