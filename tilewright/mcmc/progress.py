"""What is seen of chains under way: a bar on the standard error stream, fed by the run's counters.

It appears when a run has taken longer than is worth mentioning, and goes when the run ends.
"""

from __future__ import annotations

import threading
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tilewright.runtime.run import Run

REFRESH = 0.2
"""Seconds between two looks at the counters."""


class ChainProgress:
    """To be used in a `with` block, during which `run` is waited for."""

    def __init__(self, run: Run, patience: float, console: Console | None = None):
        self._run, self._patience = run, patience
        self._bar = Progress(
            TextColumn("sampling"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("chains"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[turns]:,} turns of loops", style="cyan"),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *details: Any) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._over.wait(self._patience):
            return
        task = self._bar.add_task("", total=self._run.progress().total, turns=0)
        with self._bar:
            while not self._over.wait(REFRESH):
                now = self._run.progress()
                turns = sum(now.trips.values())
                self._bar.update(task, completed=now.completed, turns=turns)
