"""A step ends with whoever asked for it: killed, he would leave it measuring for nobody, beside
what is measured when he is called again."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with_parent(parent: int) -> None:
    """From now on this process is killed when the one that started it, of that number, ends,
    however it does; on Linux, nowhere else. Its peers end themselves when nobody writes to them.

    Where that one is gone already, as imports take their time, this one ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("whoever asked for this step is gone")
