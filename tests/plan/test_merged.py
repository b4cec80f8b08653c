"""Sums over several axes as sums over one: the same places, hence the same bits."""

import numpy as np
import pytest

from tilewright.codelets.expression import Expression
from tilewright.codelets.reduce import Reduce
from tilewright.plan import views
from tilewright.plan.ir import Buffer, Call, View, dense_strides
from tilewright.plan.merged import merged

RANDOM = np.random.default_rng(0)


def reduced(shape, axes, kind="sum", strides=None):
    out = tuple(n for i, n in enumerate(shape) if i not in axes)
    strides = strides or dense_strides(shape)
    expression = Expression(("float32",), (), (0,))
    codelet = Reduce(kind, expression, shape, axes, (strides,), dense_strides(out))
    source = View(Buffer("float32", 10_000, "shared"), shape, strides)
    return Call(codelet, (source, views.whole(Buffer("float32", 1_000, "shared"), out)))


def value(call, memory):
    source = call.views[0]
    bytes_apart = tuple(4 * step for step in source.strides)
    array = np.lib.stride_tricks.as_strided(memory, source.shape, bytes_apart)
    return call.codelet.meaning(array)[0]


@pytest.mark.parametrize(
    ("shape", "axes", "left"),
    [
        ((6, 5, 40), (1, 2), (6, 200)),
        ((6, 5, 40), (0,), (6, 200)),
        ((6, 5, 40), (0, 1), (30, 40)),
        ((2, 3, 1, 70), (0, 1), (6, 70)),
        ((30,), (0,), (30,)),
    ],
)
@pytest.mark.parametrize("kind", ["sum", "max"])
def test_neighbours_are_one(shape, axes, left, kind):
    call = reduced(shape, axes, kind)
    one = merged(call)
    assert one is not None
    assert one.codelet.shape == left
    memory = RANDOM.normal(size=10_000).astype(np.float32)
    before, after = value(call, memory), value(one, memory)
    assert after.tobytes() == before.tobytes()
    assert one.views[1].shape == after.shape


@pytest.mark.parametrize(
    ("shape", "axes", "strides"),
    [
        ((6, 5, 40), (0, 2), None),  # of the first and the last there is none between
        ((6, 5, 40), (1, 2), (400, 80, 1)),  # rows apart
        ((6, 5), (), None),
    ],
)
def test_what_does_not_lie_together_stays(shape, axes, strides):
    assert merged(reduced(shape, axes, strides=strides)) is None
