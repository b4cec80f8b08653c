"""How fast a net runs tick by tick: what an answer waits for, and what is done between ticks."""

from __future__ import annotations

import time

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.runtime.stateful import Stateful

LEAST = 20
"""Ticks that are measured at least."""


@frozen
class Rates:
    """Medians over `ticks` ticks in a row, in seconds.

    `answer` is from tick to answer, `between` the work until the next tick may come.
    """

    answer: float
    between: float
    ticks: int

    @property
    def highest(self) -> float:
        """Ticks a second that can be kept up."""
        return 1 / (self.answer + self.between)

    def __str__(self) -> str:
        return (
            f"{self.answer * 1e6:.1f} µs from tick to answer, {self.between * 1e6:.1f} µs between "
            f"ticks: up to {self.highest:,.0f} ticks a second"
        )


def measured(program: Stateful, shape: tuple[int, ...], seconds: float) -> Rates:
    """Of a program whose state is nobody's, on random ticks."""
    if not seconds > 0:
        raise ArgumentError(f"seconds must be above 0, not {seconds!r}.")
    ticks = np.random.default_rng(0).normal(size=(64, *shape)).astype(np.float32)
    clock, answers, betweens = time.perf_counter, [], []
    for x in ticks[:3]:
        program.prepare()
        program.answer(x)
    program.prepare()
    end = clock() + seconds
    while clock() < end or len(answers) < LEAST:
        x = ticks[len(answers) % len(ticks)]
        start = clock()
        program.answer(x)
        answered = clock()
        program.prepare()
        betweens.append(clock() - answered)
        answers.append(answered - start)
    return Rates(float(np.median(answers)), float(np.median(betweens)), len(answers))
