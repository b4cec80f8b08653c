"""Elementwise work cut where the blocks of a buffer end: every element once, and at home."""

from itertools import product as every

import numpy as np
import pytest

from tests.plan.by_hand import calls_of
from tilewright.graph.ir import Builder, Type
from tilewright.plan.apart.recut import recut, whole_of
from tilewright.plan.apart.tiling import Tiling
from tilewright.plan.ir import Call, Family, Loop, Spread, new_var

ROWS, COLUMNS = 12, 10


def call_of(make, shape=(ROWS, COLUMNS), count=1):
    """The last vertex of a graph."""
    b = Builder([Type("float32", shape) for _ in range(count)])
    return calls_of(b.graph([make(b)]))[1][-1]


def added(b):
    return b.op("mul", b.op("add", b.inputs[0], b.inputs[1]), b.inputs[0])


def tiled(leads=(0, 0), blocks=(5, 4), counts=(3, 3), first=2, apart=(3, 1)):
    none = ((0, 0), (0, 0))
    return Tiling((COLUMNS, 1), (ROWS, COLUMNS), leads, blocks, counts, first, apart, none)


def writers(families):
    """Which tile writes each element, and how often it is written."""
    tiles, times = np.full(ROWS * COLUMNS, -1), np.zeros(ROWS * COLUMNS, int)
    for family in families:
        (call,) = family.steps
        out = call.views[-1]
        for place in every(*map(range, family.counts)):
            at = dict(zip(family.vars, place, strict=True))
            start = out.offset + sum(by * at[var] for var, by in out.moves)
            spots = np.array([start])
            for n, step in zip(out.shape, out.strides, strict=True):
                spots = (spots[:, None] + step * np.arange(n)).reshape(-1)
            strides = [axis.stride for axis in family.homes.axes]
            tile = family.homes.first + int(np.dot(place, strides))
            tiles[spots], times[spots] = tile, times[spots] + 1
    return tiles.reshape(ROWS, COLUMNS), times.reshape(ROWS, COLUMNS)


TILINGS = [
    tiled(),
    tiled(leads=(1, 2), blocks=(4, 3), counts=(2, 2), apart=(2, 1)),
    tiled(blocks=(12, 3), counts=(1, 4), first=0, apart=(0, 5)),
]


@pytest.mark.parametrize("tiling", TILINGS)
def test_every_element_once_where_its_block_is_at_home(tiling):
    call = call_of(added, count=2)
    families = recut([call], {call.views[-1].buffer: tiling})
    assert all(isinstance(family, Family) and family.whole is call for family in families)
    tiles, times = writers(families)
    assert (times == 1).all()
    for row, column in every(range(ROWS), range(COLUMNS)):
        blocks = tiling.block_of(0, row), tiling.block_of(1, column)
        assert tiles[row, column] == tiling.first + np.dot(blocks, tiling.apart)


def test_what_reads_all_of_a_buffer_is_cut_as_that_is():
    call = call_of(added, count=2)
    _, times = writers(recut([call], {call.views[0].buffer: tiled()}))
    assert (times == 1).all()


def test_bodies_are_cut_too_and_all_else_stays():
    call = call_of(added, count=2)
    share = call_of(lambda b: b.op("reduce", b.inputs[0], kind="sum", axes=(1,)))
    other = Spread(new_var(), 2, (share,))
    body = Loop(new_var(), 3, (call, other))
    (found,) = recut([body], {call.views[-1].buffer: tiled()})
    assert isinstance(found, Loop)
    *families, last = found.steps
    assert last is other
    assert (writers(families)[1] == 1).all()
    assert recut([body], {}) == (body,)


def test_what_asks_where_it_is_is_not_cut():
    def numbered(b):
        places = b.op("iota", dimension=0, shape=(ROWS, COLUMNS), dtype="float32")
        return b.op("add", b.inputs[0], places)

    call = call_of(numbered)
    assert any(step.op == "iota" for step in call.codelet.expression.instructions)
    assert whole_of([call]) is None
    assert isinstance(recut([call], {call.views[-1].buffer: tiled()})[0], Call)
