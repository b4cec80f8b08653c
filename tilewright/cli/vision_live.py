"""The display of a job on images under way, and what the terminal shows at its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tilewright.vision.job import Outcome
    from tilewright.vision.measures import Mean

PLAIN_SECONDS = 10.0


class Live:
    """A `job.Watcher`, to be used in a `with` block: a bar, or a line now and then."""

    def __init__(self, console: Console):
        self._console, self._last, self._text = console, 0.0, ""
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="cyan"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, note="")
        self.deadline: float | None = None
        self.ended = False

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._bar.__exit__(*details)

    def stage(self, text: str) -> None:
        """What is being done now."""
        self._text = text
        self._bar.update(self._task, description=text, completed=0, total=None, note="")
        self._plain(text, always=True)

    def features(self, done: int, wanted: int) -> None:
        """So many of the images that are new have been looked at."""
        self._bar.update(self._task, completed=done, total=wanted)
        self._plain(f"{self._text}: {done} of {wanted}")

    def steps(self, done: int, wanted: int, loss: float) -> None:
        """A step of training."""
        self._bar.update(self._task, completed=done, total=wanted, note=f"loss {loss:.3f}")
        self._plain(f"{self._text}: step {done} of {wanted}, loss {loss:.3f}")

    def ends(self) -> bool:
        """Whether the time is over."""
        self.ended = self.deadline is not None and time.monotonic() > self.deadline
        return self.ended

    def _plain(self, text: str, always: bool = False) -> None:
        """For a console that cannot be redrawn."""
        now = time.monotonic()
        if not self._console.is_terminal and (always or now - self._last > PLAIN_SECONDS):
            self._console.print(text, highlight=False, soft_wrap=True)
            self._last = now


def show(console: Console, outcome: Outcome, folder: Path) -> None:
    """Table, verdict, and where the page is."""
    found = outcome.comparison
    console.print(_table(outcome))
    headline, *details = found.verdict
    lines = [f"Use: {found.best}.", *details, *outcome.data.caveats]
    if outcome.ended_early:
        lines.append("The time limit ended training before its last step.")
    body = Text("\n").join([Text(headline, style="bold"), *(Text(f"· {x}") for x in lines)])
    console.print(Panel(body, border_style="cyan", padding=(1, 2)))
    for name, what in (("report.html", "Page"), ("model.safetensors", "Weights")):
        console.print(f"{what}: {folder / name}", highlight=False, soft_wrap=True)


def _table(outcome: Outcome) -> Table:
    title = (
        f"{outcome.data.source}\nmean over {len(outcome.tested)} images; below, less logistic "
        "regression ± standard error"
    )
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    made.add_column("")
    for head in ("right", "log loss", "Brier score", "calibration error"):
        made.add_column(head, justify="right")
    for row in outcome.comparison.rows:
        right, loss = row.accuracy_difference, row.log_loss_difference
        made.add_row(
            row.name,
            Text("\n").join([Text(f"{row.accuracy.value:.1%}"), _under(right, 100, 1, 1)]),
            Text("\n").join([Text(f"{row.log_loss.value:.3f}"), _under(loss, 1, 3, -1)]),
            f"{row.brier.value:.3f}",
            f"{row.calibration:.1%}",
        )
    return made


def _under(found: Mean, unit: float, digits: int, good: int) -> Text:
    """The difference; `good`: the sign of what is better."""
    if not found.value and not found.error:
        return Text("")
    style = {1: "green", -1: "red"}.get(found.effect * good, "dim")
    return Text(f"{unit * found.value:+.{digits}f} ± {unit * found.error:.{digits}f}", style=style)
