"""What a gradient costs here and now, so that a job can say beforehand how long it will take.

In: a log density and its data. Out: seconds of a core for one gradient, measured for a fraction of
a second by a program of its own, on one tile like a chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

FEW, MANY = 10, 60
"""Gradients of a call: the difference of two calls is without what a call does once."""
SECONDS, FEWEST = 0.15, 2
"""How long is measured; pairs of calls at least, after a first that warms the caches."""
TINY = 1e-6
"""Of a gradient is added to the position, so that no step is the same as the one before."""


def gradient_seconds(
    density: Callable, position: Any, data: tuple[Any, ...], machine: str
) -> float:
    """`density(*data)` is the function from positions, such as `position`, to the log density.

    It is known by its identity: the same function for the same shapes is compiled once.
    """
    import jax

    shapes = jax.tree.map(_shape, (position, data))
    leaves, pattern = jax.tree.flatten(shapes)
    program = _compiled(density, machine, pattern, tuple(leaves))
    position = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes[0])

    def seconds(steps: int) -> float:
        began = time.monotonic()
        jax.block_until_ready(program(position, np.int32(steps), *data))
        return time.monotonic() - began

    seconds(FEW)
    pairs, began = [], time.monotonic()
    while len(pairs) < FEWEST or time.monotonic() - began < SECONDS:
        pairs.append(seconds(MANY) - seconds(FEW))
    return max(float(np.median(pairs)), 0.0) / (MANY - FEW)


def in_words(seconds: float) -> str:
    """Such as "20 seconds", "7 minutes", "3.2 hours": nobody knows better."""
    if seconds < 90:
        return f"{max(10 * round(seconds / 10), 10)} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _shape(leaf: Any) -> Any:
    import jax

    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


@lru_cache(maxsize=4)
def _compiled(density: Callable, machine: str, pattern: Any, leaves: tuple[Any, ...]) -> Any:
    """Some steps up the density."""
    import jax

    import tilewright

    def climb(position: Any, steps: Any, *data: Any) -> Any:
        slope = jax.grad(density(*data))

        def turn(_: Any, at: Any) -> Any:
            return jax.tree.map(lambda z, g: z + TINY * g, at, slope(at))

        return jax.lax.fori_loop(0, steps, turn, position)

    position, data = pattern.unflatten(leaves)
    tiles = 1 if machine == "native" else None
    steps = jax.ShapeDtypeStruct((), np.int32)
    return tilewright.compile(climb, position, steps, *data, machine=machine, tiles=tiles)
