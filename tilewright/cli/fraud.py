"""`tilewright lstm fraud`: LSTMs and boosting on simulated card frauds, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

DEMO_CARDS, DEMO_WEEKS = 2_000, 2
"""Four minutes on two cores that nobody else uses."""


def fraud(
    context: typer.Context,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Simulate, train, compare, and write a page: 2,000 cards and 2 weeks, some four "
            "minutes on two cores that nobody else uses.",
        ),
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="published, order (where order is the signal), or both.")
    ] = "both",
    full: Annotated[
        bool,
        typer.Option("--full", help="5,000 cards and 4 weeks, as published; half an hour or so."),
    ] = False,
    cards: Annotated[int | None, typer.Option(help="Cards, two terminals each.")] = None,
    weeks: Annotated[
        int | None, typer.Option(help="Weeks that are judged; models are trained anew each.")
    ] = None,
    strength: Annotated[
        float, typer.Option(help="How much the order tells; 0: nothing can tell frauds.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the world, and of the nets.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of fraud.html and fraud.json.")] = Path("fraud"),
) -> None:
    """Which card frauds an LSTM finds, and which tuned boosting does, on simulated purchases.

    Average precision, card-precision@k and money saved by kind of fraud and by week, with standard
    errors; microseconds a purchase with a state for each of 100,000 cards.

    [dim]tilewright lstm fraud --demo[/]
    """
    if not demo:
        print(context.get_help())
        return
    from tilewright.cli.under_way import UnderWay
    from tilewright.sequence.cards.job import run, steps
    from tilewright.sequence.cards.settings import ORDER, PUBLISHED
    from tilewright.sequence.cards.settings import recipe as named

    changes: dict[str, Any] = {"seed": seed, "strength": strength}
    if cards is not None or not full:
        changes["cards"] = DEMO_CARDS if cards is None else cards
    if weeks is not None or not full:
        changes["weeks"] = DEMO_WEEKS if weeks is None else weeks
    names = [PUBLISHED, ORDER] if recipe == "both" else [recipe]
    settings = [named(name, **changes) for name in names]
    with UnderWay(Console(stderr=True), steps(settings)) as seen:
        found = run(settings, out, seen.step)
    _tell(found)


def _tell(found: Any) -> None:
    from rich.table import Table

    from tilewright.sequence.cards.words import figure, findings, headline

    console = Console(highlight=False, markup=False)
    for one in found.tallies:
        settings = one.comparison.settings
        console.print(f"{headline(one)}.", style="bold")
        alerts = f"card-precision@{settings.k}\nof its ceiling"
        table = Table("", "average precision", alerts, "saved a day")
        for model, scores in one.models.items():
            table.add_row(
                model, figure(scores.all.precision),
                f"{scores.all.cards.value:.3f} of {scores.all.ceiling:.3f}",
                f"{scores.all.saved.value:,.0f}",
            )  # fmt: skip
        console.print(table)
        for text in findings(one):
            console.print(f"· {text}")
    for delays in found.delays:
        console.print(f"{delays.what}: {delays.mean:,.1f} µs, p99 {delays.p99:,.1f} µs")
    console.print("The purchases are simulated.", style="bold")
    console.print(f"Page: {found.html}", soft_wrap=True)
