"""Reductions and scatters with a function of the user's, in plain JAX.

A reduction combines neighbours: the function is associative, and need not commute.
A scatter runs one update after the other, in order, for the same place may be met twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def reduce(
    *arrays: Array, function: Callable[..., Sequence[Array]], axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """Operands of one shape, then a scalar of each to begin with: each operand reduced over `axes`.

    `function(*left, *right)` takes and gives as many scalars as there are operands.
    """
    operands, initial = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
    kept = [i for i in range(operands[0].ndim) if i not in axes]
    shape = [operands[0].shape[i] for i in kept]
    count = prod(operands[0].shape[i] for i in axes)
    rows = [jnp.transpose(x, (*axes, *kept)).reshape(count, prod(shape)) for x in operands]
    combine = jax.vmap(jax.vmap(lambda left, right: tuple(function(*left, *right))))
    while len(rows[0]) > 1:
        even = len(rows[0]) // 2 * 2
        pairs = [x[:even].reshape(even // 2, 2, prod(shape)) for x in rows]
        combined = combine(tuple(x[:, 0] for x in pairs), tuple(x[:, 1] for x in pairs))
        rows = [jnp.concatenate([new, x[even:]]) for new, x in zip(combined, rows, strict=True)]
    if len(rows[0]) == 0:
        return tuple(jnp.broadcast_to(value, shape) for value in initial)
    first = tuple(jnp.broadcast_to(value, rows[0].shape) for value in initial)
    return tuple(x.reshape(shape) for x in combine(first, tuple(rows)))


def scatter(
    operand: Array,
    indices: Array,
    updates: Array,
    *,
    function: Callable[[Array, Array], Sequence[Array]],
    numbers: lax.ScatterDimensionNumbers,
    mode: str,
) -> Array:
    """`lax.scatter`: `function(old, update)` of two scalars gives what stands there then.

    `mode` is "clip", "drop" or "promise", for windows that leave the operand.
    """
    places = indices.shape[:-1]
    windows = numbers.update_window_dims
    batched = [i for i in range(updates.ndim) if i not in windows]
    updates = jnp.transpose(updates, (*batched, *windows))
    sizes = _window(operand.ndim, updates.shape[len(places) :], numbers)
    updates = updates.reshape(prod(places), *sizes)
    starts = _starts(indices, operand.ndim, numbers)
    limits = jnp.array([n - size for n, size in zip(operand.shape, sizes, strict=True)])
    inside = jnp.all((starts >= 0) & (starts <= limits), axis=1)
    combine = lambda old, new: function(old, new)[0]  # noqa: E731
    for _ in sizes:
        combine = jax.vmap(combine)

    def update(i: Array, result: Array) -> Array:
        start = jnp.clip(starts[i], 0, limits)
        old = lax.dynamic_slice(result, tuple(start), sizes)
        new = combine(old, updates[i])
        if mode == "drop":
            new = jnp.where(inside[i], new, old)
        return lax.dynamic_update_slice(result, new, tuple(start))

    return lax.fori_loop(0, prod(places), update, operand)


def _window(rank: int, window: Sequence[int], numbers: Any) -> tuple[int, ...]:
    """The sizes of one update along every dimension of the operand."""
    single = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    rest = iter(window)
    return tuple(1 if i in single else next(rest) for i in range(rank))


def _starts(indices: Array, rank: int, numbers: Any) -> Array:
    """Where each update starts along every dimension of the operand: (updates, rank)."""
    places = indices.shape[:-1]
    starts = [jnp.zeros(places, indices.dtype)] * rank
    for position, dimension in enumerate(numbers.scatter_dims_to_operand_dims):
        starts[dimension] = indices[..., position]
    for dimension, batch in zip(
        numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True
    ):
        starts[dimension] = lax.broadcasted_iota(indices.dtype, places, batch)
    return jnp.stack(starts, axis=-1).reshape(prod(places), rank)
