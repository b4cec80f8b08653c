"""What calls of small programs cost from Python, NumPy in and out; `jax.jit` beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench.record import Row
from tilewright.bench.rounds import compare

BAR = 10.0
"""Microseconds."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for name in PROGRAMS:
        yield name, partial(run, name, 500 if quick else 5000, 3 if quick else 15)


def _sum(*arrays: Any) -> Any:
    return sum(arrays[1:], 2 * arrays[0])


def _newton(x: Any, y: Any) -> Any:
    """Square roots: as many steps as the slowest of 16 takes."""
    import jax
    import jax.numpy as jnp

    def step(guess: Any) -> Any:
        return 0.5 * (guess + x / guess)

    return jax.lax.while_loop(lambda g: jnp.any(jnp.abs(g * g - x) > 1e-3 * x), step, y)


PROGRAMS: dict[str, tuple[Callable[..., Any], int]] = {
    "2 x + y of 16 numbers": (_sum, 2),
    "2 x + the sum of 7 others, 16 numbers each": (_sum, 8),
    "Newton's square roots of 16 numbers, a while loop": (_newton, 2),
}
"""Functions, and how many arrays they take."""


def run(name: str, calls: int, rounds: int) -> list[Row]:
    """One program, over and over, in a tight loop."""
    import jax

    import tilewright

    function, count = PROGRAMS[name]
    arrays = [np.arange(16, dtype=np.float32) + i + 1 for i in range(count)]
    ours, jitted = tilewright.compile(function, *arrays), jax.jit(function)

    def through_jax(*arrays: Any) -> Any:
        return np.asarray(jitted(*arrays))

    np.testing.assert_allclose(ours(*arrays), through_jax(*arrays), rtol=1e-6)
    contenders = {"ours": partial(_loop, ours, arrays, calls)}
    contenders["jax"] = partial(_loop, through_jax, arrays, calls)
    measured = compare(contenders, rounds, keep=("ours", "jax"))
    microseconds = {name: measured.median(name) / calls * 1e6 for name in contenders}
    ratio, low, high = measured.ratio("jax", "ours")
    return [
        Row(
            "call",
            name,
            microseconds["ours"],
            "µs",
            microseconds["jax"],
            "jax.jit",
            bar=BAR,
            at_most=True,
            gflops=measured.gflops,
            notes=f"{ratio:.1f} ({low:.1f}–{high:.1f}) times as fast as jax.jit",
        )
    ]


def _loop(function: Callable, arrays: Sequence[np.ndarray], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function(*arrays)
    return time.perf_counter() - start
