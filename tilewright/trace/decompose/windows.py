"""Windows combined by whatever function, in plain JAX: one element of all windows after the other.

In: arrays, and a window's size, strides, padding and dilations in every dimension. Out: an element
for each window. Always: elements are taken in row-major order of the window, and padding, like the
holes of a dilated operand, is no element, as XLA's CPU has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array
Pairs = Sequence[tuple[int, int]]


def reduce_window(
    *arrays: Array,
    function: Callable[..., Sequence[Array]],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Pairs,
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> tuple[Array, ...]:
    """Operands of one shape, then a scalar of each that every window begins with, once.

    `function(*left, *right)` takes and gives as many scalars as there are operands.
    """
    operands, initial = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
    combine = jax.vmap(lambda left, right: tuple(function(*left, *right)))
    walks = [
        _elements(x, start, window_dimensions, window_strides, padding, base_dilation,
                  window_dilation)
        for x, start in zip(operands, initial, strict=True)
    ]  # fmt: skip
    results: tuple[Array, ...] | None = None
    shape: tuple[int, ...] = ()
    for place, elements in zip(
        np.ndindex(*window_dimensions), zip(*walks, strict=True), strict=True
    ):
        shape = elements[0].shape
        flat = tuple(x.ravel() for x in elements)
        if results is None:
            results = tuple(jnp.full(x.shape, s) for x, s in zip(flat, initial, strict=True))
        there = _there(
            place, operands[0].shape, shape, window_strides, padding, base_dilation, window_dilation
        ).ravel()
        results = _where(there, combine(results, flat), results)
    assert results is not None
    return tuple(x.reshape(shape) for x in results)


def _where(mask: np.ndarray, new: tuple[Array, ...], old: tuple[Array, ...]) -> tuple[Array, ...]:
    if mask.all():
        return new
    return tuple(jnp.where(mask, x, y) for x, y in zip(new, old, strict=True))


def _there(
    place: Sequence[int],
    shape: Sequence[int],
    counts: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    base: Sequence[int],
    spacing: Sequence[int],
) -> np.ndarray:
    """In which windows, of `counts`, the element at `place` is one of an operand of this shape."""
    rows = zip(place, shape, counts, strides, padding, base, spacing, strict=True)
    there = np.ones((), bool)
    for i, size, count, stride, (low, _), hole, apart in rows:
        at = np.arange(count) * stride + i * apart - low
        there = there[..., None] & (at >= 0) & (at <= (size - 1) * hole) & (at % hole == 0)
    return there


def select_and_gather_add(
    tangents: Array,
    operand: Array,
    *,
    largest: bool,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Pairs,
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Array:
    """The tangent at each window's first extreme, as `select_and_scatter_add` chooses it."""
    how = window_dimensions, window_strides, padding, base_dilation, window_dilation
    worst = _worst(operand.dtype, largest)
    best = chosen = None
    pairs = zip(_elements(operand, worst, *how), _elements(tangents, 0, *how), strict=True)
    for element, tangent in pairs:
        if best is None or chosen is None:
            best, chosen = element, tangent
            continue
        stays = best >= element if largest else best <= element
        best, chosen = jnp.where(stays, best, element), jnp.where(stays, chosen, tangent)
    assert chosen is not None
    return chosen


def _worst(dtype: np.dtype, largest: bool) -> Array:
    if jnp.issubdtype(dtype, jnp.floating):
        return jnp.array(-np.inf if largest else np.inf, dtype)
    bounds = jnp.iinfo(dtype)
    return jnp.array(bounds.min if largest else bounds.max, dtype)


def _elements(
    array: Array,
    fill: Array | float,
    size: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    base: Sequence[int],
    spacing: Sequence[int],
) -> Iterator[Array]:
    """Of every window the first element, then of every window the second, and so on."""
    rows = [(low, high, d - 1) for (low, high), d in zip(padding, base, strict=True)]
    whole = lax.pad(array, jnp.asarray(fill, array.dtype), rows)
    counts = [
        max(0, (n - (k - 1) * d - 1) // s + 1)
        for n, k, s, d in zip(whole.shape, size, strides, spacing, strict=True)
    ]
    for place in np.ndindex(*size):
        start = [i * d for i, d in zip(place, spacing, strict=True)]
        limit = [
            a + (n - 1) * s + 1 if n else a for a, n, s in zip(start, counts, strides, strict=True)
        ]
        limit = [min(b, n) for b, n in zip(limit, whole.shape, strict=True)]
        start = [min(a, b) for a, b in zip(start, limit, strict=True)]
        yield lax.slice(whole, start, limit, strides)
