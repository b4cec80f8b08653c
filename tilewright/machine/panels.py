"""How a product of a matrix with blocks of zeros may be dealt out to tiles that share no memory.

In: how many rows, terms and panels of 16 columns it has; the machine. Out: how many groups its
panels may be in, each with some rows of all; in how many turns, each with a part of the rows. What
is skipped takes memory as what is not. Always: all operands of a tile in float32.
"""

from __future__ import annotations

from math import ceil

from tilewright.machine.granules import LANES, beside
from tilewright.machine.machine import Machine

TURNS = (1, 2, 4, 8, 16)
ROOM = 0.7
"""Of a tile's memory, for rows and columns of a product; the rest has what goes on beside it."""


def ways_of(rows: int, k: int, squares: int, machine: Machine) -> dict[int, tuple[int, int]]:
    """By how many groups there are: rows and columns of a tile that fit it. `squares` are panels,
    those that lie in one granule counted once.

    On a mesh tiles that get the same rows are some of its rows, or as many in each: what passes
    there passes each link once, and no others.
    """
    found, tiles, mesh = {}, machine.chip.tiles, machine.chip.exchange.mesh
    wide = LANES * beside(machine.tile, "float32")
    for groups in range(1, min(squares, tiles) + 1):
        if mesh is not None and mesh.columns % groups and groups % mesh.columns:
            continue
        taken, columns = ceil(rows / (tiles // groups)), wide * ceil(squares / groups)
        if 4 * k * (columns + taken) <= ROOM * machine.tile.memory:
            found[groups] = taken, columns
    return found


def turns_of(rows: int, k: int, panels: int, machine: Machine) -> int | None:
    """The fewest turns in which operands fit and all tiles have rows; None: there are none."""
    squares = ceil(panels / beside(machine.tile, "float32"))
    for turns in TURNS:
        if rows % turns or rows // turns * squares < machine.chip.tiles:
            return None
        if ways_of(rows // turns, k, squares, machine):
            return turns
    return None
