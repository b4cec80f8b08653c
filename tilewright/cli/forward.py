"""`tilewright lstm fit|walk-forward`: nets trained on prices, and held against the best rival."""

from __future__ import annotations

import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tilewright.alpha.errors import AlphaError
from tilewright.cli import NOTHING_TO_READ, STOPPED
from tilewright.cli.scale import Minutes, Version, show_table
from tilewright.cli.scale_live import ScaleLive

if TYPE_CHECKING:
    from tilewright.alpha.tables import Prices
    from tilewright.sequence.forward.report.words import Words
    from tilewright.sequence.forward.settings import ForwardSettings

BOTH = "both"
Table = Annotated[
    Path | None,
    typer.Argument(
        help="Prices: CSV, Parquet or Feather; a column of dates and one of adjusted closes for "
        "each stock, or long: date, instrument, price. Without it, the job in [bold]--out[/] goes "
        "on.",
        show_default=False,
    ),
]
Demo = Annotated[bool, typer.Option("--demo", help="20 stocks of the S&P 500, 1990 to 2022.")]
Target = Annotated[
    str | None,
    typer.Option(
        help="What is forecast: the [bold]density[/] of the next day's return; the log "
        "[bold]volatility[/] of the next five days; or [bold]both[/], a folder each. "
        "[dim]density; both in the demo[/]"
    ),
]
Settings = Annotated[
    Path | None, typer.Option(help="A TOML file with settings by name.", show_default=False)
]


def fit(
    table: Table = None,
    out: Annotated[Path, typer.Option(help="Folder of the nets.")] = Path("lstm-fit"),
    target: Target = None,
    settings: Settings = None,
    seeds: Annotated[int | None, typer.Option(help="Nets. [dim]5[/]")] = None,
    demo: Demo = False,
) -> None:
    """Train nets on the newest days, and say what comes next of every stock.

    The nets are files of LSTMRegressor.load, in fits/; a later call on a longer table trains new
    ones when a new window has begun.

    [dim]tilewright lstm fit prices.csv --target volatility --out nets/[/]
    """
    from tilewright.sequence.forward.ahead import today
    from tilewright.sequence.forward.walk import walk_forward

    console, prices = Console(markup=False), prices_of(table, demo)
    for kind, place in _places(_targets(target, demo), out).items():
        chosen = _settings(settings, target=kind, seeds=seeds, first=prices.days[-1], controls=0)
        found = walk_forward(prices, chosen, place, _live(console))
        show_table(console, today(found.folder), _WHAT[kind])
        console.print(f"Nets: {place / 'fits'}", highlight=False, soft_wrap=True)


def walk(
    table: Table = None,
    out: Annotated[Path, typer.Option(help="Folder of the job.")] = Path("lstm-walk"),
    target: Target = None,
    settings: Settings = None,
    train: Annotated[int | None, typer.Option(help="Training days. [dim]3000[/]")] = None,
    test: Annotated[int | None, typer.Option(help="Test days. [dim]504[/]")] = None,
    first: Annotated[str | None, typer.Option(help="The earliest first test day.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the net. [dim]32[/]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Nets a window. [dim]5[/]")] = None,
    warm: Annotated[
        bool | None,
        typer.Option("--warm", help="Train nets that go on from the window before as well."),
    ] = None,
    rivals: Annotated[
        str | None,
        typer.Option(help="all: with GARCH-t and the Bayesian net, minutes a window. [dim]few[/]"),
    ] = None,
    controls: Annotated[
        int | None, typer.Option(help="Windows run again on days in random order. [dim]0[/]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same bits.")] = None,
    minutes: Minutes = None,
    other_version: Version = False,
    demo: Demo = False,
) -> None:
    """Train and score nets window after window, against the best of seven rivals, and report.

    Every forecast is made with what was known then. All windows and seeds share the cores; killed
    at any moment, the same command goes on and ends with the same bits.

    [dim]tilewright lstm walk-forward --demo[/]
    [dim]tilewright lstm walk-forward prices.csv --target both --out job/[/]
    """
    given = dict(train=train, test=test, first=first, hidden=hidden, seeds=seeds, warm=warm,
                 rivals=rivals, controls=controls, seed=seed)  # fmt: skip
    console, began = Console(markup=False), time.monotonic()
    minutes = 5.0 if demo and minutes is None else minutes
    if table is None and not demo:
        _again(console, out, minutes, other_version)
        return
    prices = prices_of(table, demo)
    targets = _targets(target, demo)
    said: dict[str, Words | None] = {}
    for i, (kind, place) in enumerate(_places(targets, out).items()):
        if len(targets) > 1:
            console.rule(_WHAT[kind])
        left = None
        if minutes is not None:
            left = max((60 * minutes - (time.monotonic() - began)) / (len(targets) - i), 1.0)
        chosen = _settings(settings, demo, target=kind, **given)
        said[kind] = _run(console, prices, chosen, place, left, other_version)
    if len(targets) > 1:
        _page(console, out, prices, said)


def _again(console: Console, out: Path, minutes: float | None, other_version: bool) -> None:
    """Go on with what is in a folder: one job, or one for each target."""
    from tilewright.sequence.forward.settings import TARGETS
    from tilewright.sequence.forward.walk import ForwardFolder

    places = [out / kind for kind in TARGETS if (out / kind / "job.json").exists()] or [out]
    if not (places[0] / "job.json").exists():
        raise AlphaError(f"There is no table, and {out} is not the folder of a job.")
    said, prices = {}, None
    for i, place in enumerate(places):
        job = ForwardFolder.opened(place, other_version)
        prices = job.prices
        left = None if minutes is None else 60 * minutes / (len(places) - i)
        said[job.settings.target] = _run(console, prices, job.settings, place, left, other_version)
    if len(places) > 1 and prices is not None:
        _page(console, out, prices, said)


def _page(console: Console, out: Path, prices: Prices, said: dict[str, Words | None]) -> None:
    from tilewright.sequence.forward.demo import both

    told = {kind: words for kind, words in said.items() if words is not None}
    if told:
        path = both(out, prices.source, told)
        console.print(f"Both answers: {path}", highlight=False, soft_wrap=True)


def _run(
    console: Console,
    prices: Prices,
    settings: ForwardSettings,
    out: Path,
    seconds: float | None,
    other_version: bool,
) -> Words | None:
    """Walk, and say what came of it."""
    from tilewright.sequence.forward.report.files import write_report
    from tilewright.sequence.forward.walk import walk_forward

    try:
        found = walk_forward(prices, settings, out, _live(console), seconds, other_version)
    except KeyboardInterrupt:
        console.print(f"Stopped. `tilewright lstm walk-forward --out {out}` goes on.",
                      highlight=False)  # fmt: skip
        raise typer.Exit(STOPPED) from None
    said = write_report(found)
    if said is None:
        console.print("No window is whole yet: there is nothing to report.")
        return None
    console.print(said.headline, style="bold", highlight=False)
    for line in (*said.findings, *said.controls):
        console.print(f"· {line}", highlight=False)
    console.print(f"Page: {out / 'report.html'}", highlight=False, soft_wrap=True)
    if not said.readable:
        raise typer.Exit(NOTHING_TO_READ)
    return said


class _Live(ScaleLive):
    """A line a window; while nets are trained, their own bar moves."""

    def said(self, found: Any) -> str:
        from tilewright.sequence.forward.report.words import best_of_window

        return best_of_window(found)


def _live(console: Console) -> _Live:
    return _Live(console)


_WHAT = {
    "density": "Log return of the next day",
    "volatility": "Volatility of the next five days, a day's",
}


def _targets(target: str | None, demo: bool) -> tuple[str, ...]:
    from tilewright.sequence.forward.settings import DENSITY, TARGETS

    if target == BOTH or (target is None and demo):
        return TARGETS
    if target not in (None, *TARGETS):
        raise AlphaError(f"--target must be one of {(*TARGETS, BOTH)}, not {target!r}.")
    return (target or DENSITY,)


def _places(targets: tuple[str, ...], out: Path) -> dict[str, Path]:
    """A folder for each target."""
    if len(targets) == 1:
        return {targets[0]: out}
    out.mkdir(parents=True, exist_ok=True)
    return {kind: out / kind for kind in targets}


def prices_of(table: Path | None, demo: bool) -> Prices:
    from tilewright.alpha.tables import read_prices, sp500

    if demo and table is not None:
        raise AlphaError("--demo brings its own prices: leave the table out.")
    if demo:
        return sp500()
    if table is None:
        raise AlphaError("Which prices? Give a table, or --demo.")
    return read_prices(table, gaps=True)


def _settings(path: Path | None, demo: bool = False, **given: Any) -> ForwardSettings:
    from tilewright.sequence.forward.demo import SETTINGS
    from tilewright.sequence.forward.walk import ForwardFolder

    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except OSError as error:
            raise AlphaError(f"{path} cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise AlphaError(f"{path} is not TOML: {error}.") from None
    values |= {name: value for name, value in given.items() if value is not None}
    return replace(SETTINGS[values["target"]], **values) if demo else (
        ForwardFolder.settings_from(values)
    )  # fmt: skip
