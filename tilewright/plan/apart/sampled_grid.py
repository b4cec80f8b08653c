"""Products of which some blocks are wanted, over tiles that share no memory: cells of equal work.

In: a codelet, its views, which blocks are wanted; the machine. Out: steps. Always: the law's tree
of sums, so that no cut changes a bit.

Each tile has a cell of the result (`sampled_cells.py`) and some of the terms, cut where the law's
tree has a node; how many, is a matter of cost. It brings all rows of its cell, and multiplies those
that are in blocks. Parts of the terms are added up as those of any product (`gridded.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.contract import ContractSampled
from tilewright.codelets.reduce import Tree
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF
from tilewright.graph.pattern import Pattern
from tilewright.machine.granules import beside
from tilewright.machine.machine import Machine
from tilewright.plan.apart.cutting import Cutting
from tilewright.plan.apart.grid import Run, runs
from tilewright.plan.apart.gridded import Sums, family
from tilewright.plan.apart.problem import Problem
from tilewright.plan.apart.sampled_cells import Cell, Sizes, cells
from tilewright.plan.apart.slots import vertex
from tilewright.plan.ir import Call, Exchange, Family, Step, View, dense_strides

AXES = (("k", "m"), ("k", "n"), (), (), ("m", "n"))
"""Of both operands, both tables and the result."""
SHARE = 0.5
"""Of a tile's memory, for operands; weights and what they met have the rest."""
BAND = 16
"""Rows that a band has a multiple of."""

Constant = Callable[[np.ndarray], View]
"""Keeps a table."""


@frozen(eq=False)
class Layout:
    """Terms of a part, the cells that each part has, and how many tiles for them."""

    terms: int
    cells: list[Cell]
    tiles: int

    @property
    def rows(self) -> int:
        return max(cell.rows for cell in self.cells)

    @property
    def columns(self) -> int:
        return max(len(cell.kept) for cell in self.cells) * LANES

    @property
    def held(self) -> int:
        """Bytes of a tile for both operands."""
        return 4 * self.terms * (self.rows + self.columns)


def sampled_grid(
    codelet: ContractSampled,
    arguments: Sequence[View],
    kept: np.ndarray,
    machine: Machine,
    constant: Constant,
    anew: tuple[bool, bool],
) -> list[Step] | None:
    """`kept` (panels, blocks down); `anew`: whether lhs and rhs come with each product, and not
    once. Elsewhere the result stays as it is. None: there are more panels than tiles, or nothing is
    wanted."""
    found = list(_layouts(codelet, kept, machine))
    if not found:
        return None
    room = SHARE * machine.tile.memory
    fitting = [one for one in found if one.held <= room] or [min(found, key=lambda one: one.held)]
    layout = min(fitting, key=lambda one: _cycles(codelet, one, machine, anew))
    whole = Call(codelet, tuple(arguments))
    return list(_steps(whole, layout, _cuts(whole, layout.cells, constant)))


def _steps(whole: Call, layout: Layout, cuts: Sequence[Cutting]) -> Iterator[Step]:
    """The family of each cell; of several parts, those that add them up as well."""
    apart = {"m": 1, "n": 0, "k": layout.tiles}
    ks = runs(cuts[0].problem.k, layout.terms)
    pairs = list(zip(cuts, map(_runs, layout.cells), strict=True))
    if layout.terms == cuts[0].problem.k:
        for cut, grid in pairs:
            yield _of(family(cut, {**grid, "k": ks[0]}, apart, ()), whole)
        return
    sums = [Sums(cut, grid["m"], grid["n"], ks, apart, ()) for cut, grid in pairs]
    for some in sums:
        yield from (_of(one, whole) for one in some.partial())
    yield Exchange(tuple(some.gather() for some in sums))
    yield from (_of(some.added(), whole) for some in sums)


def _of(family: Family, whole: Call) -> Family:
    return replace(family, whole=whole)


def _runs(cell: Cell) -> dict[str, Run]:
    """A cell's rows and columns; its number says where it is at home."""
    panels = len(cell.kept)
    return {
        "m": Run(cell.number, 1, cell.rows, cell.top),
        "n": Run(0, 1, panels * LANES, cell.panel * LANES),
    }


def _cuts(whole: Call, cells: Sequence[Cell], constant: Constant) -> list[Cutting]:
    """The product as each cell has it, with tables of its own: those of all lie in two."""
    codelet, (lhs, rhs, _, _, out) = whole.codelet, whole.views
    assert isinstance(codelet, ContractSampled)
    tables = [Pattern(cell.kept, codelet.tall, 1).tables() for cell in cells]
    none = np.zeros(1, np.int32)
    every = constant(np.concatenate([places for places, _ in tables] + [none]))
    ranges = constant(np.concatenate([starts.reshape(-1) for _, starts in tables]))
    problem = Problem(codelet.m, codelet.n, codelet.terms, lhs.dtype, ("mk", "kn"))
    found, place, start = [], 0, 0
    for cell, (places, starts) in zip(cells, tables, strict=True):
        mine = replace(every, shape=(max(len(places), 1),), offset=place)
        shape = starts.shape
        own = replace(ranges, shape=shape, strides=dense_strides(shape), offset=start)
        call = Call(replace(codelet, counts=cell.counts), (lhs, rhs, mine, own, out))
        found.append(Cutting(call, problem, AXES))
        place, start = place + len(places), start + starts.size
    return found


def _layouts(codelet: ContractSampled, kept: np.ndarray, machine: Machine) -> Iterator[Layout]:
    wide = beside(machine.tile, codelet.lhs.dtype)
    sizes = Sizes(codelet.tall, BAND * wide, wide, machine.chip.exchange.bus)
    for terms in _terms(codelet.terms):
        tiles = machine.chip.tiles // ceil(codelet.terms / terms)
        found = cells(kept, sizes, tiles) or cells(kept, replace(sizes, bus=1), tiles)
        if found:
            yield Layout(terms, found, tiles)


def _terms(count: int) -> Iterator[int]:
    """Of a part: all, or nodes of the tree of sums, of 2^j leaves."""
    yield count
    size = LEAF
    while size < count:
        yield size
        size *= 2


def _cycles(
    codelet: ContractSampled, layout: Layout, machine: Machine, anew: tuple[bool, bool]
) -> float:
    """Of the busiest tile, as far as layouts differ in it."""
    exchange, terms = machine.chip.exchange, layout.terms
    rate, parts = exchange.bytes_per_cycle_per_tile or 1.0, ceil(codelet.terms / terms)
    rows, columns = layout.rows, layout.columns
    worked = {cell.counts: cell for cell in layout.cells}
    compute = max(_vertex(codelet, cell, terms, machine) for cell in worked.values())
    brought = terms * (rows * anew[0] + columns * anew[1])
    passed = 4 * (brought + rows * columns) / rate
    if parts == 1:
        return compute + passed
    share = ceil(rows / parts)
    sums, out = (_dense(shape) for shape in ((parts, share, columns), (share, columns)))
    begun = 2 * (exchange.overhead_cycles + machine.chip.sync_cycles)
    added = vertex(Tree(sums, out), machine.tile) + 4 * rows * columns / rate
    return compute + passed + added + begun


def _dense(shape: tuple[int, ...]) -> Operand:
    return Operand("float32", shape, dense_strides(shape))


def _vertex(codelet: ContractSampled, cell: Cell, terms: int, machine: Machine) -> float:
    rows, columns = cell.rows, len(cell.kept) * LANES
    shapes = (terms, rows), (terms, columns), (rows, columns)
    lhs, rhs, out = (_dense(shape) for shape in shapes)
    one = replace(codelet, lhs=lhs, rhs=rhs, out=out, counts=cell.counts)
    return vertex(one, machine.tile)
