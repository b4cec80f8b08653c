"""Large single vertices of a plain function are cut along one dimension and dealt out to the tiles.

Which dimension, a codelet says itself (`codelets/cut.py`): one that no sum runs along, so cutting
never changes a bit. The number of pieces depends on the shape and the machine. What is left over is
a piece of its own beside the others. Sums over rows are cut between leaves (`by_leaves.py`), and so
are products of many terms and few outputs (`by_terms.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.base import LANES, Codelet, Operand
from tilewright.codelets.contract import ContractBlocks, ContractOuter, ContractVector
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.cut import Cut
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce
from tilewright.machine.cost import drawing, is_worth_dealing, price
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.apart.conv_grid import convolution_grid
from tilewright.plan.apart.gradient_grid import gradient_grid
from tilewright.plan.apart.panel_grid import panel_grid
from tilewright.plan.apart.patches import patches, share, sums_of_images
from tilewright.plan.apart.slots import vertex
from tilewright.plan.by_leaves import by_leaves
from tilewright.plan.by_terms import by_terms
from tilewright.plan.ir import Buffer, Call, Spread, Step, View, new_var
from tilewright.plan.merged import merged

PIECES_A_TILE = 32
"""Pieces for each tile, if they are worth it: whoever is slow leaves some of them to others."""
ENOUGH_FAR_ROWS = 7
"""Rows (images) for each tile from which on they are cut though there be more lanes: those of 672
channels at 16 x 14 x 14 places took twice the time when each piece had some channels (Zen 4)."""
FEW = 8
"""Pieces from which on their number may be another, so that all are alike: a rest is one more
function, and takes LLVM as long as the others."""
ENOUGH = 8
"""Pieces for each tile that their number stays above then, lest some tiles wait for others."""
EVENLY = 100
"""Drawings' time up to which work is dealt out once and for all, a piece a tile: the slow have
little to leave."""


def spread_call(codelet: Codelet, arguments: Sequence[View], machine: Machine) -> list[Step] | None:
    """The vertex as one or two `Spread`s, or None where it is small or cannot be cut.

    `arguments` are without scratch memory: every piece has its own, in the tile's arena.
    """
    if not shares_memory(machine):
        if is_gridded(codelet):
            return None
        if isinstance(codelet, Convolution):
            families = convolution_grid(codelet, arguments, machine)
            return None if families is None else list(families)
        if isinstance(codelet, ContractBlocks) and codelet.tall and codelet.counts:
            return list(panel_grid(codelet, arguments, machine))
        if isinstance(codelet, FilterGradient):
            families = gradient_grid(codelet, arguments, machine)
            return None if families is None else list(families)
        if isinstance(codelet, Reduce) and len(codelet.shape) > 2:
            call = merged(Call(codelet, tuple(arguments)))
            sums = None if call else sums_of_images(codelet, arguments, machine)
            return list(sums) if sums else None
        flat = _flat(codelet, arguments, machine)
        if flat:
            return _pieces(*flat, share(flat[0].outputs[0].size, machine.chip.tiles))
        if isinstance(codelet, Elementwise) and codelet.cut and not _counts(codelet):
            found = patches(codelet, arguments, machine)
            if found:
                return list(found)
    if isinstance(codelet, Reduce):
        steps = by_leaves(codelet, arguments, machine, PIECES_A_TILE)
        if steps or not shares_memory(machine):
            return steps
    if isinstance(codelet, ContractOuter) and shares_memory(machine):
        steps = by_terms(codelet, arguments, machine)
        if steps:
            return steps
    held = sum(view.buffer.nbytes for view in arguments)
    cut = _cut(codelet, held, machine) if is_worth_dealing(codelet.work, machine, held) else None
    if cut is None:
        return None
    cycles = price(codelet.work, machine.tile, held).cycles
    evenly = shares_memory(machine) and cycles < EVENLY * drawing(machine)
    length = _piece_length(cut, cycles, machine, 1 if evenly else PIECES_A_TILE)
    return _pieces(codelet, cut, arguments, length, evenly)


def _cut(codelet: Codelet, held: int, machine: Machine) -> Cut | None:
    """The codelet's own; of arrays that are far, of `held` bytes, rather rows than lanes; of
    convolutions with few groups, rows if that is work for more tiles."""
    if isinstance(codelet, Elementwise) and shares_memory(machine) and held > machine.tile.memory:
        return codelet.cut_of(ENOUGH_FAR_ROWS * machine.tiles)
    if isinstance(codelet, Convolution):
        cuts = codelet.cut, codelet.cut_of_images
        return max(cuts, key=lambda cut: min(max(2, cut.length // cut.grain), machine.tiles))
    return codelet.cut


def _pieces(
    codelet: Codelet, cut: Cut, arguments: Sequence[View], length: int, evenly: bool = False
) -> list[Step] | None:
    full, rest = divmod(cut.length, length)
    if full + (rest > 0) < 2:
        return None
    spread = _piece(codelet, cut, arguments, length, full, 0)
    whole = Call(codelet, tuple(arguments))
    steps: list[Step] = [replace(spread, evenly=evenly and not rest, whole=whole)]
    if rest:
        steps.append(_piece(codelet, cut, arguments, rest, 1, full * length))
    return steps


def _flat(
    codelet: Codelet, arguments: Sequence[View], machine: Machine
) -> tuple[Codelet, Cut, list[View]] | None:
    """An elementwise vertex in one dimension, where its rows are too few for all tiles.

    All arrays of a size are then cut alike, so that what computes one after the other on them
    passes nothing on. None: an operand is repeated along some dimensions, or one tile is as fast.
    """
    cut = codelet.cut
    if not isinstance(codelet, Elementwise) or cut is None or cut.length >= machine.chip.tiles:
        return None
    size = codelet.outputs[0].size
    if _counts(codelet) or size < 2:
        return None
    lines = [_line(view, size) for view in arguments]
    if any(line is None for line in lines):
        return None
    found = [line for line in lines if line is not None]
    strides = [line.strides for line in found]
    count = len(codelet.inputs)
    one = replace(
        codelet, shape=(size,), input_strides=tuple(strides[:count]),
        output_strides=tuple(strides[count:]),
    )  # fmt: skip
    mine = replace(one, shape=(share(size, machine.chip.tiles),))
    saved = vertex(codelet, machine.tile) - vertex(mine, machine.tile)
    if saved <= 2 * (machine.chip.sync_cycles + machine.chip.exchange.overhead_cycles):
        return None
    return one, Cut(size, (0,) * len(found)), found


def _counts(codelet: Elementwise) -> bool:
    """Whether it asks where it is."""
    return any(step.op == "iota" for step in codelet.expression.instructions)


def _line(view: View, size: int) -> View | None:
    """All elements one after the other; or one that is repeated."""
    if view.size == size and views.is_dense(view):
        return replace(view, shape=(size,), strides=(1,))
    if not any(step for n, step in zip(view.shape, view.strides, strict=True) if n > 1):
        return replace(view, shape=(size,), strides=(0,))
    return None


def _piece_length(cut: Cut, cycles: float, machine: Machine, pieces_a_tile: int) -> int:
    """Even pieces; whole vectors along lanes; no shorter than a codelet is fast on.

    A piece takes no less than drawing its number.
    """
    worth = int(cycles // max(drawing(machine), 1))
    most, grain = pieces_a_tile * machine.tiles, cut.grain
    if not shares_memory(machine):  # nobody helps out, and short pieces cost nothing more
        most, grain = machine.tiles, 1
    count = max(2, min(most, cut.length // grain, worth))
    length = -(-cut.length // count)
    length = -(-length // LANES) * LANES if cut.along_lanes else length
    if not shares_memory(machine) or count < FEW or pieces_a_tile == 1:
        return length
    return _equal(cut, length, min(count, ENOUGH * machine.tiles), worth)


def _equal(cut: Cut, length: int, least: int, most: int) -> int:
    """A length near this one that leaves no rest, if there is one for so many pieces: the most
    regular of those."""
    step = LANES if cut.along_lanes else 1
    near = range(-(-length // (2 * step)) * step, 5 * length // 2 + 1, step)
    found = [n for n in near if cut.length % n == 0 and least <= cut.length // n <= most]
    return max(found, key=lambda n: (math.gcd(n, LANES), -abs(n - length)), default=length)


def shares_memory(machine: Machine) -> bool:
    return machine.chip.exchange.kind == "coherent"


def is_gridded(codelet: Codelet) -> bool:
    """Whether tiles that share no memory cut it in several dimensions: see `distribution.py`."""
    return isinstance(codelet, ContractOuter | ContractVector) and not codelet.batch


def _piece(
    codelet: Codelet, cut: Cut, arguments: Sequence[View], length: int, count: int, start: int
) -> Spread:
    var = new_var()
    short = codelet.on(_shortened(codelet, cut, length))
    pieces = [
        view if axis is None else views.shift(view, var, axis, *cut.share(i, length, start))
        for i, (view, axis) in enumerate(zip(arguments, cut.axes, strict=True))
    ]
    if short.scratch:
        pieces.append(views.whole(Buffer("uint8", short.scratch, "tile"), (short.scratch,)))
    return Spread(var, count, (Call(short, tuple(pieces)),), joins=start > 0)


def _shortened(codelet: Codelet, cut: Cut, length: int) -> list[Operand]:
    """The arguments of a piece, inputs and outputs."""
    operands = (*codelet.inputs, *codelet.outputs)
    return [
        operand if axis is None else _shorter(operand, axis, *cut.share(i, length))
        for i, (operand, axis) in enumerate(zip(operands, cut.axes, strict=True))
    ]


def _shorter(
    operand: Operand, axis: int, length: int, start: int, stride: int, reach: int
) -> Operand:
    length = (length - 1) * stride + reach
    shape = tuple(length if i == axis else n for i, n in enumerate(operand.shape))
    return replace(operand, shape=shape)
