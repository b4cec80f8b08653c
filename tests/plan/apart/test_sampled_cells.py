"""Cells of a product with zero blocks: all that is wanted, once, as much for each as for all."""

import numpy as np
import pytest

from tilewright.plan.apart.sampled_cells import Sizes, cells

STREWN = np.random.default_rng(3).random((64, 64)) < 0.25


def plain(**changed):
    return Sizes(**({"height": 16, "band": 16, "wide": 1, "bus": 1} | changed))


def covered(found, shape, height):
    """How many cells have each block."""
    count = np.zeros(shape, int)
    for cell in found:
        rows = slice(cell.top // height, cell.below // height)
        count[cell.panel : cell.panel + len(cell.kept), rows] += 1
    return count


@pytest.mark.parametrize(
    ("height", "band", "wide", "down"),
    [(16, 16, 1, 64), (4, 16, 1, 63), (1, 16, 1, 40), (16, 32, 2, 63)],
)
def test_all_that_is_wanted_is_in_one_cell(height, band, wide, down):
    kept = np.random.default_rng(down).random((7, down)) < 0.2
    found = cells(kept, plain(height=height, band=band, wide=wide), 40)
    assert found is not None
    count = covered(found, kept.shape, height)
    assert count.max() == 1
    assert count[kept].all()
    assert sum(sum(cell.counts) for cell in found) == kept.sum()
    assert len(found) <= 40


def test_no_cell_has_more_than_another_may():
    """By bands of the same rows the busiest had 2.5 times the mean."""
    found = cells(STREWN, plain(), 368)
    assert found is not None
    most = max(sum(cell.counts) for cell in found)
    assert most == -(-STREWN.sum() // 368) + 1
    assert len(found) <= 368


def test_thick_panels_have_more_cells():
    kept = np.zeros((8, 64), bool)
    kept[0], kept[1:, 5] = True, True
    found = cells(kept, plain(), 39)
    assert found is not None
    assert sum(cell.panel == 0 for cell in found) == 32
    assert max(sum(cell.counts) for cell in found) == 2


def test_no_tile_waits_for_a_panel_alone():
    """Neighbours of one panel share what comes to both."""
    kept = np.zeros((3, 8), bool)
    kept[0, [0, 3, 6]] = kept[1, 2] = True
    found = cells(kept, plain(bus=2), 12)
    assert found is not None
    numbers = [[cell.number for cell in found if cell.panel == panel] for panel in (0, 1)]
    assert numbers == [[0, 1, 2, 3], [4, 5]]


def test_more_panels_than_tiles():
    assert cells(STREWN, plain(), 63) is None
    assert cells(STREWN, plain(wide=2, band=32), 63) is not None


def test_nothing_is_wanted():
    assert cells(np.zeros((4, 8), bool), plain(), 8) == []
