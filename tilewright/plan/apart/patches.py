"""Elementwise vertices in patches: for tiles that share no memory.

In: a vertex whose operands are no lines that could be cut anywhere (the gates of a cell lie beside
each other in each row, an image has a border around it); the machine. Out: families: of a matrix of
few rows an instance for each piece of each row; of images as many images, rows and columns as there
are tiles, and so of sums over them. None where rows are enough, or one tile is as fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.base import Codelet
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce
from tilewright.machine.machine import Machine
from tilewright.plan.again import made_again
from tilewright.plan.apart.grid import block, combinations, even
from tilewright.plan.apart.slots import vertex
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Call, Family, View, new_var

WIDER = 1.5
"""How much larger than an even share one may be that divides the whole."""


def share(size: int, tiles: int) -> int:
    """Elements of a tile's: such that all have as many, if that is not much more."""
    least = -(-size // tiles)
    even = next(n for n in range(least, size + 1) if size % n == 0) if size else 1
    return even if even <= WIDER * least else max(least, 1)


def patches(
    codelet: Elementwise, arguments: Sequence[View], machine: Machine
) -> list[Family] | None:
    if len(codelet.shape) > 2 or (len(codelet.shape) == 2 and _is_stencil(arguments)):
        return _of_images(codelet, arguments, machine)
    if len(codelet.shape) != 2:
        return None
    rows, columns = codelet.shape
    tiles = machine.chip.tiles
    if not rows or 2 * rows > tiles or columns < 2:
        return None
    piece = share(columns, tiles // rows)
    if columns % piece or piece == columns:
        return None
    i, j = new_var(), new_var()
    one = replace(
        codelet,
        shape=(piece,),
        input_strides=tuple(s[1:] for s in codelet.input_strides),
        output_strides=tuple(s[1:] for s in codelet.output_strides),
    )
    whole_rows = replace(one, shape=(columns,))
    if not _saves(whole_rows, one, machine):
        return None
    views = tuple(_piece(view, piece, i, j) for view in arguments)
    count = columns // piece
    homes = Homes(0, (Axis(rows, 1, count), Axis(count)))
    return [Family((i, j), (rows, count), homes, (Call(one, views),))]


def _is_stencil(arguments: Sequence[View]) -> bool:
    """Whether it reads elements around each: views of one array that overlap, from several places
    on. (The gates of a cell lie in one array, too, but beside each other.)"""
    pairs = itertools.combinations(dict.fromkeys(arguments), 2)
    return any(_overlap(one, other) for one, other in pairs if one.offset != other.offset)


def _overlap(one: View, other: View) -> bool:
    """Of matrices: whether one begins so near to the other that they share elements."""
    if one.buffer != other.buffer or one.strides != other.strides or not all(one.strides):
        return False
    (rows, columns), (down, along) = one.shape, map(abs, one.strides)
    below, beside = divmod(abs(one.offset - other.offset), down)
    ways = (below, beside), (below + 1, down - beside)
    return any(i < rows and j < columns * along for i, j in ways)


def _of_images(
    codelet: Elementwise, arguments: Sequence[View], machine: Machine
) -> list[Family] | None:
    """Cut along all dimensions, into the smallest blocks."""
    sizes, found = even(codelet.shape, machine.chip.tiles), []
    whole = Call(codelet, tuple(arguments))
    for runs, homes in combinations(codelet.shape, sizes):
        vars = [new_var() for _ in runs]
        views = list(arguments)
        for axis, (run, var) in enumerate(zip(runs, vars, strict=True)):
            views = [block(view, axis, run, var) for view in views]
        one = replace(codelet, shape=tuple(run.size for run in runs))
        if not found and not _saves(codelet, one, machine):
            return None
        counts = tuple(run.count for run in runs)
        found.append(Family(tuple(vars), counts, homes, (Call(one, tuple(views)),), whole))
    return found


def sums_of_images(
    codelet: Reduce, arguments: Sequence[View], machine: Machine
) -> list[Family] | None:
    """A sum of each image and channel, cut along both as far as there are tiles; sums are whole."""
    if codelet.stored or any(step.op == "iota" for step in codelet.expression.instructions):
        return None
    sizes, found = even(codelet.shape, machine.chip.tiles, codelet.axes), []
    for runs, homes in combinations(codelet.shape, sizes):
        vars = [new_var() for _ in runs]
        *read, out = arguments
        for axis, (run, var) in enumerate(zip(runs, vars, strict=True)):
            read = [block(view, axis, run, var) for view in read]
            if axis not in codelet.axes:
                out = block(out, codelet.kept.index(axis), run, var)
        counts = tuple(run.count for run in runs)
        call = Call(made_again(codelet, (*read, out)), (*read, out))
        if not found and not _saves(codelet, call.codelet, machine):
            return None
        found.append(Family(tuple(vars), counts, homes, (call,)))
    return found


def _saves(whole: Codelet, part: Codelet, machine: Machine) -> bool:
    """Whether a part is sooner done than the whole, by more than it takes to pass things on."""
    chip = machine.chip
    saved = vertex(whole, machine.tile) - vertex(part, machine.tile)
    return saved > 2 * (chip.sync_cycles + chip.exchange.overhead_cycles)


def _piece(view: View, piece: int, i: int, j: int) -> View:
    down, along = view.strides
    moves = tuple((var, step) for var, step in ((i, down), (j, piece * along)) if step)
    return View(view.buffer, (piece,), (along,), view.offset, (*view.moves, *moves))
