"""Homes by boxes: every element in one block, messages that bring each element once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.plan.apart.test_boxes import elements
from tilewright.dump import Dump
from tilewright.graph.by_law import by_law
from tilewright.machine import machine
from tilewright.plan.apart.tiling import Span, Tiling
from tilewright.plan.ir import Buffer, View, dense_strides, new_var
from tilewright.plan.sources import calls_of
from tilewright.stages import Stages
from tilewright.trace import trace

LENGTHS = (13, 11, 3)
SIZE = int(np.prod(LENGTHS))
BUFFER = Buffer("float32", SIZE, "shared")


def tiling(rims=((1, 1), (2, 0), (0, 0)), leads=(1, 0, 0)):
    """Blocks of 4 x 5 of an image with a border of one row above and below."""
    counts = -(-(13 - 2 * leads[0]) // 4), 3, 1
    apart = (counts[1], 1, 0)
    return Tiling(dense_strides(LENGTHS), LENGTHS, leads, (4, 5, 3), counts, 2, apart, rims)


def homes_of(tiles):
    """Of each element of the buffer: where it is at home, from the definition."""
    found = np.zeros(SIZE, np.int64)
    for number, where in enumerate(np.ndindex(*LENGTHS)):
        at = 0
        for axis, x in enumerate(where):
            lead, size, count = tiles.leads[axis], tiles.blocks[axis], tiles.counts[axis]
            block = min(max((x - lead) // size, 0), count - 1)
            local = x - lead - block * size + tiles.room[axis][0]
            at += block * tiles.block_steps[axis] + local * dense_strides(tiles.shape)[axis]
        found[number] = at
    return found


def all_elements(view, vars, counts):
    """Of every message of a family."""
    found = []
    for point in np.ndindex(*counts):
        values = dict(zip(vars, point, strict=True))
        found.append(elements(view) + sum(values[var] * step for var, step in view.moves))
    return np.concatenate(found) if found else np.zeros(0, np.int64)


@pytest.mark.parametrize("leads", [(0, 0, 0), (1, 0, 0)])
def test_each_element_has_a_place_of_its_own(leads):
    tiles = tiling(leads=leads)
    places = homes_of(tiles)
    assert np.unique(places).size == SIZE
    assert places.max() < tiles.homes.blocks * np.prod(tiles.shape)


@pytest.mark.parametrize("leads", [(0, 0, 0), (1, 0, 0)])
@pytest.mark.parametrize(
    ("start", "shape", "steps", "counts"),
    [
        ((0, 0, 0), LENGTHS, (0, 0), (1, 1)),  # all of it
        ((1, 0, 0), (4, 5, 3), (4, 5), (2, 2)),  # blocks, or across them
        ((0, 0, 0), (6, 7, 3), (4, 4), (2, 2)),  # blocks with what lies around them
        ((2, 1, 1), (1, 9, 1), (3, 0), (3, 1)),  # rows that cross all blocks
    ],
)
def test_messages_bring_each_element_once(leads, start, shape, steps, counts):
    tiles, strides = tiling(leads=leads), dense_strides(LENGTHS)
    home = Buffer("float32", tiles.homes.blocks * int(np.prod(tiles.shape)), "home")
    vars = [new_var() for _ in counts]
    many = dict(zip(vars, counts, strict=True))
    moves = tuple(
        (v, s * strides[i]) for i, (v, s) in enumerate(zip(vars, steps, strict=True)) if s
    )
    far = View(
        BUFFER, shape, strides, sum(a * b for a, b in zip(start, strides, strict=True)), moves
    )
    size, inside = int(np.prod(shape)), dense_strides(shape)
    place = Buffer("float32", size * int(np.prod(counts)), "shared")
    own = tuple((v, size * n) for v, n, s in zip(vars, (counts[1], 1), steps, strict=True) if s)
    near = View(place, shape, inside, 0, own)
    brought = np.full(place.size, -1)
    places = homes_of(tiles)
    for cut in tiles.moves(far, near, home, many):
        to = all_elements(cut.place, cut.vars, cut.counts)
        assert (brought[to] == -1).all()
        brought[to] = all_elements(cut.blocks, cut.vars, cut.counts)
    if all(steps) or size == SIZE:
        wanted = all_elements(far, vars, counts)
        assert np.array_equal(np.sort(brought), np.sort(places[wanted]))
    assert np.array_equal(brought[:size], places[elements(far)])


def test_few_families_whatever_the_number_of_blocks():
    """Along a dimension: the first block, those in between, the last; rims before and after."""
    tiles = Tiling((1,), (1002,), (1,), (10,), (100,), 0, (1,), ((1, 1),))
    assert len(tiles.pieces(0, Span(0, 1002))) == 3
    assert len(tiles.pieces(0, Span(0, 12, new_var(), 10, 100))) == 5
    assert len(tiles.pieces(0, Span(1, 10, new_var(), 10, 100))) == 1


def test_what_is_no_box_has_no_spans():
    tiles = tiling()
    assert tiles.spans(View(BUFFER, (SIZE,), (1,)), {}) is None
    assert tiles.spans(View(BUFFER, (2, 3), (33, 33)), {}) is None
    assert tiles.spans(View(BUFFER, (2, 12), (33, 3)), {}) is None, "past the end of a row"


def test_what_an_instance_has_itself_is_in_no_run_with_what_others_have():
    """Three columns around each block of two: its own are of one run, at its own distance."""
    tiles = Tiling((1,), (12,), (0,), (2,), (6,), 0, (1,), ((2, 2),))
    pieces = tiles.pieces(0, Span(0, 6, new_var(), 2, 4))
    distances = [{piece.steps[1] - piece.steps[0] for piece in pieces if piece.count > 1}]
    assert distances == [{0}]
    reached = {piece.j - piece.i: piece.count for piece in pieces}
    assert reached == {0: 4, 1: 4, 2: 4}


def test_blocks_of_one_column_have_their_rows_along_the_lanes():
    """What a product asks for in columns is made in columns: 128 neighbours, not 128 lines of 1."""
    x = jax.ShapeDtypeStruct((8192, 22), np.float32)
    graph = by_law(trace(lambda x: x.T @ jnp.tanh(x), x).graph, "fine")
    program, _ = Stages(graph, Dump("test"), machine=machine("ipu:gc200")).lowered
    made = [call.codelet.shape for call in calls_of(program.steps) if "tanh" in call.codelet.name]
    assert made
    assert set(made) == {(128,)}
