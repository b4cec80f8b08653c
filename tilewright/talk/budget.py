"""How much time a run of the talk has: a step that would not end in it is left for another call.

In: seconds, and of steps that have ended how long they took. Out: whether one more has room. What
`steps.py` says of a step is for two quiet cores; a host that takes longer is known by the steps
that it has done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tilewright.talk.steps import Step

LAST = 5.0
"""Seconds that are kept for the page."""


@dataclass
class Budget:
    """`seconds` from now on; `clock` is one that only goes forward, in seconds."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    expected: float = 0.0
    taken: float = 0.0

    def __post_init__(self) -> None:
        self.until = self.clock() + self.seconds - LAST

    @property
    def left(self) -> float:
        """Seconds, never below zero."""
        return max(0.0, self.until - self.clock())

    @property
    def pace(self) -> float:
        """Times as long as two quiet cores that this host takes, at least 1."""
        return max(1.0, self.taken / self.expected) if self.expected else 1.0

    def has(self, step: Step) -> bool:
        """Whether it would end in time."""
        return step.seconds * self.pace <= self.left

    def took(self, step: Step, seconds: float) -> None:
        """Told of each step that has ended."""
        self.expected += step.seconds
        self.taken += seconds
