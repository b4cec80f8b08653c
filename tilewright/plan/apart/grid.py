"""Families over a grid of blocks: what any vertex becomes that is cut along several dimensions.

In: for each dimension the size of its blocks, the last one shorter; for each view the axis that is
cut along a dimension. Out: homes, and views that move from block to block. A dimension whose blocks
are not all alike has two runs, and there is a family for each combination of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product as every
from math import ceil, prod

import numpy as np

from tilewright.frozen import frozen
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Var, View

MOST = 24
"""Sizes of blocks along a dimension that are tried."""


@frozen
class Run:
    """`count` blocks of `size` along a dimension, the first is number `block`, at `start`."""

    block: int
    count: int
    size: int
    start: int


def runs(length: int, size: int) -> list[Run]:
    full, rest = divmod(length, size)
    found = [Run(0, full, size, 0)] if full else []
    return found + ([Run(full, 1, rest, full * size)] if rest else [])


def combinations(
    lengths: Sequence[int], sizes: Sequence[int]
) -> Iterator[tuple[tuple[Run, ...], Homes]]:
    """A run of each dimension, and the homes of its blocks: neighbours along the last one."""
    some = [runs(length, size) for length, size in zip(lengths, sizes, strict=True)]
    parts = [sum(run.count for run in one) for one in some]
    apart = [prod(parts[d + 1 :]) for d in range(len(parts))]
    for chosen in every(*some):
        first = sum(run.block * step for run, step in zip(chosen, apart, strict=True))
        axes = (Axis(run.count, 1, step) for run, step in zip(chosen, apart, strict=True))
        yield chosen, Homes(first, tuple(axes))


def sizes(length: int, most: int) -> np.ndarray:
    """Sizes of blocks for 1 to `most` parts, each once; not too many of them."""
    found = np.unique([ceil(length / parts) for parts in range(1, max(min(length, most), 1) + 1)])
    return found[np.unique(np.linspace(0, found.size - 1, MOST).round().astype(np.int64))]


def even(shape: Sequence[int], tiles: int, whole: Sequence[int] = ()) -> tuple[int, ...]:
    """The smallest blocks of which there are no more than tiles; the axes `whole` are not cut.

    Of equals those with the longest rows.
    """
    some = [np.array([n]) if axis in whole else sizes(n, tiles) for axis, n in enumerate(shape)]
    grid = [axis.reshape(-1) for axis in np.meshgrid(*some, indexing="ij")]
    parts = np.prod([np.ceil(n / size) for n, size in zip(shape, grid, strict=True)], axis=0)
    weight = np.prod(grid, axis=0, dtype=float)
    weight[parts > tiles] = np.inf
    best = np.lexsort((*(-axis for axis in grid), weight))[0]
    return tuple(int(axis[best]) for axis in grid)


def block(view: View, axis: int, run: Run, var: Var, step: int = 1, window: int = 1) -> View:
    """What blocks of a run touch along an axis: `window` elements for each, `step` apart."""
    shape = list(view.shape)
    shape[axis] = (run.size - 1) * step + window
    stride = view.strides[axis] * step
    moves = (*view.moves, (var, run.size * stride)) if run.count > 1 and stride else view.moves
    return replace(view, shape=tuple(shape), offset=view.offset + run.start * stride, moves=moves)
