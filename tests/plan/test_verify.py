"""Programs with homes that are wrong, each in one way: what is said about them."""

from dataclasses import replace

import pytest

from tests.simulate.programs import plus
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Exchange, Family, Loop, Move, Program, View, new_var
from tilewright.plan.memory import place_buffers
from tilewright.plan.verify import faults

TILES, MEMORY = 8, 4096
ROWS = Homes(0, (Axis(8),))


def home(block, homes=ROWS):
    return Buffer("float32", block * homes.blocks, "home", homes=homes)


def program(*steps):
    placed = place_buffers(steps)
    return Program(
        tuple(placed.offsets), (), (), steps, placed.offsets, 0, placed.tile_bytes, TILES
    )


def row(buffer, var, shape=(4,), strides=(1,), offset=0, step=None):
    return View(buffer, shape, strides, offset, ((var, step or buffer.block),))


def family(var, *calls, homes=ROWS):
    return Family((var,), homes.extents, homes, calls)


def said(*steps, memory=MEMORY):
    return " ".join(faults(program(*steps), memory))


def test_rows_on_their_own_tiles_are_sound():
    v, x, y = new_var(), home(4), home(4)
    assert faults(program(family(v, plus([row(x, v)], row(y, v)))), MEMORY) == []


@pytest.mark.parametrize(
    "homes",
    [
        Homes(1, (Axis(8),)),
        Homes(0, (Axis(8, 2),)),
        Homes(0, (Axis(8, 1, 2),)),
        Homes(),
    ],
)
def test_an_operand_elsewhere_is_found(homes):
    v, x, y = new_var(), home(4, homes), home(4)
    source = row(x, v) if homes.axes else View(x, (4,), (1,))
    assert "tiles away" in said(family(v, plus([source], row(y, v))))


def test_a_neighbours_row_is_found_and_said_to_be_one_away():
    v, x, y = new_var(), home(4, Homes(0, (Axis(9),))), home(4)
    source = replace(row(x, v), offset=4)
    assert "1 tiles away" in said(family(v, plus([source], row(y, v))))


def test_a_view_over_the_end_of_a_block_is_found():
    v, x, y = new_var(), home(4), home(4)
    assert "over the end" in said(family(v, plus([replace(row(x, v), offset=1)], row(y, v))))


def test_copies_serve_every_instance_but_may_not_be_written():
    v, x, y = new_var(), home(4, Homes(0, (), ((8, 1),))), home(4)
    whole = View(x, (4,), (1,))
    assert said(family(v, plus([whole], row(y, v)))) == ""
    assert "one of several copies" in said(family(v, plus([row(y, v)], whole)))
    few = View(home(4, Homes(0, (), ((7, 1),))), (4,), (1,))
    assert "7 tiles away" in said(family(v, plus([few], row(y, v))))


def test_a_grid_of_three_axes():
    """Blocks of a product's operands: (i, l) is on the tiles (i, any j, l)."""
    i, j, k = (new_var() for _ in range(3))
    grid = Homes(0, (Axis(2, 1, 4), Axis(2, 1, 2), Axis(2, 1, 1)))
    left = home(4, Homes(0, (Axis(2, 1, 4), Axis(2, 1, 1)), ((2, 2),)))
    out = home(4, grid)
    source = View(left, (4,), (1,), 0, ((i, 8), (k, 4)))
    target = View(out, (4,), (1,), 0, ((i, 16), (j, 8), (k, 4)))
    whole = Family((i, j, k), (2, 2, 2), grid, (plus([source], target),))
    assert said(whole) == ""
    turned = View(left, (4,), (1,), 0, ((i, 8), (j, 4)))
    assert "tiles away" in said(replace(whole, steps=(plus([turned], target),)))


def test_two_instances_that_write_one_element_are_found():
    v, x = new_var(), home(4)
    y = Buffer("float32", 8, "home", homes=Homes())
    alone = Homes(0, (Axis(8, 8),))
    x = home(4, alone)
    half = View(y, (2,), (1,), 0, ((v, 1),))
    both = family(v, plus([row(x, v, (2,))], half), homes=alone)
    assert "two instances" in said(both)
    apart = View(y, (1,), (1,), 0, ((v, 1),))
    assert said(family(v, plus([row(x, v, (1,))], apart), homes=alone)) == ""


def test_instances_that_interleave_are_no_fault():
    v, alone = new_var(), Homes(0, (Axis(4, 4),))
    x, y = home(4, alone), Buffer("float32", 16, "home", homes=Homes())
    every_fourth = View(y, (4,), (4,), 0, ((v, 1),))
    assert said(family(v, plus([row(x, v)], every_fourth), homes=alone)) == ""


def test_a_loops_variable_moves_blocks_too():
    """Two blocks a tile, one in each turn."""
    v, u, homes = new_var(), new_var(), Homes(0, (Axis(8), Axis(2, 2)))
    x, y = home(4, homes), home(4)
    source = View(x, (4,), (1,), 0, ((v, 8), (u, 4)))
    assert said(Loop(u, 2, (family(v, plus([source], row(y, v))),))) == ""
    assert "along an axis" in said(Loop(u, 3, (family(v, plus([source], row(y, v))),)))


def test_live_buffers_that_overlap_are_found():
    v, x, y = new_var(), home(4), home(4)
    whole = program(family(v, plus([row(x, v)], row(y, v))))
    on_it = replace(whole, offsets={**whole.offsets, y: whole.offsets[x] + 8})
    assert "overlap" in " ".join(faults(on_it, MEMORY))


@pytest.mark.parametrize(("tile", "fault"), [(6, True), (7, False)])
def test_only_buffers_with_a_tile_in_common_can_overlap(tile, fault):
    x, far = home(4, Homes(0, (Axis(7),))), home(4, Homes(tile))
    passed = program(Exchange((Move(View(x, (4,), (1,)), View(far, (4,), (1,))),)))
    at_one_place = replace(passed, offsets=dict.fromkeys((x, far), 0))
    assert bool(faults(at_one_place, MEMORY)) == fault


def test_too_little_memory_is_said_with_how_much():
    v, x, y = new_var(), home(400), home(400)
    needed = program(family(v, plus([row(x, v)], row(y, v)))).tile_bytes
    assert f"{needed} bytes, {needed - 100} more" in said(
        family(v, plus([row(x, v)], row(y, v))), memory=100
    )


def test_what_has_no_home_is_said():
    v, y = new_var(), home(4)
    x = Buffer("float32", 32, "input", 0)
    assert "no home" in said(family(v, plus([View(x, (4,), (1,), 0, ((v, 4),))], row(y, v))))
