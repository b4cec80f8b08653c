"""What the terminal shows at the end of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tilewright.alpha.forward import Outcome
    from tilewright.alpha.report.verdict import Verdict
    from tilewright.alpha.scores import Scores
    from tilewright.alpha.suspicions import Suspicion
    from tilewright.alpha.talk import Speed

MOST_SHOWN = 20


def show(
    console: Console, outcome: Outcome, scores: Mapping[str, Scores], said: Verdict, folder: Path
) -> None:
    """Table, verdict, and where the page is."""
    from tilewright.alpha.controls import REAL
    from tilewright.alpha.report.table import table

    windows = len(outcome.series(REAL))
    console.print(table(scores[REAL], f"{outcome.prices.source}: {windows} windows"))
    lines = [*said.findings, *said.controls, *said.caveats]
    check = outcome.notes.get("check")
    if check:
        lines.append(check["text"])
    body = Text("\n").join([Text(said.headline, style="bold"), *(Text(f"· {x}") for x in lines)])
    border = "cyan" if said.sound else "yellow"
    if said.sound is False or not said.readable:
        border = "red"
    console.print(Panel(body, border_style=border, padding=(1, 2)))
    console.print(f"Page: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"Forecasts: {folder / 'forecasts.csv'}", highlight=False, soft_wrap=True)


def show_suspicions(console: Console, found: Sequence[Suspicion]) -> None:
    """What looks wrong with the table, before the run."""
    if not found:
        return
    table = Table(title="This looks wrong", title_justify="left", box=None, padding=(0, 2))
    for head in ("column", "day", "what"):
        table.add_column(head, style="yellow")
    for one in found[:MOST_SHOWN]:
        table.add_row(Text(one.column or "the table"), one.day, Text(one.what))
    console.print(table)
    if len(found) > MOST_SHOWN:
        console.print(f"  and {len(found) - MOST_SHOWN} more", style="yellow", highlight=False)


def show_talk(console: Console, speed: Speed) -> None:
    """Measured and extrapolated speed of the talk's workload."""
    from tilewright.alpha.talk import BURN_IN, CHAINS, DRAWS, LEAPFROGS, WINDOWS

    lines = [
        Text.assemble(
            (f"{speed.rate:,.0f}", "bold"),
            f" leapfrog steps a second on {speed.cores} cores, {speed.precision} force, "
            f"{speed.rows:,} rows (synthetic)",
        ),
        Text(
            f"Measured: {speed.transitions} trajectories of {LEAPFROGS} steps a chain, "
            f"{speed.seconds:.1f} s; acceptance {speed.acceptance:.2f} while it adapts"
        ),
        Text(
            f"Extrapolated, not measured: {WINDOWS} windows × {CHAINS} chains × "
            f"({BURN_IN} + {DRAWS}) trajectories would take {duration(speed.whole)}"
        ),
    ]
    if speed.jax_rate:
        ratio = speed.rate / speed.jax_rate
        lines.append(
            Text(
                f"Pinned JAX, one process a core (one measured, times {speed.cores}): "
                f"{speed.jax_rate:,.0f} a second; we are {ratio:.2f}× as fast"
            )
        )
    lines.append(Text("A workload for speed: its priors are flat, its draws no forecast.", "dim"))
    console.print(Panel(Text("\n").join(lines), title="The talk's workload", padding=(1, 2)))


def duration(seconds: float) -> str:
    """In words that suit its length."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
