"""`Stream`: one tick in, one answer out, for a fixed number of streams with a state each."""

from __future__ import annotations

import numpy as np

from tilewright.sequence.running import Running


class Stream(Running):
    """After any number of ticks the answer is that of a window over all of them, to the bit.

    Made by `Model.stream`.
    """

    kind = "stream"

    def _arrays(self) -> list[np.ndarray]:
        return self.program.arrays()
