"""What a stream errs after very many ticks, against the same net in float64.

Errors of a state that is carried could add up, or the state run away: `Drift` says what the answers
of the first and of the last tenth of the ticks err. The reference goes through XLA, some ticks at a
time, so that memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.sequence.precision import Error
from tilewright.sequence.stream import Stream

TENTHS = 10


@frozen
class Drift:
    """Errors of all `ticks` (of all streams together), of their first tenth, and of the last one;
    each over the deviation of all answers."""

    whole: Error
    first: Error
    last: Error
    ticks: int

    def __str__(self) -> str:
        return (
            f"{self.whole} over {self.ticks:,} ticks; {self.first.rms:.2%} in the first tenth of "
            f"them, {self.last.rms:.2%} in the last"
        )


def drift(net: Recurrent, weights: Weights, stream: Stream, ticks: np.ndarray) -> Drift:
    """Of a stream that nobody else has: ticks (ticks, streams, inputs), float32.

    Raises `ArgumentError` where all answers are equal.
    """
    tenths = np.array_split(ticks, TENTHS)
    squares, highest, count = np.zeros(TENTHS), np.zeros(TENTHS), np.zeros(TENTHS)
    total, total_of_squares = 0.0, 0.0
    for number, wanted in enumerate(_exact(net, weights, tenths)):
        found = np.empty(wanted.shape, np.float32)
        for i, x in enumerate(tenths[number]):
            found[i] = stream.answer(x)
            stream.prepare()
        apart = found - wanted
        squares[number], highest[number] = np.sum(apart**2), np.max(np.abs(apart))
        count[number] = wanted.size
        total += wanted.sum()
        total_of_squares += np.sum(wanted**2)
    mean = total / count.sum()
    deviation = np.sqrt(max(0.0, total_of_squares / count.sum() - mean**2))
    if not deviation > 1e-12 * abs(mean):
        raise ArgumentError("Answers to these ticks are all equal: no error can be set against it.")

    def error(part: slice) -> Error:
        rms = np.sqrt(squares[part].sum() / count[part].sum())
        return Error(float(highest[part].max()), float(rms / deviation))

    return Drift(
        error(slice(None)), error(slice(1)), error(slice(-1, None)), len(ticks) * stream.streams
    )


def _exact(net: Recurrent, weights: Weights, parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Answers in float64, (ticks, streams, outputs) for each part, on from one to the next."""
    import jax

    def run(weights: Weights, state: Any, xs: Any) -> Any:
        return jax.lax.scan(partial(recurrent.step, net, weights), state, xs)

    with jax.enable_x64(True):
        wide = jax.tree.map(lambda array: np.asarray(array, np.float64), weights)
        state = jax.tree.map(
            lambda array: np.zeros(array.shape, np.float64),
            recurrent.zero_state(net, parts[0].shape[1:2]),
        )
        compiled = jax.jit(run)
    for part in parts:
        with jax.enable_x64(True):
            state, answers = compiled(wide, state, np.asarray(part, np.float64))
        yield np.asarray(answers)
