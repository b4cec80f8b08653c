"""Where blocks are at home: every block has one place, copies are whole sets of tiles."""

import numpy as np
import pytest

from tilewright.plan.homes import Axis, Homes, evenly

SOME = [
    Homes(),
    Homes(3, (Axis(5),)),
    Homes(1, (Axis(10, 4),)),
    Homes(0, (Axis(4, 2, 6), Axis(6, 1, 1))),
    Homes(2, (Axis(3, 1, 8), Axis(5, 2, 1)), ((2, 4),)),
]


@pytest.mark.parametrize("homes", SOME)
def test_no_two_blocks_have_one_place(homes):
    blocks = np.arange(homes.blocks)
    places = set(zip(homes.tile(blocks).tolist(), homes.slot(blocks).tolist(), strict=True))
    assert len(places) == homes.blocks
    assert homes.slot(blocks).max() < homes.slots


@pytest.mark.parametrize("homes", SOME)
def test_tiles_are_those_of_all_blocks_and_copies(homes):
    every = homes.tile(np.arange(homes.blocks))[:, None] + homes.copy_tiles()
    assert homes.tiles().tolist() == sorted(set(every.reshape(-1).tolist()))


def test_neighbours_share_a_tile():
    homes = Homes(1, (Axis(10, 4),))
    assert homes.tile(np.arange(10)).tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert homes.slot(np.arange(10)).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_an_even_spread_leaves_no_tile_with_more_than_its_share():
    homes = evenly(10, 4)
    assert np.bincount(homes.tile(np.arange(10))).tolist() == [3, 3, 3, 1]
