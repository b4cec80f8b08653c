"""Gradients of kernels over tiles that share no memory: a grid of their elements and of positions.

In: what a kernel's gradient is and its views; the machine. Out: steps, or None where one tile is as
good. Taps, groups and channels are cut, and so are the positions that are summed over, where the
law's tree of sums has a node (`graph/law.py`): runs of leaves of an image, or of whole images. The
parts of a sum are then added up, each element's on one tile. Always: the same sums in order.

A kernel that is applied at many places has few elements: without parts of its positions few tiles
would have work, each with a whole image in its memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, prod

import numpy as np

from tilewright.codelets.convolution import FilterGradient
from tilewright.codelets.reduce import Tree
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.law import leaf_height
from tilewright.machine.cost import lanes
from tilewright.machine.granules import matrix_unit, product, threaded
from tilewright.machine.machine import Machine
from tilewright.plan.apart.conv_grid import blocks_of
from tilewright.plan.apart.grid import Run, block, combinations, even
from tilewright.plan.basic import operand
from tilewright.plan.ir import Buffer, Call, Family, Var, View, new_var
from tilewright.plan.views import whole


@frozen
class Part:
    """Of the positions: so many images, so many rows of each. The last may have fewer."""

    images: int
    rows: int


@frozen
class Layout:
    """`blocks` are sizes along (groups, rows, columns, inputs, outputs) of the kernel."""

    part: Part
    blocks: tuple[int, ...]


def gradient_grid(
    codelet: FilterGradient, arguments: Sequence[View], machine: Machine
) -> list[Family] | None:
    if not codelet.out.size:
        return None
    found = _best(codelet, machine)
    images, rows = codelet.gradient.shape[:2]
    counts = ceil(images / found.part.images), ceil(rows / found.part.rows)
    if prod(counts) == 1:
        if found.blocks == codelet.out.shape:
            return None
        return list(_sums(codelet, arguments, found))
    *read, out = arguments
    buffer = Buffer(out.dtype, prod(counts) * out.size, "shared")
    parts = whole(buffer, (*counts, *out.shape))
    added = _added(whole(buffer, (prod(counts), *out.shape)), out, machine)
    return [*_sums(codelet, [*read, parts], found), *added]


def _sums(codelet: FilterGradient, arguments: Sequence[View], layout: Layout) -> Iterator[Family]:
    """Of each part of the positions; where there are several, the result has two axes for them."""
    _, gradient, out = arguments
    part, lengths = layout.part, (*gradient.shape[:2], *codelet.out.shape)
    for runs, homes in combinations(lengths, (part.images, part.rows, *layout.blocks)):
        vars = tuple(new_var() for _ in runs)
        read, given = _operands(codelet, arguments, runs, vars)
        made = out
        if len(out.shape) > len(codelet.out.shape):
            for axis in (0, 1):
                one = Run(runs[axis].block, runs[axis].count, 1, runs[axis].block)
                made = block(made, axis, one, vars[axis])
            made = replace(made, shape=made.shape[2:], strides=made.strides[2:])
        for axis, (run, var) in enumerate(zip(runs[2:], vars[2:], strict=True)):
            made = block(made, axis, run, var)
        one = replace(codelet, image=operand(read), gradient=operand(given), out=operand(made))
        counts = tuple(run.count for run in runs)
        yield Family(vars, counts, homes, (Call(one, (read, given, made)),))


def _operands(
    codelet: FilterGradient, arguments: Sequence[View], runs: Sequence[Run], vars: Sequence[Var]
) -> tuple[View, View]:
    """What a block reads: positions move the image by strides, taps by dilations."""
    (down, along), (far, wide) = codelet.stride, codelet.dilation
    images, high, group, row, column, channel, output = range(len(runs))
    read, given, _ = arguments
    read = block(read, 0, runs[images], vars[images])
    read = block(read, 1, runs[high], vars[high], down)
    read = block(read, 1, runs[row], vars[row], far, (runs[high].size - 1) * down + 1)
    broad = (given.shape[2] - 1) * along + 1
    read = block(read, 2, runs[column], vars[column], wide, broad)
    read = block(read, 3, runs[group], vars[group])
    read = block(read, 4, runs[channel], vars[channel])
    for axis, dimension in enumerate((images, high)):
        given = block(given, axis, runs[dimension], vars[dimension])
    for axis, dimension in ((3, group), (4, output)):
        given = block(given, axis, runs[dimension], vars[dimension])
    return read, given


def _added(parts: View, out: View, machine: Machine) -> Iterator[Family]:
    """The tree over the parts of each element."""
    for runs, homes in combinations(out.shape, even(out.shape, machine.chip.tiles)):
        vars = tuple(new_var() for _ in runs)
        read, made = parts, out
        for axis, (run, var) in enumerate(zip(runs, vars, strict=True)):
            read, made = block(read, 1 + axis, run, var), block(made, axis, run, var)
        counts = tuple(run.count for run in runs)
        call = Call(Tree(operand(read), operand(made)), (read, made))
        yield Family(vars, counts, homes, (call,))


def parts_of(codelet: FilterGradient) -> Iterator[Part]:
    """All positions; then nodes of the tree: of all images alike, and of more than one position."""
    images, rows, columns = codelet.gradient.shape[:3]
    yield Part(images, rows)
    if codelet.out.dtype != codelet.sum_dtype:
        return  # parts would be rounded
    height = leaf_height(columns)
    leaves, several = ceil(rows / height), 1
    while several < leaves and (images == 1 or leaves % several == 0):
        part = Part(1, several * height)
        if columns * min(part.rows, (rows - 1) % part.rows + 1) > 1:
            yield part
        several *= 2
    some = 1
    while leaves & (leaves - 1) == 0 and some < images and rows * columns > 1:
        yield Part(some, rows)
        some *= 2


def _best(codelet: FilterGradient, machine: Machine) -> Layout:
    """The soonest done of those that fit; of none, that with the least bytes."""
    found = []
    for part in parts_of(codelet):
        if _count(codelet, part) <= machine.chip.tiles:
            blocks, cost, fits = _best_blocks(codelet, part, machine)
            found.append((not fits, cost, Layout(part, blocks)))
    return min(found, key=lambda row: row[:2])[2]


def _count(codelet: FilterGradient, part: Part) -> int:
    images, rows = codelet.gradient.shape[:2]
    return ceil(images / part.images) * ceil(rows / part.rows)


def _best_blocks(
    codelet: FilterGradient, part: Part, machine: Machine
) -> tuple[tuple[int, ...], float, bool]:
    """Sizes of blocks, what they take in cycles (in bytes, where none fits), whether they fit."""
    tile, dtype, item = machine.tile, codelet.image.dtype, numpy_dtype(codelet.image.dtype).itemsize
    parts, wide = _count(codelet, part), codelet.gradient.shape[2]
    blocks = blocks_of(codelet.out.shape, machine.chip.tiles // parts)
    groups, rows, columns, channels, outputs = blocks
    positions = part.images * part.rows * wide
    made = groups * rows * columns * channels * outputs
    compute = threaded(positions * made / lanes(tile, codelet.sum_dtype), made, tile) + tile.call
    unit = matrix_unit(tile, dtype)
    if unit is not None:
        by_unit = product(channels, outputs, positions, tile, unit, dtype)
        compute = np.minimum(compute, groups * rows * columns * by_unit)
    down, far = codelet.stride[0], codelet.dilation[0]
    along, apart = codelet.stride[1], codelet.dilation[1]
    high = (part.rows - 1) * down + (rows - 1) * far + 1
    broad = (wide - 1) * along + (columns - 1) * apart + 1
    read = groups * (part.images * high * broad * channels + positions * outputs)
    moved = item * (read + made)
    cost = compute + (moved + _adding(codelet, parts, machine)) / _rate(machine)
    fits = moved <= machine.tile.memory // 2
    best = int(np.argmin(np.where(fits, cost, np.inf) if fits.any() else moved))
    sizes = tuple(int(axis[best]) for axis in blocks)
    return sizes, float(cost[best] if fits.any() else moved[best]), bool(fits.any())


def _adding(codelet: FilterGradient, parts: int, machine: Machine) -> float:
    """What it takes to pass parts on, twice, and to add them up: as bytes that are received."""
    if parts == 1:
        return 0.0
    chip, item = machine.chip, numpy_dtype(codelet.out.dtype).itemsize
    elements = ceil(codelet.out.size / chip.tiles) * parts
    begun = 2 * (chip.sync_cycles + chip.exchange.overhead_cycles) + chip.tile.call
    return 2 * item * elements + (begun + elements) * _rate(machine)


def _rate(machine: Machine) -> float:
    return machine.chip.exchange.bytes_per_cycle_per_tile or 1.0
