"""What a call of a small program costs from Python, NumPy in and out; `jax.jit` beside it."""

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
    yield "small program", partial(run, 500 if quick else 5000, 3 if quick else 15)


def run(calls: int, rounds: int) -> list[Row]:
    """2 x + y of 16 numbers, over and over, in a tight loop."""
    import jax

    import tilewright

    def function(x: Any, y: Any) -> Any:
        return 2 * x + y

    x, y = np.arange(16, dtype=np.float32), np.ones(16, np.float32)
    ours, jitted = tilewright.compile(function, x, y), jax.jit(function)

    def through_jax(x: Any, y: Any) -> Any:
        return np.asarray(jitted(x, y))

    np.testing.assert_array_equal(ours(x, y), through_jax(x, y))
    contenders = {"ours": partial(_loop, ours, x, y, calls)}
    contenders["jax"] = partial(_loop, through_jax, x, y, calls)
    measured = compare(contenders, rounds, keep=("ours", "jax"))
    microseconds = {name: measured.median(name) / calls * 1e6 for name in contenders}
    ratio, low, high = measured.ratio("jax", "ours")
    return [
        Row(
            "call",
            "2 x + y of 16 numbers",
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


def _loop(function: Callable, x: np.ndarray, y: np.ndarray, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function(x, y)
    return time.perf_counter() - start
