"""Published runs on IPUs beside modelled ones: each a program built by hand, as its authors cut it.

In: sizes and cuts of the publications named; the
machines' files. Out: a row a phase. No figure of a machine comes from a case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fidelity.published import Row
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.emit.llvm import Module
from tilewright.machine import machine
from tilewright.machine.cost import Count
from tilewright.machine.granules import threaded
from tilewright.machine.machine import Machine, Tile
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
from tilewright.plan.slots import compiled, slots
from tilewright.simulate.cycles import Run, run


@dataclass(frozen=True)
class Published(Codelet):
    """A vertex that is only timed: what it does, and how it is shared out.

    `lanes` numbers of `item` bytes at a time as compiled, 0: written by hand; `units` are what the
    threads take whole.
    """

    label: str
    count: Count
    results: float
    units: float
    lanes: int = 0
    item: int = 4

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
        raise NotImplementedError("this vertex is only timed")

    def emit(self, module: Module, symbol: str) -> None:
        raise NotImplementedError("this vertex is only timed")

    def __hash__(self) -> int:
        return hash((self.label, self.results, self.units, self.lanes))


def price(codelet: Codelet, tile: Tile) -> float:
    """Cycles of one such vertex."""
    assert isinstance(codelet, Published)
    if codelet.lanes:
        bundles = compiled(codelet.count, codelet.results, codelet.lanes, codelet.item)
    else:
        bundles = slots(codelet.count, tile).written
    return float(threaded(bundles, codelet.units, tile)) + tile.call


def rows() -> Iterator[Row]:
    """All, in the order of the table."""
    yield from _triad()
    yield from _stencil("fp32", 1, 4, (117, 1173, 8279, 6954, 210_249), 0.10)
    yield from _stencil("fp16 in fours", 4, 2, (64, 637, 5741, 4826, 63_531), 0.20)
    yield from _sixteen()
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


def _stencil(
    name: str, lanes: int, item: int, published: Sequence[float], bar: float
) -> Iterator[Row]:
    """3 x 3 on 2200 x 1122 pixels of four channels, 24 x 49 tiles, workers by rows
    [thorbenlouw/lbm-graphcore, GaussianBlurCodelets.cpp]: nine loads, eight additions and three
    multiplications, one store."""
    on, tiles, high, wide = machine("ipu:gc2"), 24 * 49, 47, 45
    channels = 4 * high * wide
    dtype = "float32" if item == 4 else "float16"
    done = Count({}, {("add", dtype): 8 * channels, ("mul", dtype): 3 * channels},
                 9 * item * channels, item * channels)  # fmt: skip
    blur = Published("blur", done, channels / lanes, high, lanes, item)
    before = item * 4 * (high + 2) * (wide + 2)
    copies = [
        Published(f"copy of {size}", Count({}, {}, size, size), size / 8, 600)
        for size in (before, item * channels)
    ]
    rim = 4 * 2 * (high + wide + 2)
    exchange = Exchange(_neighbours(tiles, rim, dtype))
    found = [
        _timed(on, Sync(), exchange),
        *(_timed(on, _family(tiles, codelet)) for codelet in (*copies, blur)),
    ]
    names = ["sync", "exchange", "copies before", "copies after", "compute"]
    bars = [0.35, 0.35, 0.40, 0.40, bar]
    figures = [found[0].total("sync"), found[0].total("exchange")]
    figures += [one.cycles for one in found[1:]]
    for phase, said, figure, most in zip(names, published, figures, bars, strict=True):
        yield Row("GC2", f"3 × 3 stencil, {name}: {phase}", said, figure, most)
    yield Row("GC2", f"3 × 3 stencil, {name}: all", sum(published), sum(figures), 0.10)


def _sixteen() -> Iterator[Row]:
    """The first of them on 16 chips, 4 x 4, each with the cut of one: blocks of 12 x 12 pixels.
    What passes before anything goes between chips is from this very run: of that it says nothing.
    """
    one, side, cut = machine("ipu:c2"), 12, (24, 49)
    on = replace(one, chips_per_replica=16)
    pixels, wide, high = 4 * side * side, side * cut[1], side * cut[0]
    done = Count({}, {("add", "float32"): 11 * pixels}, 9 * 4 * pixels, 4 * pixels)
    blur = Published("blur", done, pixels, side, 1)
    copies = [
        Published(f"copy of {size}", Count({}, {}, size, size), size / 8, 600)
        for size in (16 * (side + 2) ** 2, 4 * pixels)
    ]
    edge = 4 * 2 * (wide + high) // on.chip.tiles + 1
    moves = _neighbours(on.tiles, edge, "float32", on.chip.tiles)
    inside = _neighbours(on.chip.tiles, 4 * 4 * (side + 1), "float32")
    found = [
        _timed(on, Sync("chips"), Exchange(moves)),
        _timed(on, Exchange(inside)),
        *(_timed(on, _family(on.tiles, codelet)) for codelet in (*copies, blur)),
    ]
    yield Row("16 × GC2", "3 × 3 stencil, fp32: all", 640 + 4048 + 397 + 1894 + 954 + 13_152,
              sum(one.cycles for one in found), 0.20)  # fmt: skip


def _heat() -> Iterator[Row]:
    """The 7-point stencil in float2, compiled, 1,000 steps [SciCoLab/WaveEquation-IPU]: for two
    cells seven loads, nine operations, two stores and four more."""
    for chips, name, side, grid, bar in (
        (1, "ipu:gc200", 360, (8, 8, 23), 0.15),
        (4, "ipu:m2000", 508, (16, 16, 23), 0.20),
    ):
        on = machine(name)
        block = [-(-side // parts) for parts in grid]
        cells = int(np.prod(block))
        done = Count({}, {("add", "float32"): 9 * cells}, 4 * 7 * cells, 4 * 2 * cells)
        heat = Published("heat", done, cells / 2, block[0] * block[1], 2)
        faces = 2 * (block[0] * block[1] + block[1] * block[2] + block[0] * block[2])
        tiles = int(np.prod(grid))
        moves = _neighbours(tiles, faces, "float32")
        if chips > 1:  # chips are slices: a face to the next one, in equal parts of its tiles
            part = -(-side * side // on.chip.tiles)
            moves += _neighbours(on.tiles, part, "float32", on.chip.tiles)
        step = _timed(on, _family(tiles, heat), Sync(), Exchange(moves))
        seconds = 1000 * step.seconds
        label = f"{chips} × GC200" if chips > 1 else "GC200"
        yield Row(label, f"7-point stencil, {side}³, 1,000 steps", 0.26, seconds, bar, "s")


def _matrix_vector() -> Iterator[Row]:
    """10,000 x 1,000 in float32 by a C++ vertex: seven rows a tile [examples, tutorial 6]."""
    on, terms = machine("ipu:gc200"), 7 * 1000
    work = Count({"float32": terms}, {}, 8 * terms, 4 * 7)
    found = _timed(on, _family(on.tiles, Published("rows", work, 7, 600, 1)))
    yield Row("GC200", "matrix–vector, compiled: compute", 28_300, found.cycles, 0.25)
