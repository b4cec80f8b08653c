"""`tilewright lstm prune`: nets at several densities, judged by their scores and timed by ticks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewright.cli.forward import Demo, prices_of

Table = Annotated[
    Path | None, typer.Argument(help="Prices: a table of dates and closes, one column a stock.")
]


def prune(
    table: Table = None,
    demo: Demo = False,
    out: Annotated[Path, typer.Option(help="The folder for densities.html and .json.")] = Path(
        "lstm-densities"
    ),
    density: Annotated[
        list[float] | None, typer.Option(help="Shares of blocks left; 1 is added if missing.")
    ] = None,
    hidden: Annotated[int, typer.Option(min=16, help="Units.")] = 128,
    seeds: Annotated[int, typer.Option(min=1, help="Nets a density.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = 40,
    prune_epochs: Annotated[
        int, typer.Option(min=1, help="Of them, until all that goes is gone.")
    ] = 4,
    block_rows: Annotated[int, typer.Option(help="Rows of a block: 1, 4 or 16.")] = 4,
    frauds: Annotated[
        bool, typer.Option("--frauds", help="Nets of simulated card frauds as well.")
    ] = False,
) -> None:
    """Train nets of the next day's density, prune them to blocks, and say what that costs and buys.

    [dim]tilewright lstm prune --demo[/]
    """
    from rich.console import Console
    from rich.table import Table as RichTable

    from tilewright.sequence.densities import Study, said, study, write

    prices = prices_of(table, demo)
    chosen = tuple(sorted({1.0, *(density or Study.densities)}, reverse=True))
    settings = Study(chosen, hidden, seeds, epochs, prune_epochs, block_rows)
    rows = study(prices, settings)
    shown = RichTable("left", "log score", "over dense", "µs a tick")
    for row in rows:
        lead = "" if row is rows[0] else f"{row.lead:+.4f} ± {row.error:.4f}"
        shown.add_row(f"{row.density:g}", f"{row.score:.4f}", lead, f"{row.tick:.1f}")
    console = Console(markup=False)
    console.print(shown)
    for text in said(rows):
        console.print(text)
    of_frauds = []
    if frauds:
        from tilewright.sequence.cards import densities

        of_frauds = densities.study(densities.Study())
        console.print(densities.said(of_frauds))
    console.print(f"Saved in {write(out, prices.source, settings, rows, of_frauds)}")
