"""Blocks of a grid: together they are the operand, each element as often as its axes say."""

from itertools import product

import numpy as np
import pytest

from tests.plan.by_hand import calls_of
from tilewright.graph.ir import Builder, Type
from tilewright.plan.apart.blocks import blocks
from tilewright.plan.apart.cutting import cutting
from tilewright.plan.apart.grid import runs
from tilewright.plan.ir import new_var

M, N, K = 24, 48, 70


@pytest.fixture(scope="module")
def cut():
    b = Builder([Type("float32", (M, K)), Type("float32", (K, N))])
    params = dict(contract=((1,), (0,)), batch=((), ()), accumulate="float32")
    _, (*_, call) = calls_of(b.graph([b.op("dot", *b.inputs, **params)]))
    return cutting(call)


def places(view, values):
    """Positions in its buffer of a view's elements, for such values of its variables."""
    start = view.offset + sum(values[var] * step for var, step in view.moves)
    grid = np.indices(view.shape).reshape(len(view.shape), -1)
    return start + np.array(view.strides) @ grid


@pytest.mark.parametrize("sizes", [(24, 48, 70), (5, 48, 70), (7, 10, 32)])
def test_blocks_are_the_operand(cut, sizes):
    counts = [np.zeros(view.buffer.size, int) for view in cut.call.views[:3]]
    every = [runs(n, size) for n, size in zip((M, N, K), sizes, strict=True)]
    for grid in product(*every):
        along = dict(zip("mnk", grid, strict=True))
        vars = {name: new_var() for name in "mnk"}
        found = blocks(cut, cut.call.views, along, vars, ())
        for values in product(*(range(run.count) for run in grid)):
            here = dict(zip(vars.values(), values, strict=True))
            for count, view in zip(counts, found, strict=False):
                np.add.at(count, places(view, here), 1)
    pieces = [-(-n // size) for n, size in zip((M, N, K), sizes, strict=True)]
    for count, others in zip(counts, (pieces[1], pieces[0], pieces[2]), strict=True):
        assert set(count[count > 0]) == {others}
    assert [int((count > 0).sum()) for count in counts] == [M * K, K * N, M * N]


def test_loops_around_a_grid_go_on_from_there(cut):
    (m,), (n,), (k,) = runs(M, M), runs(N, N), runs(7, 7)
    vars, turn = {name: new_var() for name in "mnk"}, new_var()
    along = {"m": m, "n": n, "k": k}
    left, right, out = blocks(cut, cut.call.views[:3], along, vars, ((turn, "k", 7),))
    values = dict.fromkeys(vars.values(), 0)
    first = [places(view, {**values, turn: 0}) for view in (left, right, out)]
    third = [places(view, {**values, turn: 2}) for view in (left, right, out)]
    assert (third[0] - first[0] == 14 * cut.call.views[0].strides[1]).all()
    assert (third[1] - first[1] == 14 * cut.call.views[1].strides[0]).all()
    np.testing.assert_array_equal(third[2], first[2])
