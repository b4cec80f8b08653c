"""Large single vertices of a plain function are cut along one dimension and dealt out to the tiles.

Cutting never changes a bit: only dimensions that no sum runs along are cut, into pieces whose
number depends on the shape and the machine. What is left over is a piece of its own beside the
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from tilewright.codelets.base import LANES, Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractPanels, ContractVector
from tilewright.codelets.convolution import Convolution, FilterGradient, Window, WindowScatter
from tilewright.codelets.elementwise import Elementwise, Transpose
from tilewright.codelets.linalg import TriangularSolve
from tilewright.machine.cost import is_worth_dealing, price
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.ir import Buffer, Call, Spread, Step, View, new_var

PIECES_A_TILE = 32
"""Pieces for each tile, if they are worth it: whoever is slow leaves some of them to others."""
ENOUGH_BATCHES = 8
OUTER_GRAIN, VECTOR_GRAIN, TRANSPOSE_GRAIN, SOLVE_GRAIN = 32, 16, 32, 64
PANEL_GRAIN = 4 * LANES
"""Rows or columns from which on a piece runs about as fast, for its size, as the whole."""


def spread_call(codelet: Codelet, arguments: Sequence[View], machine: Machine) -> list[Step] | None:
    """The vertex as one or two `Spread`s, or None where it is small or cannot be cut.

    `arguments` are without scratch memory: every piece has its own, in the tile's arena.
    """
    held = sum(view.buffer.nbytes for view in arguments)
    cut = _cut_of(codelet) if is_worth_dealing(codelet.work, machine, held) else None
    if cut is None:
        return None
    length = _piece_length(cut, price(codelet.work, machine.tile, held).cycles, machine)
    full, rest = divmod(cut.length, length)
    if full + (rest > 0) < 2:
        return None
    steps: list[Step] = [_piece(cut, arguments, length, full, 0)]
    if rest:
        steps.append(_piece(cut, arguments, rest, 1, full * length))
    return steps


def _piece_length(cut: _Cut, cycles: float, machine: Machine) -> int:
    """Even pieces; whole vectors along lanes; no shorter than a codelet is fast on.

    A piece takes no less than a barrier: drawing its number is a message between two tiles, too.
    """
    worth = int(cycles // max(machine.chip.sync_cycles, 1))
    count = max(2, min(PIECES_A_TILE * machine.tiles, cut.length // cut.grain, worth))
    length = -(-cut.length // count)
    return -(-length // LANES) * LANES if cut.along_lanes else length


@dataclass(frozen=True)
class _Cut:
    """`axes[i]` is the dimension of argument i that is cut, or None where it is read whole.

    `along_lanes`: vectors run along that dimension. `grain`: pieces are better not shorter. Of
    panels, a step along the dimension stands for 16 columns. `windows[i]`: how far apart, and how
    long, is what argument i gives to each step of the cut.
    """

    codelet: Codelet
    length: int
    axes: tuple[int | None, ...]
    along_lanes: bool = False
    grain: int = 1
    panels: int | None = None
    windows: tuple[tuple[int, int], ...] = ()

    def share(self, argument: int, length: int, start: int = 0) -> tuple[int, int, int, int]:
        """Length, start, stride and reach of what an argument gives to steps of the cut."""
        if self.panels == argument:
            return -(-length // LANES), start // LANES, 1, 1
        stride, reach = self.windows[argument] if self.windows else (1, 1)
        return length, start, stride, reach


def _piece(cut: _Cut, arguments: Sequence[View], length: int, count: int, start: int) -> Spread:
    var = new_var()
    joins = start > 0
    codelet = _shortened(cut.codelet, cut, length)
    pieces = [
        view if axis is None else views.shift(view, var, axis, *cut.share(i, length, start))
        for i, (view, axis) in enumerate(zip(arguments, cut.axes, strict=True))
    ]
    if codelet.scratch:
        pieces.append(views.whole(Buffer("uint8", codelet.scratch, "tile"), (codelet.scratch,)))
    return Spread(var, count, (Call(codelet, tuple(pieces)),), joins)


def _shortened(codelet: Codelet, cut: _Cut, length: int) -> Codelet:
    if isinstance(codelet, Elementwise):
        axis = cut.axes[-1]
        shape = tuple(length if i == axis else n for i, n in enumerate(codelet.shape))
        return replace(codelet, shape=shape)
    if isinstance(codelet, Transpose):
        return Transpose(_shorter(codelet.source, 0, length), _shorter(codelet.target, 0, length))
    if isinstance(codelet, TriangularSolve):
        return replace(codelet, target=_shorter(codelet.target, 1, length))
    arguments = [
        operand if axis is None else _shorter(operand, axis, *cut.share(i, length))
        for i, (operand, axis) in enumerate(
            zip((*codelet.inputs, *codelet.outputs), cut.axes, strict=True)
        )
    ]
    if isinstance(codelet, _OVER_IMAGES):
        names = [field.name for field in fields(codelet)]
        operands = [name for name in names if isinstance(getattr(codelet, name), Operand)]
        return replace(codelet, **dict(zip(operands, arguments, strict=True)))
    assert isinstance(codelet, ContractVector | ContractOuter | ContractPanels)
    lhs, rhs, *sides = arguments
    if isinstance(codelet, ContractVector):
        return replace(codelet, lhs=lhs, rhs=rhs, out=sides[0])
    count = len(codelet.beside)
    beside, (out, *more) = tuple(sides[:count]), sides[count:]
    changed = replace(codelet, lhs=lhs, out=out, beside=beside, more=tuple(more))
    if isinstance(changed, ContractPanels):
        return replace(changed, panels=rhs)
    return replace(changed, rhs=rhs)


def _shorter(
    operand: Operand, axis: int, length: int, start: int = 0, stride: int = 1, reach: int = 1
) -> Operand:
    length = (length - 1) * stride + reach
    shape = tuple(length if i == axis else n for i, n in enumerate(operand.shape))
    return replace(operand, shape=shape)


def _cut_of(codelet: Codelet) -> _Cut | None:
    if isinstance(codelet, Elementwise):
        return _cut_elementwise(codelet)
    if isinstance(codelet, ContractVector | ContractOuter):
        return _cut_contraction(codelet)
    if isinstance(codelet, ContractPanels):
        return _cut_panels(codelet)
    if isinstance(codelet, _OVER_IMAGES):
        return _cut_images(codelet)
    if isinstance(codelet, Transpose):
        return _Cut(codelet, codelet.source.shape[0], (0, 0), True, TRANSPOSE_GRAIN)
    if isinstance(codelet, TriangularSolve) and not codelet.is_batch:
        return _Cut(codelet, codelet.target.shape[1], (None, 1), True, SOLVE_GRAIN)
    return None


_OVER_IMAGES = (Convolution, FilterGradient, Window, WindowScatter)


def _cut_images(codelet: Codelet) -> _Cut:
    """Images one by one, else rows; where these are summed over, channels or groups of them."""
    if isinstance(codelet, FilterGradient):
        groups, *_, out = codelet.out.shape
        if groups >= ENOUGH_BATCHES:
            return _Cut(codelet, groups, (3, 3, 0), along_lanes=out < LANES)
        return _Cut(codelet, out, (None, 4, 4), along_lanes=True, grain=LANES)
    if isinstance(codelet, WindowScatter):
        if codelet.image.shape[0] >= ENOUGH_BATCHES:
            return _Cut(codelet, codelet.image.shape[0], (0, 0, 0))
        return _Cut(codelet, codelet.image.shape[3], (3, 3, 3), along_lanes=True, grain=LANES)
    assert isinstance(codelet, Convolution | Window)
    beside = (None,) * (len(codelet.inputs) - 1)
    if codelet.out.shape[0] >= ENOUGH_BATCHES:
        return _Cut(codelet, codelet.out.shape[0], (0, *beside, 0))
    taps = codelet.size[0] if isinstance(codelet, Window) else codelet.kernel.shape[1]
    windows = (codelet.stride[0], max(0, (taps - 1) * codelet.dilation[0] + 1))
    reads = (windows, *((1, 1) for _ in beside), (1, 1))
    return _Cut(codelet, codelet.out.shape[1], (1, *beside, 1), windows=reads)


def _cut_elementwise(codelet: Elementwise) -> _Cut | None:
    numbered = {
        dict(step.params)["dimension"]
        for step in codelet.expression.instructions
        if step.op == "iota"
    }
    free = [(n, -i) for i, n in enumerate(codelet.shape) if i not in numbered]
    if not free:
        return None
    length, axis = max(free)
    count = len(codelet.inputs) + len(codelet.outputs)
    return _Cut(codelet, length, (-axis,) * count, along_lanes=-axis == len(codelet.shape) - 1)


def _cut_panels(codelet: ContractPanels) -> _Cut:
    """Along the longer one of rows and columns; a piece of columns is whole panels."""
    sides = len(codelet.beside) + len(codelet.outputs)
    if codelet.m >= codelet.n:
        return _Cut(codelet, codelet.m, (0, None, *(0,) * sides), grain=OUTER_GRAIN)
    axes = (None, 0, *(1,) * sides)
    return _Cut(codelet, codelet.n, axes, True, PANEL_GRAIN, panels=1)


def _cut_contraction(codelet: ContractVector | ContractOuter) -> _Cut | None:
    """Along the first batch dimension, or the longer one of m and n."""
    if codelet.batch and codelet.batch[0] >= ENOUGH_BATCHES:
        return _Cut(codelet, codelet.batch[0], (0,) * len((*codelet.inputs, *codelet.outputs)))
    rank = len(codelet.batch)
    if isinstance(codelet, ContractVector):
        lanes = codelet.lhs.strides[-2] == 1
        return _Cut(codelet, codelet.m, (rank, None, rank), lanes, VECTOR_GRAIN)
    m, n = codelet.out.shape[-2:]
    m_step, n_step = codelet.out.strides[-2:]
    sides = len(codelet.beside) + len(codelet.outputs)
    if m >= n:
        axes = (rank, None, *(rank,) * sides)
        return _Cut(codelet, m, axes, m_step < n_step, OUTER_GRAIN)
    axes = (None, rank + 1, *(rank + 1,) * sides)
    return _Cut(codelet, n, axes, n_step < m_step, OUTER_GRAIN)
