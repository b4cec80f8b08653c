"""What follows a product costs: scale, shift and swish of each output, over the bare product; and
swish by itself, with its derivative from what it was given, of elements in L2.

Shapes are those that EfficientNet-B0 expands by, a strip of places at a time: products of places
and channels, weights bound, on one thread. Nanoseconds are processor time of an output, with less
without, round by round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare, undisturbed

SHAPES = ((448, 16, 96), (448, 24, 144), (196, 40, 240), (196, 80, 480), (196, 112, 672))
"""Places, channels, outputs."""
MOST = 0.5
"""The bar, ns an output."""
ELEMENTS = 1 << 15
"""Of swish by itself."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for shape in SHAPES[:1] if quick else SHAPES:
        yield " × ".join(map(str, shape)), partial(run, shape, 2 if quick else 30)
    yield "swish", partial(alone, 2 if quick else 30)


def run(shape: tuple[int, int, int], rounds: int) -> list[Row]:
    places, channels, outputs = shape
    runs = {name: undisturbed(each) for name, each in _programs(shape).items()}
    measured = compare(runs, rounds, keep=tuple(runs))
    pairs = zip(measured.seconds["with"], measured.seconds["without"], strict=True)
    more = np.array([a - b for a, b in pairs]) * 1e9 / (places * outputs)
    low, middle, high = np.percentile(more, [25, 50, 75])
    bare = measured.median("without") * 1e9 / (places * outputs)
    return [
        Row(
            "epilogues", f"{places} × {channels} × {outputs}: scale, shift and swish",
            float(middle), "ns an output", bar=MOST, at_most=True, gflops=measured.gflops,
            notes=f"quartiles {low:.2f} and {high:.2f}; the product alone {bare:.2f}",
        )
    ]  # fmt: skip


def alone(rounds: int) -> list[Row]:
    """Swish, and what comes back through it."""
    import jax

    import tilewright

    def back(x: Any, g: Any) -> Any:
        return jax.vjp(jax.nn.swish, x)[1](g)[0]

    x, g = np.random.default_rng(0).normal(size=(2, ELEMENTS)).astype(np.float32)
    given = {"swish": (jax.nn.swish, (x,)), "its derivative, times a gradient": (back, (x, g))}
    runs = {
        name: undisturbed(timed(partial(tilewright.compile(fn, *args, tiles=1), *args)))
        for name, (fn, args) in given.items()
    }
    measured = compare(runs, rounds, keep=tuple(runs))
    return [
        Row("epilogues", name, measured.median(name) * 1e9 / ELEMENTS, "ns an element", bar=MOST,
            at_most=True, gflops=measured.gflops)
        for name in runs
    ]  # fmt: skip


def _programs(shape: tuple[int, int, int]) -> dict[str, Callable[[], float]]:
    import jax

    import tilewright

    random = np.random.default_rng(0)
    x, w = (random.normal(size=s).astype(np.float32) for s in (shape[:2], shape[1:]))
    scale, shift = random.normal(size=(2, shape[2])).astype(np.float32)

    def bare(w: Any, scale: Any, shift: Any, x: Any) -> Any:
        return x @ w

    def ended(w: Any, scale: Any, shift: Any, x: Any) -> Any:
        return jax.nn.swish((x @ w) * scale + shift)

    held = w, scale, shift
    return {
        name: timed(partial(tilewright.compile(fn, *held, x, tiles=1).bind(*held), x))
        for name, fn in (("without", bare), ("with", ended))
    }
