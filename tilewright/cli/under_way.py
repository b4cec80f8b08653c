"""What is shown of a long command: which step it is at, and how much time is left.

On a terminal a bar; anywhere else a line a step, as a spinner would print nothing there for an
hour. The time left is told by the steps that are over: `shares` says how long each takes beside the
others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

ENOUGH = 0.02
"""Of all, that is over before the time left is told."""


class UnderWay:
    """To be used in a `with` block; `step` is told what is being done now.

    `shares`: of the steps that are known before, in their order. Without, no time is told.
    """

    def __init__(self, console: Console, shares: Mapping[str, float] | None = None):
        self._console, self._shares = console, dict(shares or {})
        self._all = sum(self._shares.values())
        self._over, self._now = 0.0, 0.0
        self._began = time.monotonic()
        self._ends: float | None = None
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=28)] if self._shares else []),
            TimeElapsedColumn(),
            _Left(self),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._all or None)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._bar.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._bar.__exit__(*details)

    def step(self, text: str) -> None:
        """It begins; what was told before is over."""
        self._over += self._now
        self._now = self._shares.get(text, 0.0)
        now = time.monotonic()
        if self._all and self._over >= ENOUGH * self._all:
            self._ends = self._began + (now - self._began) / self._over * self._all
        self._bar.update(self._task, description=text, completed=self._over)
        if not self._console.is_terminal:
            said = ", ".join(filter(None, [text, self.left()]))
            line = f"{_clock(now - self._began)}  {said}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def left(self) -> str:
        """Nothing as long as nobody can know."""
        if self._ends is None:
            return ""
        return f"about {_clock(max(0.0, self._ends - time.monotonic()))} left"


class _Left(ProgressColumn):
    """Counts down between two steps."""

    def __init__(self, of: UnderWay):
        super().__init__()
        self._of = of

    def render(self, task: Task) -> Text:
        return Text(self._of.left(), style="cyan")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
