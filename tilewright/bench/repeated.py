"""A codelet alone, in a loop, in operations a second."""

from __future__ import annotations

import time

from tilewright.calibrate import Alone
from tilewright.codelets.base import Codelet

GUESS = 5e10
"""Operations a second: how many turns a run of given length takes."""


class Repeated(Alone):
    """Compiled to run for about `seconds`; calling it gives its operations a second.

    Each timing comes after one run untimed, which brings operands back into the caches.
    """

    def __init__(self, codelet: Codelet, seconds: float = 5e-4):
        super().__init__(codelet, max(1, round(seconds * GUESS / codelet.work.flops)))

    def __call__(self) -> float:
        self.run(*self.arrays)
        start = time.perf_counter()
        self.run(*self.arrays)
        return self.codelet.work.flops * self.turns / (time.perf_counter() - start)
