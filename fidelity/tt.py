"""Products on Tenstorrent cards beside modelled ones [tt-metal, tech_reports/GEMM_FLOPS].

As the published program cuts them: 8 x 8 tiles, each with a block of the results; of both operands
a tile of each row, or column, reads a part from the card's memory and tells all others of it. Here
one phase follows the other: reading, telling, multiplying, writing back. No figure of the machine
comes from a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fidelity.ipu import Published
from fidelity.row import Row
from tilewright.codelets.base import Codelet
from tilewright.machine import machine
from tilewright.machine.cost import NOTHING
from tilewright.machine.granules import matrix_unit, product
from tilewright.machine.machine import Machine, Tile
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Buffer,
    Call,
    Exchange,
    Family,
    Move,
    Program,
    Sync,
    View,
    new_var,
)
from tilewright.simulate.cycles import run
from tilewright.simulate.outcome import Run

SIDE = 8
"""Rows, and columns, of tiles."""
N150 = {(1024, 1024, 1024): 68.98, (2048, 2048, 2048): 298.92, (4096, 4096, 4096): 2008.5}
"""Microseconds of (m, k, n) in bfloat16 at HiFi2, all in the card's memory, traced."""


@dataclass(frozen=True)
class Cut:
    """The block of one tile."""

    m: int
    k: int
    n: int
    dtype: str

    def price(self, codelet: Codelet, tile: Tile) -> float:
        unit = matrix_unit(tile, self.dtype)
        assert unit is not None
        return float(product(self.m, self.n, self.k, tile, unit, self.dtype))


def matrices(on: Machine, m: int, k: int, n: int, dtype: str = "bfloat16") -> Run:
    """(m, k) times (k, n), both 8 times as long as a block."""
    grid = (Axis(SIDE, 1, SIDE), Axis(SIDE))
    rows, columns = Homes(0, grid[:1], ((SIDE, 1),)), Homes(0, grid[1:], ((SIDE, SIDE),))
    cut = Cut(m // SIDE, k, n // SIDE, dtype)
    moves = [
        _brought(dtype, cut.m * k, rows),
        _brought(dtype, k * cut.n, columns),
    ]
    homes, size, vars = Homes(0, grid), cut.m * cut.n, (new_var(), new_var())
    block = Published("product", NOTHING, 0, 1)
    family = Family(vars, (SIDE, SIDE), homes, (Call(block, ()),))
    out, card = Buffer(dtype, size * SIDE**2, "home", homes=homes), Buffer(dtype, m * n, "output")
    along = tuple(zip(vars, (SIDE * size, size), strict=True))
    near, far = (View(b, (size,), (1,), 0, along) for b in (out, card))
    back = Exchange((Move(near, far, vars, (SIDE, SIDE)),))
    steps = (Exchange(tuple(moves)), family, Sync(), back)
    return run(Program((), (), (), steps, {}, 0, 0, on.tiles), on, price=cut.price)


def _brought(dtype: str, size: int, homes: Homes) -> Move:
    """A block for each row, or column, of tiles, to all of it."""
    card, var = Buffer(dtype, size * SIDE, "input"), new_var()
    near = Buffer(dtype, size * SIDE, "home", homes=homes)
    source, target = (View(b, (size,), (1,), 0, ((var, size),)) for b in (card, near))
    return Move(source, target, (var,), (SIDE,))


def on_grid(name: str) -> Machine:
    """A card of which 8 x 8 tiles are used."""
    card = machine(name)
    exchange = card.chip.exchange
    assert exchange.mesh is not None
    mesh = replace(exchange.mesh, columns=SIDE, rows=SIDE)
    total = card.tile.memories[-1].read_all * card.chip.tiles / SIDE**2
    far = replace(card.tile.memories[-1], read=total, read_all=total)
    tile = replace(card.tile, memories=(*card.tile.memories[:-1], far))
    chip = replace(card.chip, tiles=SIDE**2, tile=tile, exchange=replace(exchange, mesh=mesh))
    return replace(card, chip=chip)


def rows() -> Iterator[Row]:
    for name, figures in {"n150": (29, 30, 19, 22), "p150": (60, 60, 34, 33)}.items():
        exchange = machine(f"tt:{name}").chip.exchange
        assert exchange.mesh is not None
        ways = ("one to one", "one from all", "one to all", "card memory")
        mesh = exchange.mesh
        known = (exchange.bytes_per_cycle_per_tile, mesh.gather, mesh.spread, mesh.card)
        for way, said, figure in zip(ways, figures, known, strict=True):
            yield Row(name, f"bytes a cycle, {way}", said, figure, 0.0)
    card = on_grid("tt:n150")  # bars: none by more than a half, in the middle by a fifth
    for (m, k, n), microseconds in N150.items():
        found = matrices(card, m, k, n).seconds * 1e6
        yield Row("n150", f"{m} × {k} × {n}, bf16, HiFi2", microseconds, found, 0.50, "µs")
