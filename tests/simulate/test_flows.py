"""Bytes of exchanges, against what can be counted by hand, and element by element."""

import numpy as np
import pytest

from tilewright.machine.links import hops, torus
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Move, View, new_var
from tilewright.simulate.flows import flows
from tilewright.simulate.messages import pairs, totals


def home(block, homes):
    return Buffer("float32", block * homes.blocks, "home", homes=homes)


def tile_of(buffer, block):
    return int(buffer.homes.tile(block))


def whole(buffer):
    return View(buffer, (buffer.size,), (1,))


def test_a_broadcast_is_sent_once_and_received_by_all():
    x, y = home(10, Homes(2)), home(10, Homes(0, (), ((8, 1),)))
    found = flows([Move(whole(x), whole(y))], 8, 8)
    assert found.sent.tolist() == [0, 0, 40, 0, 0, 0, 0, 0]
    assert found.received.tolist() == [40, 40, 0, 40, 40, 40, 40, 40]
    assert found.local.tolist()[2] == 40


def test_a_gather_is_received_by_one():
    x, y = home(10, Homes(0, (Axis(4),))), home(40, Homes(1))
    found = flows([Move(whole(x), whole(y))], 4, 4)
    assert found.received.tolist() == [0, 120, 0, 0]
    assert found.sent.tolist() == [40, 0, 40, 40]


def test_neighbours_on_a_bus_get_the_same_twice_as_fast():
    x, y = home(10, Homes(7)), home(10, Homes(0, (), ((4, 1),)))
    found = flows([Move(whole(x), whole(y))], 8, 8, bus=2)
    assert found.shared.tolist()[:4] == [40] * 4
    assert not found.received.any()


def test_families_that_get_the_same_are_told_once():
    """A block to tiles 0 and 2, and the same to 1 and 3: neighbours listen together."""
    x = home(10, Homes(7))
    targets = [home(10, Homes(first, (), ((2, 2),))) for first in (0, 1)]
    found = flows([Move(whole(x), whole(y)) for y in targets], 8, 8, bus=2)
    assert found.sent.tolist()[7] == 40
    assert found.shared.tolist()[:4] == [40] * 4


def test_chips_get_once_what_any_of_their_tiles_gets():
    x, y = home(10, Homes(0)), home(10, Homes(0, (), ((8, 1),)))
    found = flows([Move(whole(x), whole(y))], 8, 4)
    assert found.links.tolist() == [40, 40]


@pytest.mark.parametrize("seed", range(6))
def test_links_carry_each_element_once_to_each_chip_that_listens(seed):
    """Blocks of any size that two families listen to, element by element: four chips of four."""
    random = np.random.default_rng(seed)
    x = home(int(random.integers(3, 9)), Homes(int(random.integers(5)), (Axis(8),)))
    run, count = int(random.integers(1, 7)), 4
    targets = [
        home(
            run, Homes(int(random.integers(3)), (Axis(count),), ((int(random.integers(1, 4)), 4),))
        )
        for _ in range(2)
    ]
    v, inward, outward, furthest = new_var(), np.zeros(4), np.zeros(4), 0
    moves = [
        Move(
            View(x, (run,), (1,), 0, ((v, run),)), View(y, (run,), (1,), 0, ((v, run),)), (v,),
            (count,),
        )
        for y in targets
    ]  # fmt: skip
    for element in range(run * count):
        at = tile_of(x, element // x.block) // 4
        tiles = {
            tile_of(y, element // run) + int(copy)
            for y in targets
            for copy in (y.homes or Homes()).copy_tiles()
        }
        for there in {tile // 4 for tile in tiles} - {at}:
            inward[there] += 4
            outward[at] += 4
            furthest = max(furthest, int(hops(np.array(at), np.array(there), 4)))
    found = flows(moves, 16, 4)
    assert found.links.tolist() == np.maximum(inward, outward).tolist()
    assert found.hops == furthest


def test_hops_on_a_torus():
    assert [torus(n) for n in (1, 2, 4, 16, 64, 7)] == [
        (1, 1),
        (1, 2),
        (2, 2),
        (4, 4),
        (8, 8),
        (1, 7),
    ]
    chips = np.arange(64)
    far = hops(np.zeros(64, int), chips, 64)
    assert far.max() == 8
    assert far[[0, 1, 7, 8, 56, 63]].tolist() == [0, 1, 1, 1, 1, 2]
    assert (far == hops(chips, np.zeros(64, int), 64)).all()


def test_the_hosts_bytes_are_counted_apart():
    x = Buffer("float32", 10, "input", 0)
    found = flows([Move(whole(x), whole(home(10, Homes(0))))], 4, 4)
    assert (found.host, found.passed) == (40, 0)


@pytest.mark.parametrize("seed", range(8))
def test_bytes_are_those_of_elements_one_by_one(seed):
    """Strided rows of blocks of any size, from grids to grids."""
    random = np.random.default_rng(seed)
    x = home(int(random.integers(1, 9)), Homes(0, (Axis(12, int(random.integers(1, 4))),)))
    y = home(int(random.integers(1, 9)), Homes(1, (Axis(12, 2),)))
    v, rows, step = new_var(), 3, int(random.integers(1, 4))
    length = max(1, min(x.size, y.size) // (rows * 4))
    source = View(x, (2, length), (length * 2, step if step * length <= length * 2 else 1))
    source = View(x, source.shape, source.strides, 0, ((v, length),))
    target = View(y, (2, length), (length, 1), 0, ((v, 2 * length),))
    if rows * 2 * length > y.size or source.strides[1] * length * 3 + length * 2 > x.size:
        source, target = View(x, (1, 1), (1, 1)), View(y, (1, 1), (1, 1))
    move = Move(source, target, (v,), (rows,)) if target.moves else Move(source, target)
    sent, received = np.zeros(16), np.zeros(16)
    for turn in range(rows if target.moves else 1):
        for i, j in np.ndindex(*source.shape):
            ends = []
            for view in (source, target):
                first = view.offset + sum(s * turn for _, s in view.moves)
                element = first + i * view.strides[0] + j * view.strides[1]
                assert view.buffer.homes is not None
                ends.append(int(view.buffer.homes.tile(element // view.buffer.block)))
            if ends[0] != ends[1]:
                sent[ends[0]] += 4
                received[ends[1]] += 4
    found = flows([move], 16, 16)
    assert found.sent.tolist() == sent.tolist()
    assert found.received.tolist() == received.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_totals_of_a_gather_are_those_of_its_messages(seed):
    """Each of some sums is brought together from all parts: two sides that move apart."""
    random = np.random.default_rng(seed)
    parts, sums, pitch = (int(n) for n in random.integers(2, 9, size=3))
    sums = min(sums, pitch)
    x = home(pitch, Homes(0, (Axis(parts, int(random.integers(1, 3))),)))
    y = home(parts, Homes(int(random.integers(4)), (Axis(sums, int(random.integers(1, 3))),)))
    v = new_var()
    move = Move(
        View(x, (parts,), (pitch,), 0, ((v, 1),)), View(y, (parts,), (1,), 0, ((v, parts),)),
        (v,), (sums,),
    )  # fmt: skip
    found = totals(move, 16)
    froms, tos, sizes = pairs(move)
    assert found is not None
    assert found.sent.tolist() == np.bincount(froms, sizes, 16).tolist()
    assert found.received.tolist() == np.bincount(tos, sizes, 16).tolist()
    assert found.own.tolist() == np.bincount(froms, sizes * (froms == tos), 16).tolist()
