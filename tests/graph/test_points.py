"""Points by several numbers are read by one, wherever they lie, where that copies nothing."""

from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.graph.same import assert_same
from tilewright.graph.ir import Graph
from tilewright.graph.points import by_points, merged
from tilewright.machine.catalogue import machine as named
from tilewright.machine.host import host_machine
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 5, 6)).astype(np.float32)
FIRST, SECOND, THIRD = (RANDOM.integers(-9, 9, (3, 7)).astype(np.int32) for _ in range(3))


def numbers(graph: Graph) -> list[int]:
    """How many numbers each gather takes for a point, bodies after their node."""
    found = []
    for node in graph.nodes:
        if node.op == "gather":
            found.append(len(node.params["start_index_map"]))
        for body in node.bodies:
            found += numbers(body)
    return found


def taken(function: Any, *arguments: np.ndarray) -> list[int]:
    traced = trace(function, *arguments)
    return numbers(assert_same(merged, traced.graph, [*traced.constants, *arguments]))


def points(x, indices, index_map, mode, offset=(), collapsed=(0, 1, 2), sizes=(1, 1, 1)):
    dimensions = lax.GatherDimensionNumbers(offset, collapsed, index_map)
    return lax.gather(x, indices, dimensions, sizes, mode=mode, fill_value=7)


@pytest.mark.parametrize("mode", ["clip", "fill", "promise_in_bounds"])
def test_wherever_they_lie(mode):
    assert taken(lambda x, i, j, k: x.at[i, j, k].get(mode=mode), X, FIRST, SECOND, THIRD) == [1]
    assert taken(lambda x, i, j: x.at[i, j].get(mode=mode), X, FIRST, SECOND) == [1]
    assert taken(lambda x, i, j: x.at[:, i, j].get(mode=mode), X, FIRST, SECOND) == [1]
    assert taken(lambda x, i, j: x.at[i, j].get(mode=mode), X > 0, FIRST, SECOND) == [1]
    agree(lambda x, i, j: x.at[:, i, j].get(mode=mode), X, FIRST, SECOND)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_in_any_order_of_numbers_side_by_side(order, mode):
    side_by_side = np.stack([FIRST, SECOND, THIRD], axis=-1)
    assert taken(lambda x, i: points(x, i, order, mode), X, side_by_side) == [1]


def test_windows_along_other_dimensions():
    window = dict(offset=(2,), collapsed=(0, 1), sizes=(1, 1, 4))
    side_by_side = np.stack([FIRST, SECOND], axis=-1)
    assert taken(lambda x, i: points(x, i, (1, 0), "clip", **window), X, side_by_side) == [1]


def test_of_many_arrays():
    def one(x, i, j):
        return x.at[i, j].get(mode="fill", fill_value=7)

    many = jax.vmap(one)
    assert taken(many, X[:3], FIRST, SECOND) == [1]
    agree(many, X[:3], FIRST, SECOND)


def test_inside_a_loop():
    def walk(x, i, j):
        return lax.scan(lambda c, ij: (c + x.at[ij].get(mode="clip"), None), i[0] * 0.0, (i, j))[0]

    assert taken(walk, X[0], FIRST, SECOND) == [1]
    agree(walk, X[0], FIRST, SECOND)


def test_one_number_or_dimensions_that_are_no_neighbours():
    assert taken(lambda x, i: x.at[i].get(mode="clip"), X, FIRST) == [1]
    assert taken(lambda x, i, j: x.at[i, :, j].get(mode="clip"), X, FIRST, SECOND) == [2]


def test_windows_that_are_wider_along_a_number():
    window = dict(offset=(2, 3), collapsed=(2,), sizes=(1, 2, 1))
    side_by_side = np.stack([FIRST, SECOND, THIRD], axis=-1)
    found = taken(lambda x, i: points(x, i, (0, 1, 2), "clip", **window), X, side_by_side)
    assert found == [3]


def test_numbers_that_hold_no_place():
    short = FIRST.astype(np.int8)
    assert taken(lambda x, i: points(x, i, (0, 1, 2), "clip"), X, np.stack(3 * [short], -1)) == [3]


def test_views_stay_views():
    assert taken(lambda x, i, j: x[0].T.at[i, j].get(mode="clip"), X, FIRST, SECOND) == [2]
    assert taken(lambda x, i, j: x[:, 1:4].at[i, j].get(mode="clip"), X, FIRST, SECOND) == [2]


def test_arrays_that_lie_on_several_tiles_stay():
    traced = trace(lambda x, i, j: x.at[i, j].get(mode="clip"), X, FIRST, SECOND)
    assert by_points(traced.graph, named("ipu:gc200")) is traced.graph
    assert numbers(by_points(traced.graph, host_machine())) == [1]
