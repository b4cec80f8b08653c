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

STEPS = 20
"""Gradients a call: enough to hide what a call costs."""
SECONDS, FEWEST = 0.15, 2
"""How long is measured; calls at least, after a first one that warms the caches."""
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
    program(position, *data)
    count, began = 0, time.monotonic()
    while count < FEWEST or time.monotonic() - began < SECONDS:
        program(position, *data)
        count += 1
    return (time.monotonic() - began) / (count * STEPS)


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

    def climb(position: Any, *data: Any) -> Any:
        slope = jax.grad(density(*data))

        def turn(_: Any, at: Any) -> Any:
            return jax.tree.map(lambda z, g: z + TINY * g, at, slope(at))

        return jax.lax.fori_loop(0, STEPS, turn, position)

    position, data = pattern.unflatten(leaves)
    tiles = 1 if machine == "native" else None
    return tilewright.compile(climb, position, *data, machine=machine, tiles=tiles)
