"""A cluster of our own, seen as processes: none is left soon after the job, however that ends.

In: this process, whose children they are. Left to itself, Ray gives a helper that does not hear
SIGTERM a second when the driver leaves; and when the driver is killed, the two agents of its node
try for a minute to tell it so. Here helpers are killed at once, and a small process that does
nothing but wait for the end of ours kills what is left then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

CORE = ("raylet", "gcs_server")
"""Ray ends these itself, workers and agents with them."""
WATCH = """
import os, signal, sys
group, *left = map(int, sys.stdin.read().split())
for process in left:
    try:
        if os.getpgid(process) == group:
            os.kill(process, signal.SIGKILL)
    except OSError:
        pass
"""
"""Reads until the writer is gone. Ray's processes are of our group: nobody else's is killed."""


class OwnCluster:
    """The processes that `ray.init` starts here, between `__init__` and `begun`."""

    def __init__(self) -> None:
        self._others = {process.pid for process in _descendants()}
        self._watch: subprocess.Popen | None = None

    def begun(self) -> None:
        """All are there but for workers, which end themselves."""
        self._all = [process for process in _descendants() if process.pid not in self._others]
        self._watch = _watching([process.pid for process in self._all])

    def end_helpers(self) -> None:
        """Kill what serves the cluster as a whole and does no work: monitors and logs."""
        me = os.getpid()
        for process in self._all if self._watch else ():
            with suppress(Exception):  # it is gone
                if process.ppid() == me and process.name() not in CORE:
                    process.kill()

    def unwatch(self) -> None:
        """There is nothing left to be killed."""
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()


def _descendants() -> list[Any]:
    """Processes of `psutil`, which comes with Ray."""
    import psutil

    return psutil.Process().children(recursive=True)


def _watching(processes: list[int]) -> subprocess.Popen:
    """In a session of its own: Ctrl-C is for us."""
    watch = subprocess.Popen(
        [sys.executable, "-ISc", WATCH],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert watch.stdin is not None
    watch.stdin.write(" ".join(map(str, [os.getpgrp(), *processes])).encode())
    watch.stdin.flush()
    return watch
