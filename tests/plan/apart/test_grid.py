"""Blocks of a grid: every element is in one, every block is at home once."""

from itertools import product
from math import ceil, prod

import numpy as np
import pytest

from tilewright.plan import views
from tilewright.plan.apart.grid import block, combinations, even, runs, sizes
from tilewright.plan.ir import Buffer, new_var


@pytest.mark.parametrize(("length", "size"), [(7, 7), (7, 3), (6, 3), (3, 5), (1, 1)])
def test_runs_are_the_length_once(length, size):
    covered = [
        run.start + i * run.size + j
        for run in runs(length, size)
        for i in range(run.count)
        for j in range(run.size)
    ]
    assert covered == list(range(length))
    numbers = [run.block + i for run in runs(length, size) for i in range(run.count)]
    assert numbers == list(range(ceil(length / size)))


def test_blocks_have_homes_of_their_own_in_row_major_order():
    lengths, steps = (7, 5, 4), (3, 2, 4)
    parts = [ceil(n / size) for n, size in zip(lengths, steps, strict=True)]
    found = {}
    for chosen, homes in combinations(lengths, steps):
        for place in product(*(range(run.count) for run in chosen)):
            number = [run.block + i for run, i in zip(chosen, place, strict=True)]
            tile = homes.first + sum(
                i // axis.per_tile * axis.stride for i, axis in zip(place, homes.axes, strict=True)
            )
            found[tuple(number)] = tile
    everything = list(product(*map(range, parts)))
    assert found == {number: i for i, number in enumerate(everything)}


def test_sizes_are_each_once_and_not_too_many():
    np.testing.assert_array_equal(sizes(10, 4), [3, 4, 5, 10])
    many = sizes(100_000, 5_000)
    assert len(many) <= 24
    assert (many[0], many[-1]) == (20, 100_000)
    assert (np.diff(many) > 0).all()


@pytest.mark.parametrize(("shape", "tiles"), [((12, 10), 7), ((5, 9, 2), 8), ((3, 3), 100)])
@pytest.mark.parametrize("whole", [(), (1,)])
def test_even_blocks_are_the_smallest_that_tiles_can_have(shape, tiles, whole):
    def parts(found):
        return prod(ceil(n / size) for n, size in zip(shape, found, strict=True))

    chosen = even(shape, tiles, whole)
    choices = [[n] if i in whole else range(1, n + 1) for i, n in enumerate(shape)]
    least = min(prod(some) for some in product(*choices) if parts(some) <= tiles)
    assert parts(chosen) <= tiles
    assert prod(chosen) == least
    assert all(chosen[i] == shape[i] for i in whole)


@pytest.mark.parametrize(("step", "window"), [(1, 1), (2, 3)])
def test_a_block_touches_the_windows_of_its_outputs(step, window):
    outputs, var = 7, new_var()
    length = (outputs - 1) * step + window
    view = views.whole(Buffer("float32", 2 * length, "shared"), (2, length))
    for run in runs(outputs, 3):
        part = block(view, 1, run, var, step, window)
        for number in range(run.count):
            moved = sum(by * number for _, by in part.moves)
            first = (run.start + number * run.size) * step
            assert part.offset + moved == first
            assert part.shape == (2, (run.size - 1) * step + window)
            assert first + part.shape[1] <= length
