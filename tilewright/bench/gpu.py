"""A GPU, where JAX sees one: a function through XLA, timed on the clock with what it returns ready.

What it reads lies on the GPU beforehand, and results stay there: the copies are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

PREFIX = "JAX on "
"""How names of contenders begin."""
LASTS = 0.01
"""Seconds of a sample."""
ABSENT = "JAX sees none (with one of NVIDIA's: pip install 'jax[cuda13]')"


def device() -> Any | None:
    """The first that JAX sees."""
    import jax

    try:
        return jax.devices("gpu")[0]
    except RuntimeError:
        return None


def calling(fn: Callable, *arguments: Any) -> Mapping[str, Callable[[], None]]:
    """A call whose results are waited for, by name; nothing where there is no GPU."""
    import jax

    place = device()
    if place is None:
        return {}
    given = jax.device_put(arguments, place)
    function = jax.jit(fn)
    return {PREFIX + place.device_kind: lambda: jax.block_until_ready(function(*given))}


def contender(fn: Callable, *arguments: Any) -> Mapping[str, Callable[[], float]]:
    """Seconds of such a call."""
    return {name: clocked(call) for name, call in calling(fn, *arguments).items()}


def clocked(call: Callable[[], object]) -> Callable[[], float]:
    """Seconds of a call on the clock, of as many as take `LASTS`; it is warm."""
    call()
    start = time.perf_counter()
    call()
    turns = max(1, round(LASTS / max(time.perf_counter() - start, 1e-9)))

    def seconds() -> float:
        start = time.perf_counter()
        for _ in range(turns):
            call()
        return (time.perf_counter() - start) / turns

    return seconds
