"""Operations whose positions are data: gather, scatter and the dynamic slices.

Index operands are integers of any width.

    dynamic_slice (operand, *starts) sizes=          starts are scalars, clamped as in lax
    dynamic_update_slice (operand, update, *starts)
    gather (operand, indices) and scatter (operand, indices, updates):
        params as in lax: for gather `offset_dims`, `collapsed_slice_dims`, `start_index_map`,
        `operand_batching_dims`, `start_indices_batching_dims`, `slice_sizes`; for scatter
        `update_window_dims`, `inserted_window_dims`, `scatter_dims_to_operand_dims`,
        `operand_batching_dims`, `scatter_indices_batching_dims`, `kind` in set add mul min max.
        `mode` in clip, drop (gather: fill with `fill`), promise (as clip for gather, drop for
        scatter).

Always: a window that starts out of bounds is moved inside ("clip"), or its elements are filled or
left out as a whole ("drop"). Scatter combines colliding updates one after the other, in row-major
order of the updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.graph.ops.operation import (
    Operation,
    Params,
    Shape,
    Types,
    moves,
    same,
    typed,
)
from tilewright.graph.scalar import SCALAR

Dims = Sequence[int]

_COMBINE = {"add": "add", "mul": "mul", "min": "min", "max": "max"}


def clamp_starts(starts: Sequence[np.ndarray], shape: Dims, sizes: Dims) -> list[int]:
    """Where a window of `sizes` begins, moved inside `shape`."""
    rows = zip(starts, shape, sizes, strict=True)
    return [min(max(int(start), 0), n - size) for start, n, size in rows]


def dynamic_slice(operand: np.ndarray, *starts: np.ndarray, sizes: Dims) -> np.ndarray:
    first = clamp_starts(starts, operand.shape, sizes)
    return operand[tuple(slice(a, a + n) for a, n in zip(first, sizes, strict=True))]


def dynamic_update_slice(
    operand: np.ndarray, update: np.ndarray, *starts: np.ndarray
) -> np.ndarray:
    first = clamp_starts(starts, operand.shape, update.shape)
    result = operand.copy()
    result[tuple(slice(a, a + n) for a, n in zip(first, update.shape, strict=True))] = update
    return result


def gather(
    operand: np.ndarray,
    indices: np.ndarray,
    *,
    offset_dims: Dims,
    collapsed_slice_dims: Dims,
    start_index_map: Dims,
    operand_batching_dims: Dims,
    start_indices_batching_dims: Dims,
    slice_sizes: Dims,
    mode: str,
    fill: Any = None,
) -> np.ndarray:
    """Windows of `operand` that begin at `indices`; the last axis of `indices` is one position."""
    whole = {*collapsed_slice_dims, *operand_batching_dims}
    window = [d for d in range(operand.ndim) if d not in whole]
    shape = _place(indices.shape[:-1], [slice_sizes[d] for d in window], offset_dims)
    batching = dict(zip(operand_batching_dims, start_indices_batching_dims, strict=True))
    positions, inside = _positions(
        operand.shape, indices, shape, offset_dims, window, start_index_map, batching,
        slice_sizes, drop=mode == "drop",
    )  # fmt: skip
    if operand.size == 0:
        result = np.zeros(shape, operand.dtype)
    else:
        result = operand[tuple(positions)] if positions else np.broadcast_to(operand, shape)
    if mode == "drop":
        result = np.where(inside, result, fill_value(operand.dtype, fill))
    return np.asarray(result).astype(operand.dtype, copy=False)


def scatter(
    operand: np.ndarray,
    indices: np.ndarray,
    updates: np.ndarray,
    *,
    update_window_dims: Dims,
    inserted_window_dims: Dims,
    scatter_dims_to_operand_dims: Dims,
    operand_batching_dims: Dims,
    scatter_indices_batching_dims: Dims,
    kind: str,
    mode: str,
) -> np.ndarray:
    """`operand` with windows of `updates` written or combined at `indices`."""
    whole = {*inserted_window_dims, *operand_batching_dims}
    window = [d for d in range(operand.ndim) if d not in whole]
    sizes = [1] * operand.ndim
    for d, axis in zip(window, update_window_dims, strict=True):
        sizes[d] = updates.shape[axis]
    batching = dict(zip(operand_batching_dims, scatter_indices_batching_dims, strict=True))
    positions, inside = _positions(
        operand.shape, indices, updates.shape, update_window_dims, window,
        scatter_dims_to_operand_dims, batching, sizes, drop=mode != "clip",
    )  # fmt: skip
    return _combine(operand, positions, inside, updates, kind)


def _place(batch: Dims, sizes: Dims, dims: Dims) -> tuple[int, ...]:
    """The result's shape: `sizes` at `dims`, `batch` in the places left."""
    at, rest = dict(zip(dims, sizes, strict=True)), iter(batch)
    return tuple(at[i] if i in at else next(rest) for i in range(len(batch) + len(sizes)))


def _positions(
    operand: Dims,
    indices: np.ndarray,
    shape: Dims,
    offset_dims: Dims,
    window: Dims,
    index_map: Dims,
    batching: dict[int, int],
    sizes: Dims,
    drop: bool,
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each element of windows of `shape`: its place in the operand, and if it is inside."""
    batch_axes = [i for i in range(len(shape)) if i not in offset_dims]
    grid = np.indices(shape, sparse=True) if len(shape) else []
    inside = np.ones(shape, bool)
    positions = []
    for d, n in enumerate(operand):
        position: Any = np.zeros((1,) * len(shape), np.int64)
        if d in index_map:
            start = _integers(indices[..., list(index_map).index(d)])
            start = np.expand_dims(start, tuple(sorted(offset_dims)))
            inside = inside & (start >= 0) & (start <= n - sizes[d])
            position = np.clip(start, 0, max(n - sizes[d], 0))
        elif d in batching:
            position = grid[batch_axes[batching[d]]]
        if d in window:
            position = position + grid[offset_dims[list(window).index(d)]]
        positions.append(np.broadcast_to(position, shape))
    return positions, inside if drop else np.ones(shape, bool)


def _integers(indices: np.ndarray) -> np.ndarray:
    """As int64; an unsigned index beyond that is as good as the largest."""
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    return indices.astype(np.int64)


def fill_value(dtype: np.dtype, fill: Any) -> np.ndarray:
    """What lies outside; by default NaN, the least signed or the greatest unsigned integer."""
    if fill is not None:
        return np.asarray(fill).astype(dtype)
    if dtype.kind in "iu":
        return np.array(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max, dtype)
    return np.array(np.nan).astype(dtype)


def _combine(
    operand: np.ndarray,
    positions: list[np.ndarray],
    inside: np.ndarray,
    updates: np.ndarray,
    kind: str,
) -> np.ndarray:
    """Apply the updates that are inside in row-major order, in rounds without collisions."""
    if operand.size == 0 or updates.size == 0:
        return operand
    flat = np.zeros(updates.shape, np.int64)
    for position, n in zip(positions, operand.shape, strict=True):
        flat = flat * n + position
    target, values = flat[inside], updates[inside]
    result = operand.flatten()
    if kind == "set":
        result[target] = values
        return result.reshape(operand.shape)
    rounds = _occurrence(target)
    for turn in range(rounds.max(initial=-1) + 1):
        now = target[rounds == turn]
        old, new = result[now], values[rounds == turn]
        result[now] = SCALAR[_COMBINE[kind]](old, new, dtype=operand.dtype.name)
    return result.reshape(operand.shape)


def _occurrence(target: np.ndarray) -> np.ndarray:
    """How many equal entries come before each one."""
    order = np.argsort(target, kind="stable")
    ranked = target[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else []
    first = np.repeat(starts, np.diff(np.r_[starts, len(ranked)]).astype(np.int64))
    result = np.empty(len(target), np.int64)
    result[order] = np.arange(len(target)) - first.astype(np.int64)
    return result


def _gather_shape(operands: Types, params: Params) -> Shape:
    whole = {*params["collapsed_slice_dims"], *params["operand_batching_dims"]}
    sizes = [n for d, n in enumerate(params["slice_sizes"]) if d not in whole]
    return _place(operands[1].shape[:-1], sizes, params["offset_dims"])


ROWS = {
    "dynamic_slice": Operation(
        typed(lambda operands, params: params["sizes"]), dynamic_slice, moves, folds=True
    ),
    "dynamic_update_slice": Operation(
        typed(same), dynamic_update_slice, moves, updates=True, folds=True
    ),
    "gather": Operation(typed(_gather_shape), gather, moves, folds=True),
    "scatter": Operation(typed(same), scatter, moves, updates=True, folds=True),
}
