"""The display of a job under way: a bar, the speed beside JAX's, and scores as they come.

On a terminal it is redrawn in place; anywhere else, a line is printed now and then.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from tilewright.alpha.cost import in_words

if TYPE_CHECKING:
    from tilewright.alpha.forward import Progress as JobProgress
    from tilewright.alpha.results import Result

PLAIN_SECONDS = 10.0


class Live:
    """A `Watcher`, to be used in a `with` block."""

    def __init__(self, console: Console):
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("windows"),
            TextColumn("{task.fields[left]}", style="cyan"),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=None, left="")
        self._speed = Text("")
        self._gains: dict[str, list[tuple[float, ...]]] = defaultdict(list)
        self._failed = 0
        self._last = 0.0
        self._live = RichLive(
            console=console, get_renderable=self._picture, refresh_per_second=5, transient=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._console.is_terminal:
            self._live.__exit__(*details)

    # What the job says

    def stage(self, text: str) -> None:
        """What is being done now."""
        self._bar.update(self._task, description=text)
        self._plain(text, always=True)

    def outlook(self, ask: Callable[[], float]) -> None:
        """How long sampling will take."""
        self._say(f"Sampling will take about {in_words(ask())}, unless a time limit ends it.")

    def progress(self, progress: JobProgress) -> None:
        """Sampling begins."""
        if progress.resumed:
            self._say(f"{progress.resumed} windows were finished before: going on from there.")
        self._show(progress)

    def window(self, result: Result, progress: JobProgress) -> None:
        """A window is finished."""
        net, null = result.crps[0].mean(), result.crps[1].mean()
        normal = result.crps[-1].mean()
        self._gains[result.series].append((float(net - null), float(net - normal)))
        if result.failure:
            self._failed += 1
            self._say(f"Window {result.index} ({result.series}) failed: {result.failure}.")
        self._show(progress)
        line = f"{progress.done} of {progress.wanted} windows; {self._speed.plain}"
        self._plain(line)

    def fewer(self, windows: int, planned: int) -> None:
        """The limit takes windows away."""
        self._say(
            f"The time limit will do for about {windows} of {planned} windows: the newest are "
            "sampled, and no chain is shortened."
        )

    def stopped(self, finished: int, folder: Path) -> None:
        """Ctrl-C."""
        self._say(
            f"Stopped. {finished} finished windows are in {folder}: the same command goes on."
        )

    # How it looks

    def _show(self, progress: JobProgress) -> None:
        left = ""
        if progress.done:
            seconds = progress.seconds / progress.done * (progress.wanted - progress.done)
            left = f"{int(seconds) // 60}:{int(seconds) % 60:02d} left"
        self._bar.update(
            self._task,
            description="sampling",
            completed=progress.done,
            total=progress.wanted,
            left=left,
        )
        self._speed = speed_line(progress)

    def _picture(self) -> Group:
        parts: list[Any] = [self._bar, Text("  ").append_text(self._speed)]
        if self._gains:
            parts.append(self._table())
        return Group(*parts)

    def _table(self) -> Table:
        """Mean differences of CRPS so far."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for head in ("  CRPS so far", "windows", "net - null", "net - OLS, normal"):
            table.add_column(head, justify="left" if head.startswith(" ") else "right")
        for series, gains in self._gains.items():
            means = [sum(column) / len(gains) for column in zip(*gains, strict=True)]
            figures = [Text(f"{m:+.4f}", style="green" if m < 0 else "red") for m in means]
            table.add_row(f"  {series}", str(len(gains)), *figures)
        return table

    def _say(self, text: str) -> None:
        self._console.print(text, style="yellow", highlight=False, soft_wrap=True)

    def _plain(self, text: str, always: bool = False) -> None:
        """For a console that cannot be redrawn."""
        now = time.monotonic()
        if not self._console.is_terminal and (always or now - self._last > PLAIN_SECONDS):
            self._console.print(text, highlight=False, soft_wrap=True)
            self._last = now


def speed_line(progress: JobProgress) -> Text:
    """Leapfrog steps a second, and what pinned JAX would do."""
    if not progress.seconds:
        return Text("the first chains are under way", style="dim")
    text = Text.assemble((f"{progress.rate:,.0f}", "bold"), " leapfrog steps a second")
    if progress.jax_rate:
        text.append(f"; pinned JAX on {progress.cores} cores would do {progress.jax_rate:,.0f}")
        text.append(f" ({progress.rate / progress.jax_rate:.2f}×)", style="bold")
    return text
