"""`Slide`: a window that moves by a tick, exactly: its answer is that of the whole window, computed
from a zero state, to the bit.

A state is kept for every tick at which a window begins. With a tick the oldest answers, and between
ticks all the others advance as one batch; the first layer's product of the tick is computed once
for all of them.
"""

from __future__ import annotations

import numpy as np

from tilewright.runtime.stateful import Stateful
from tilewright.sequence.running import Running


class Slide(Running):
    """Windows of `steps` ticks; before so many there have been, of all there are.

    Made by `Model.slide`.
    """

    def __init__(
        self,
        model: str,
        precision: str,
        program: Stateful,
        streams: int,
        inputs: int,
        nan: str,
        steps: int,
    ):
        super().__init__(model, precision, program, streams, inputs, nan)
        self.steps, self.kind = steps, f"slide over {steps} ticks"

    @property
    def is_full(self) -> np.ndarray:
        """(streams,): whether the next answer is that of a whole window."""
        return self.ticks + 1 >= self.steps

    def _arrays(self) -> list[np.ndarray]:
        """(streams, steps, hidden); all streams' oldest rows are at one place of the ring."""
        *cells, self._at = self.program.arrays()
        return cells

    def _waiting(self, rows: np.ndarray) -> np.ndarray:
        return np.roll(rows, 1, axis=1)

    def _taken(self, row: np.ndarray) -> np.ndarray:
        return np.roll(row, -int(self._at), axis=0)

    def _put(self, row: np.ndarray) -> np.ndarray:
        return np.roll(row, int(self._at), axis=0)
