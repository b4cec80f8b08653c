"""Blocks of a vertex's operands: what families over a grid share.

In: a call as a problem (`cutting.py`); runs of blocks along its dimensions. Out: views that move
from block to block with the variables of a family, and of loops around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.base import Codelet
from tilewright.plan.again import made_again
from tilewright.plan.apart.cutting import Cutting
from tilewright.plan.apart.grid import Run
from tilewright.plan.ir import Call, Var, View

Turn = tuple[tuple[Var, str, int], ...]
"""Loops around a grid: along which dimension each goes on, and by how much."""


def made(codelet: Codelet, views: Sequence[View]) -> Call:
    """Without scratch memory: it is lent for copies that only a cache asks for."""
    return Call(made_again(codelet, views), tuple(views))


def blocks(
    cut: Cutting, views: Sequence[View], along: dict[str, Run], vars: dict[str, Var], turn: Turn
) -> list[View]:
    """Of each view the block of an instance."""
    found = []
    for view, names in zip(views, cut.axes, strict=False):
        shape, offset = list(view.shape), view.offset
        moves = list(view.moves)
        for axis, name in enumerate(names):
            run, stride = along[name], view.strides[axis]
            shape[axis] = run.size
            offset += run.start * stride
            moves.append((vars[name], run.size * stride))
            moves += [(var, share * stride) for var, which, share in turn if name == which]
        moves = [(var, step) for var, step in moves if step]
        found.append(replace(view, shape=tuple(shape), offset=offset, moves=tuple(moves)))
    return found
