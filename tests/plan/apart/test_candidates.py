"""All ways to cut one product: none changes a sum, none wants more tiles, the best fits."""

from math import ceil

import numpy as np
import pytest

from tests.plan.apart.test_distribution import few
from tilewright.plan.apart.candidates import candidates, even_blocks
from tilewright.plan.apart.problem import Problem

TILES = 12
PROBLEMS = [
    Problem(20, 30, 1000, "float32", ("mk", "kn")),
    Problem(5, 7, 9, "float32", ("mk", "kn")),
    Problem(40, 1, 3000, "float32", ("mk", "k")),
    Problem(6, 6, 700, "float32", ("mk", "kn"), leaf=16),
]


def nodes(problem):
    """Terms of whole nodes of the law's tree of sums."""
    return {problem.leaf << level for level in range(20)}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_sums_are_cut_where_the_tree_has_a_node(problem):
    found = candidates(problem, few(TILES))
    assert set(found.k.tolist()) <= nodes(problem) | {problem.k}
    assert len(set(found.k.tolist())) > 1 or problem.k <= problem.leaf


def test_what_must_not_be_cut_is_not():
    found = candidates(Problem(20, 30, 1000, "float32", ("mk", "kn"), whole=True), few(TILES))
    assert set(found.k.tolist()) == {1000}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_way_wants_more_tiles_than_there_are(problem):
    found = candidates(problem, few(TILES))
    for number in range(found.m.size):
        way = found.layout(number)
        whole, rest = divmod(problem.k, way.k)
        if way.share:
            used = whole * even_blocks(problem.m, way.m)
            used += even_blocks(problem.m, way.last) if rest else 0
        else:
            used = ceil(problem.m / way.m) * ceil(problem.n / way.serial / way.n)
            used *= whole + bool(rest)
        assert 1 <= used <= TILES
        assert problem.n % way.serial == 0


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_best_is_the_fastest_of_those_that_fit(problem):
    everything = candidates(problem, few(TILES))
    room = int(np.sort(everything.bytes)[everything.bytes.size // 3])
    found = candidates(problem, few(TILES), room)
    best = found.best()
    assert best is not None
    assert found.bytes[best] <= room
    assert found.cycles[best] == found.cycles[found.bytes <= room].min()
    assert candidates(problem, few(TILES), 1).best() is None
