"""Convolutions over tiles that share no memory: a grid of blocks of the results, by cost.

In: a convolution and its views; the machine. Out: families, or None where one tile is as good. A
block is some images, rows, columns, groups and outputs of a group; a tile gets the part of the
image that its block reads, rims included, and the part of the kernel. Always: whole sums, so that
no cut changes a bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.convolution import Convolution
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.cost import lanes
from tilewright.machine.granules import convolution, matrix_unit, threaded
from tilewright.machine.machine import Machine
from tilewright.plan.apart.grid import Run, block, combinations, sizes
from tilewright.plan.basic import operand
from tilewright.plan.homes import Homes
from tilewright.plan.ir import Call, Family, View, new_var


def convolution_grid(
    codelet: Convolution, arguments: Sequence[View], machine: Machine
) -> list[Family] | None:
    """None if it has few results, or no more than one tile would be busy."""
    if not codelet.out.size:
        return None
    blocks = _best(codelet, machine)
    if blocks == codelet.out.shape:
        return None
    return [
        _family(codelet, arguments, runs, homes)
        for runs, homes in combinations(codelet.out.shape, blocks)
    ]


def _best(codelet: Convolution, machine: Machine) -> tuple[int, ...]:
    """Sizes of the blocks that are soonest done, of those that fit a tile."""
    tiles, item = machine.chip.tiles, numpy_dtype(codelet.image.dtype).itemsize
    n, rows, columns, groups, outputs = blocks_of(codelet.out.shape, tiles)
    (kh, kw), channels = codelet.kernel.shape[1:3], codelet.channels
    (down, along), (far, wide) = codelet.stride, codelet.dilation
    high = (rows - 1) * down + (kh - 1) * far + 1
    broad = (columns - 1) * along + (kw - 1) * wide + 1
    pixels = n * rows * columns
    image = n * high * broad * groups * channels
    kernel = groups * kh * kw * channels * outputs
    made = pixels * groups * outputs * len(codelet.sides)
    tile = machine.tile
    terms = pixels * groups * outputs * kh * kw * channels
    width = lanes(tile, codelet.sum_dtype)
    vectors = pixels * groups * outputs / width
    compute = threaded(terms / width + pixels * tile.turn, vectors, tile) + tile.call
    unit = matrix_unit(tile, codelet.image.dtype)
    if unit is not None:
        dtype = codelet.image.dtype
        by_unit = groups * convolution(pixels, outputs, channels, kh * kw, tile, unit, dtype)
        compute = np.minimum(compute, by_unit)
    moved = item * (image + kernel + made)
    return soonest((n, rows, columns, groups, outputs), compute, moved, machine)


def soonest(
    blocks: Sequence[np.ndarray], compute: np.ndarray, moved: np.ndarray, machine: Machine
) -> tuple[int, ...]:
    """Of blocks whose operands and results are `moved` bytes; the smallest, where none fits."""
    cost = compute + moved / machine.chip.exchange.bytes_per_cycle_per_tile
    cost = np.where(moved <= machine.tile.memory // 2, cost, np.inf)
    best = int(np.argmin(cost)) if np.isfinite(cost).any() else int(np.argmin(moved))
    return tuple(int(axis[best]) for axis in blocks)


def blocks_of(shape: Sequence[int], tiles: int) -> list[np.ndarray]:
    """Sizes along each dimension, a column each, of no more blocks than tiles."""
    some = [sizes(length, tiles) for length in shape]
    grid = [axis.reshape(-1) for axis in np.meshgrid(*some, indexing="ij")]
    parts = np.prod([np.ceil(n / b) for n, b in zip(shape, grid, strict=True)], axis=0)
    return [axis[parts <= tiles] for axis in grid]


def _family(
    codelet: Convolution, arguments: Sequence[View], runs: Sequence[Run], homes: Homes
) -> Family:
    vars = [new_var() for _ in runs]
    image, kernel, *sides = arguments
    (down, along), (far, wide) = codelet.stride, codelet.dilation
    kh, kw = codelet.kernel.shape[1:3]
    reach = {1: (down, (kh - 1) * far + 1), 2: (along, (kw - 1) * wide + 1)}
    for axis, (run, var) in enumerate(zip(runs, vars, strict=True)):
        step, window = reach.get(axis, (1, 1))
        if axis < 4:
            image = block(image, axis, run, var, step, window)
        if axis >= 3:
            kernel = block(kernel, 0 if axis == 3 else 4, run, var)
        sides = [block(side, axis, run, var) for side in sides]
    found = (image, kernel, *sides)
    one = codelet.on([operand(view) for view in found])
    counts = tuple(run.count for run in runs)
    return Family(tuple(vars), counts, homes, (Call(one, found),))
