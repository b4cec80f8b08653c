"""Published runs on IPUs beside modelled ones: each a program built by hand, as its authors cut it.

In: sizes and cuts of the publications named; the
machines' files. Out: a row a phase. No figure of a machine comes from a case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fidelity.row import Row
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.emit.llvm import Module
from tilewright.machine import machine
from tilewright.machine.cost import Count
from tilewright.machine.granules import threaded
from tilewright.machine.machine import Machine, Tile
from tilewright.plan.apart.slots import compiled, slots
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Buffer,
    Call,
    Exchange,
    Family,
    Move,
    Program,
    Step,
    Sync,
    View,
    new_var,
)
from tilewright.simulate.cycles import run
from tilewright.simulate.outcome import Run

ROW = 12 + 23
"""Bundles to begin a row of a copy: the loop's, and the copy's own [poplibs,
lib/popops/popopsCycleEstimators.cpp, BroadcastSelectorSelectCycles]."""


@dataclass(frozen=True)
class Published(Codelet):
    """A vertex of somebody else's, by what it does and how it is shared out.

    Its operands are not ours to know: it has none, so it means nothing and writes nothing.

    `lanes` numbers of `item` bytes at a time as compiled, 0: written by hand; `units` are what the
    threads take whole; `rows` begin one by one.
    """

    label: str
    count: Count
    results: float
    units: float
    lanes: int = 0
    item: int = 4
    rows: int = 0

    @property
    def name(self) -> str:
        return self.label

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return ()

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return ()

    @property
    def work(self) -> Count:
        return self.count

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return ()

    def emit(self, module: Module, symbol: str) -> None:
        module.function(symbol, "void", []).close()

    def __hash__(self) -> int:
        return hash((self.label, self.results, self.units, self.lanes, self.rows))


def price(codelet: Codelet, tile: Tile) -> float:
    """Cycles of one such vertex."""
    assert isinstance(codelet, Published)
    if codelet.lanes:
        bundles = compiled(codelet.count, codelet.results, codelet.lanes, codelet.item)
    else:
        bundles = slots(codelet.count, tile).written + ROW * codelet.rows
    return float(threaded(bundles, codelet.units, tile)) + tile.call


def rows() -> Iterator[Row]:
    """All, in the order of the table."""
    yield from _triad()
    for kind in KINDS:
        yield from _stencil(kind)
    for kind in KINDS:
        yield from _sixteen(kind)
    yield from _heat()
    yield from _matrix_vector()


def _timed(on: Machine, *steps: Step) -> Run:
    return run(Program((), (), (), steps, {}, 0, 0, on.tiles), on, price=price)


def _family(tiles: int, codelet: Codelet) -> Family:
    return Family((new_var(),), (tiles,), Homes(0, (Axis(tiles),)), (Call(codelet, ()),))


def _neighbours(tiles: int, elements: int, dtype: str, apart: int = 1) -> tuple[Move, ...]:
    """Each tile gets so many elements from the next, or from one further: rims of blocks."""
    blocks = Homes(0, (Axis(tiles),))
    have, want = (Buffer(dtype, elements * tiles, "home", homes=blocks) for _ in range(2))
    v = new_var()
    source = View(have, (elements,), (1,), apart * elements, ((v, elements),))
    target = View(want, (elements,), (1,), 0, ((v, elements),))
    return (Move(source, target, (v,), (tiles - apart,)),)


def _triad() -> Iterator[Row]:
    """a = b + q c on six times 7,500 numbers a tile, in assembly [SciCoLab/WaveEquation-IPU]."""
    on, size = machine("ipu:gc200"), 6 * 7500
    work = Count({"float32": size}, {}, 8 * size, 4 * size)
    found = _timed(on, _family(on.tiles, Published("triad", work, size / 2, 6 * 100)))
    rate = 12 * size * on.tiles / (found.total("compute") / 1.33e9)
    yield Row("GC200", "triad, TB/s at 1.33 GHz", 46.55, rate / 1e12, 0.02, "TB/s")


@dataclass(frozen=True)
class Kind:
    """A way in which the stencil was written: `lanes` numbers of `item` bytes at a time.

    `published` is of one chip: cycles of sync, exchange, copies before and after, compute; `chips`
    of 16: sync, between chips, exchange, copies, compute. `bar` is of compute.
    """

    name: str
    lanes: int
    item: int
    published: tuple[float, ...]
    chips: tuple[float, ...]
    bar: float

    @property
    def dtype(self) -> str:
        return "float32" if self.item == 4 else "float16"

    def blur(self, pixels: int, rows: int) -> Published:
        """Nine loads, eight additions, three multiplications, one store. The factors are floats,
        whatever they multiply: halves take a conversion of each."""
        channels = 4 * pixels
        done = {("add", self.dtype): 8 * channels, ("mul", self.dtype): 3 * channels}
        if self.dtype == "float16":
            done["cast", self.dtype] = 3 * channels
        count = Count({}, done, 9 * self.item * channels, self.item * channels)
        return Published("blur", count, channels / self.lanes, rows, self.lanes, self.item)

    def copies(self, high: int, wide: int, rows: int) -> tuple[Published, ...]:
        """Of a block of pixels, before it and after: each of six workers has a part of the rows of
        its own, a row and a column around it, all in one piece."""
        workers = 6
        return tuple(
            self._copy(name, lines, columns)
            for name, lines, columns in (
                ("before", high + 2 * workers, wide + 2),
                ("after", rows, wide),
            )
        )

    def _copy(self, name: str, lines: int, columns: int) -> Published:
        size = 4 * self.item * lines * columns
        return Published(name, Count({}, {}, size, size), size / 8, lines, rows=lines)


NONE = math.inf
"""Of a sync: the very same one, of the same program on the same chip, was seen at 64 and at 117
cycles, and the vendor's library counts 90."""

KINDS = (
    Kind("fp32", 1, 4, (117, 1173, 8279, 6954, 210_249), (640, 4048, 397, 1894, 954, 13_152), 0.10),
    Kind("fp32 in twos", 2, 4, (117, 1173, 8279, 6954, 100_257),
         (642, 4017, 397, 1897, 954, 7914), 0.10),
    Kind("fp16 in fours", 4, 2, (64, 637, 5741, 4826, 63_531),
         (501, 3043, 263, 1611, 882, 4446), 0.20),
)  # fmt: skip
"""3 x 3 on 2200 x 1122 pixels of four channels [thorbenlouw/lbm-graphcore: GaussianBlurCodelets.cpp
and GaussianBlurCodeletsVectorised.cpp, exchange-vs-compute.csv]."""


def _stencil(kind: Kind) -> Iterator[Row]:
    """On one chip, 24 x 49 tiles, workers by rows."""
    on, tiles, high, wide = machine("ipu:gc2"), 24 * 49, 47, 45
    rim = 4 * 2 * (high + wide + 2)
    exchange = Exchange(_neighbours(tiles, rim, kind.dtype))
    codelets = (*kind.copies(high, wide, high), kind.blur(high * wide, high))
    found = [_timed(on, Sync(), exchange), *(_timed(on, _family(tiles, c)) for c in codelets)]
    names = ["sync", "exchange", "copies before", "copies after", "compute"]
    bars = [NONE, 0.35, 0.40, 0.40, kind.bar]
    figures = [found[0].total("sync"), found[0].total("exchange")]
    figures += [one.cycles for one in found[1:]]
    for phase, said, figure, most in zip(names, kind.published, figures, bars, strict=True):
        yield Row("GC2", f"3 × 3 stencil, {kind.name}: {phase}", said, figure, most)
    yield Row("GC2", f"3 × 3 stencil, {kind.name}: all", sum(kind.published), sum(figures), 0.10)


def _sixteen(kind: Kind) -> Iterator[Row]:
    """On 16 chips, 4 x 4, each with the cut of one: blocks of 12 x 12 pixels. What passes before
    anything goes between chips is from the first of these very runs: of that it says nothing.
    """
    one, side, cut = machine("ipu:c2"), 12, (24, 49)
    on = replace(one, chips_per_replica=16)
    edge = 4 * 2 * side * sum(cut) // on.chip.tiles + 1
    moves = _neighbours(on.tiles, edge, kind.dtype, on.chip.tiles)
    inside = _neighbours(on.chip.tiles, 4 * 4 * (side + 1), kind.dtype)
    codelets = (*kind.copies(side, side, side), kind.blur(side * side, side))
    found = [
        _timed(on, Sync("chips"), Exchange(moves)),
        _timed(on, Exchange(inside)),
        *(_timed(on, _family(on.tiles, codelet)) for codelet in codelets),
    ]
    yield Row("16 × GC2", f"3 × 3 stencil, {kind.name}: all", sum(kind.chips),
              sum(each.cycles for each in found), 0.20)  # fmt: skip


def _heat() -> Iterator[Row]:
    """The 7-point stencil in float2, compiled, 1,000 steps [SciCoLab/WaveEquation-IPU,
    HeatEquation3D]: chips are slices of the depth; a chip's tiles the factors of 1,472 of least
    surface; workers two by three along height and width."""
    for chips, name, side, grid, bar in (
        (1, "ipu:gc200", 360, (23, 8, 8), 0.15),
        (4, "ipu:m2000", 508, (23, 16, 4), 0.20),
    ):
        on = machine(name)
        inner = side - 2
        lengths = (inner, inner, -(-inner // chips))
        block = [-(-length // parts) for length, parts in zip(lengths, grid, strict=True)]
        around = int(np.prod([length + 2 for length in block]) - np.prod(block))
        moves = _neighbours(on.chip.tiles, around, "float32")
        if chips > 1:
            part = -(-side * side // on.chip.tiles)
            moves += _neighbours(on.tiles, part, "float32", on.chip.tiles)
        lines = 6 * -(-block[0] // 2) * -(-block[1] // 3)
        steps = (_family(on.tiles, codelet) for codelet in _columns(lines, block[2]))
        seconds = 1000 * _timed(on, *steps, Sync(), Exchange(moves)).seconds
        label = f"{chips} × GC200" if chips > 1 else "GC200"
        yield Row(label, f"7-point stencil, {side}³, 1,000 steps", 0.26, seconds, bar, "s")


def _columns(lines: int, depth: int) -> tuple[Published, ...]:
    """So many columns of cells: two at a time, the first and, of an even number, the last alone.

    Two cells: seven loads, nine operations, two stores. One: seven, eight, one. Both ways through
    a column begin with the addresses of five columns around it and of the result.
    """
    ends = 1 + (depth + 1) % 2
    pairs = (depth - ends) // 2

    def work(cells: int, loads: int, operations: int) -> Count:
        done = {("add", "float32"): float(operations * cells)}
        return Count({}, done, 4 * loads * cells, 4 * cells)

    inside, alone = 2 * pairs * lines, ends * lines
    return (
        Published("pairs", work(inside, 7, 9), inside / 2, lines, 2),
        Published("ends", work(alone, 7, 8), alone, lines, 1),
        Published("addresses", Count({}, {}, 4 * 12 * lines, 0), 2 * lines, lines, 1),
    )


PARTS, GROUPS, TERMS, ROWS = 4, 368, 250, 28
"""How the vendor's library cuts a product of 10,000 x 1,000 by a vector: parts of the terms, tiles
side by side for each, terms and rows of a tile [examples, tutorial 6]."""


def _matrix_vector() -> Iterator[Row]:
    """10,000 x 1,000 in float32 [examples, tutorial 6]: as the vendor's library plans it, by its
    own estimate, without what exchanges take to begin; and by a C++ vertex, seven rows a tile."""
    on, terms = machine("ipu:gc200"), ROWS * TERMS
    multiplied = Count({"float32": terms}, {}, 4 * (terms + TERMS), 4 * ROWS)
    share = ROWS // PARTS
    added = Count({}, {("add", "float32"): (PARTS - 1) * share}, 4 * ROWS, 4 * share)
    found = _timed(
        on,
        Exchange((_vector_parts(),)),
        _family(on.tiles, Published("parts of sums", multiplied, ROWS / 2, terms)),
        Exchange((_parts_of_sums(),)),
        _family(on.tiles, Published("sums", added, share / 2, share)),
    )
    begun = sum(on.chip.exchange.overhead_cycles for row in found.supersteps if row.exchange)
    yield Row("GC200", "matrix–vector, as planned", 3_996, found.cycles - begun, 0.10)
    terms = 7 * 1000
    work = Count({"float32": terms}, {}, 8 * terms, 4 * 7)
    found = _timed(on, _family(on.tiles, Published("rows", work, 7, 600, 1)))
    yield Row("GC200", "matrix–vector, compiled: compute", 28_300, found.cycles, 0.25)


def _vector_parts() -> Move:
    """Each part of the vector, which lies evenly over all tiles, to all tiles that multiply it."""
    have = Buffer("float32", PARTS * TERMS, "home", homes=Homes(0, (Axis(PARTS * TERMS),)))
    everywhere = Homes(0, (Axis(PARTS, 1, GROUPS),), ((GROUPS, 1),))
    want, part = Buffer("float32", PARTS * TERMS, "home", homes=everywhere), new_var()
    source, target = (View(b, (TERMS,), (1,), 0, ((part, TERMS),)) for b in (have, want))
    return Move(source, target, (part,), (PARTS,))


def _parts_of_sums() -> Move:
    """Of each block's parts, a share of the rows to each of the tiles that have one."""
    blocks = Homes(0, (Axis(PARTS, 1, GROUPS), Axis(GROUPS)))
    have, want = (Buffer("float32", PARTS * GROUPS * ROWS, "home", homes=blocks) for _ in range(2))
    part, group, share = new_var(), new_var(), new_var()
    rows, apart = ROWS // PARTS, GROUPS * ROWS
    source = View(have, (rows,), (1,), 0, ((part, apart), (group, ROWS), (share, rows)))
    target = View(want, (rows,), (1,), 0, ((part, rows), (group, ROWS), (share, apart)))
    return Move(source, target, (part, group, share), (PARTS, GROUPS, PARTS))
