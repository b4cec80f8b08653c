"""`tilewright alpha fit|predict|walk-forward|append|resume|report`: the net of the scale."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tilewright.alpha.errors import AlphaError
from tilewright.cli import NOTHING_TO_READ, STOPPED

if TYPE_CHECKING:
    from tilewright.alpha.scale.report.words import Words
    from tilewright.alpha.scale.settings import ScaleSettings
    from tilewright.alpha.tables import Prices

TABLE = typer.Argument(
    help="Prices: CSV, Parquet (a folder of parts, too) or Feather; a column of dates and one of "
    "adjusted closes for each stock, or long: date, instrument, price. Prices may be missing. With "
    "[bold]--sql[/], a DuckDB file.",
    show_default=False,
)
FOLDER = typer.Argument(help="The folder of a job.", show_default=False)
Toml = Annotated[
    Path | None, typer.Option(help="A TOML file with settings by name.", show_default=False)
]
Features = Annotated[
    Path | None,
    typer.Option(help="Features of your own, by the close of each day: a long table of date, "
                 "instrument and a column each.", show_default=False),
]  # fmt: skip
Members = Annotated[
    Path | None,
    typer.Option(help="Who belongs when: a table of instrument, from, to. Others are neither "
                 "learned from nor forecast.", show_default=False),
]  # fmt: skip
Sql = Annotated[str | None, typer.Option(help="A query of a DuckDB file that gives the table.")]
Version = Annotated[
    bool,
    typer.Option("--other-version", help="Go on in a folder of another version; both are noted."),
]
Minutes = Annotated[
    float | None, typer.Option(help="Time limit: takes the oldest windows away.", min=0.01)
]
Ray = Annotated[
    str | None,
    typer.Option("--cluster", help="Work on Ray: local:N CPUs, or a cluster's HOST:PORT."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a table in which something looks wrong.")
]
Level = Annotated[
    str | None,
    typer.Option(help="avx2: keep all nodes of a mixed cluster to it."),
]


def fit(
    table: Annotated[Path, TABLE],
    out: Annotated[Path, typer.Option(help="Folder of the model.", show_default=False)],
    settings: Toml = None,
    sql: Sql = None,
    features: Features = None,
    members: Members = None,
    strict: Strict = False,
) -> None:
    """Fit one model on the newest days, for `predict`."""
    prices = _prices(table, sql, features, members)
    _look_at(_console(), prices, strict)
    chosen = replace(_settings(settings), first=prices.days[-1], controls=0)
    _run(_console(), prices, chosen, out, None, False)


def walk_forward(
    table: Annotated[Path, TABLE],
    out: Annotated[Path, typer.Option(help="Folder of the job.", show_default=False)],
    settings: Toml = None,
    sql: Sql = None,
    features: Features = None,
    members: Members = None,
    train: Annotated[int | None, typer.Option(help="Training days. [dim]1000[/]")] = None,
    test: Annotated[int | None, typer.Option(help="Test days. [dim]63[/]")] = None,
    horizon: Annotated[int | None, typer.Option(help="Days of a return. [dim]1[/]")] = None,
    first: Annotated[str | None, typer.Option(help="The earliest first test day.")] = None,
    scale: Annotated[str | None, typer.Option(help="units, net or linear. [dim]units[/]")] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the net. [dim]32[/]")] = None,
    chains: Annotated[int | None, typer.Option(help="A window. [dim]4[/]")] = None,
    controls: Annotated[int | None, typer.Option(help="Windows of each control.")] = None,
    keep: Annotated[
        int | None, typer.Option(help="Windows whose draws stay, the newest; 0: all. [dim]1[/]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same bits.")] = None,
    minutes: Minutes = None,
    strict: Strict = False,
    other_version: Version = False,
    cluster: Ray = None,
    level: Level = None,
) -> None:
    """Fit and score the net of the scale on every window, and report."""
    given = dict(train=train, test=test, horizon=horizon, first=first, scale=scale, hidden=hidden,
                 chains=chains, controls=controls, keep=keep, seed=seed)  # fmt: skip
    chosen = replace(_settings(settings), **{k: v for k, v in given.items() if v is not None})
    prices = _prices(table, sql, features, members)
    _look_at(_console(), prices, strict)
    _run(_console(), prices, chosen, out, minutes, other_version, cluster, level)


def resume(
    folder: Annotated[Path, FOLDER],
    minutes: Minutes = None,
    other_version: Version = False,
    cluster: Ray = None,
    level: Level = None,
) -> None:
    """Go on with a job, from its folder alone."""
    from tilewright.alpha.scale.folder import opened

    job = opened(folder, other_version)
    _run(_console(), job.prices, job.settings, folder, minutes, other_version, cluster, level)


def append(
    folder: Annotated[Path, FOLDER],
    rows: Annotated[Path, TABLE],
    sql: Sql = None,
    features: Features = None,
    members: Members = None,
    minutes: Minutes = None,
    cluster: Ray = None,
    level: Level = None,
) -> None:
    """Add new days to a job's table, and run what is new."""
    from tilewright.alpha.scale.folder import opened
    from tilewright.alpha.walking.append import appended

    job = opened(folder)
    prices = appended(job.prices, _prices(rows, sql, features, members, gone=True))
    _look_at(_console(), prices, before=job.prices)
    _run(_console(), prices, job.settings, folder, minutes, False, cluster, level)


def predict(
    folder: Annotated[Path, FOLDER],
    today: Annotated[
        bool, typer.Option("--today", help="From the last day of the job's prices.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="A CSV or Parquet file for the table.", show_default=False)
    ] = None,
) -> None:
    """Tomorrow's table: mean, scale and quantiles of every instrument's log return."""
    from tilewright.alpha.scale.ahead import today as table_of
    from tilewright.alpha.scale.folder import opened
    from tilewright.files import write_bytes, write_text

    if not today:
        raise AlphaError("predict knows of today only: say --today.")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise AlphaError(f"--out must end with .csv or .parquet, not {out.name!r}.")
    found = table_of(opened(folder))
    if out is None:
        show_table(_console(), found)
    elif out.suffix == ".csv":
        write_text(out, found.to_csv(index=False))
    else:
        write_bytes(out, found.to_parquet(index=False))


def report(folder: Annotated[Path, FOLDER]) -> None:
    """Write the page, the scores and the forecasts of what is finished."""
    from tilewright.alpha.scale.folder import opened
    from tilewright.alpha.scale.report.files import write_report
    from tilewright.alpha.scale.walk import open_walk

    _say(_console(), write_report(open_walk(opened(folder))), folder)


def demo(
    out: Annotated[Path, typer.Option(help="Folder of both jobs and their page.")] = Path(
        "alpha-demo"
    ),
    minutes: Annotated[float, typer.Option(help="For both answers.", min=0.1)] = 5.0,
) -> None:
    """Two answers about 20 stocks, beside each other: which way they go, and how widely."""
    from tilewright.alpha.scale.demo import MEAN, MEAN_SHARE, SCALE, SETTINGS, both
    from tilewright.alpha.settings import Settings
    from tilewright.alpha.tables import sp500
    from tilewright.cli.alpha import walk_job

    console, began = _console(), time.monotonic()
    console.rule("Which way? The talk's alpha")
    talk = Settings(anchor="dates")
    mean = walk_job(console, None, out / MEAN, talk, MEAN_SHARE * minutes, True, False)
    console.rule("How wide? The distribution")
    left = minutes - (time.monotonic() - began) / 60
    said = _run(console, sp500(), SETTINGS, out / SCALE, max(left, 0.1), False)
    console.print(f"Both answers: {both(out, mean, said)}", highlight=False, soft_wrap=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "fit": fit, "predict": predict, "walk-forward": walk_forward,
    "append": append, "resume": resume, "report": report,
}  # fmt: skip


def _console() -> Console:
    """Names of instruments and folders may have brackets."""
    return Console(markup=False)


def _run(
    console: Console,
    prices: Prices,
    settings: ScaleSettings,
    out: Path,
    minutes: float | None,
    other_version: bool,
    cluster: str | None = None,
    level: str | None = None,
) -> Words | None:
    """Walk, and say what came of it."""
    from tilewright.alpha.scale.report.files import report_of
    from tilewright.alpha.scale.walk import walk
    from tilewright.cli.scale_live import ScaleLive

    seconds = None if minutes is None else 60 * minutes
    try:
        found = walk(
            prices, settings, out, ScaleLive(console), seconds, other_version, cluster, level
        )
    except KeyboardInterrupt:
        console.print(f"Stopped. `tilewright alpha resume {out}` goes on.", highlight=False)
        raise typer.Exit(STOPPED) from None
    return _say(console, report_of(found), out)


def _say(console: Console, said: Words | None, folder: Path) -> Words | None:
    """What a report said."""
    if said is None:
        console.print(f"The model is in {folder}: `tilewright alpha predict {folder} --today`.")
        return None
    console.print(said.headline, style="bold", highlight=False)
    for line in said.findings:
        console.print(f"· {line}", highlight=False)
    console.print(f"Page: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    if not said.readable:
        raise typer.Exit(NOTHING_TO_READ)
    return said


def _prices(
    table: Path,
    sql: str | None,
    features: Path | None = None,
    members: Path | None = None,
    gone: bool = False,
) -> Prices:
    """The table, with what comes with it; `gone`: instruments may have no price in it."""
    from tilewright.alpha.tables import read_prices

    if sql is None:
        prices = read_prices(table, gaps=True, gone=gone)
    else:
        from tilewright.alpha.duck import read_sql

        prices = read_sql(table, sql, gone)
    if features is None and members is None:
        return prices
    from tilewright.alpha.extras import given

    return given(prices, features, members)


def _look_at(
    console: Console, prices: Prices, strict: bool = False, before: Prices | None = None
) -> None:
    """Say what looks wrong, and did not `before`; raises `AlphaError` for it where that is told."""
    from tilewright.alpha.suspicions import suspicions
    from tilewright.cli.summary import show_suspicions

    known = set() if before is None else set(suspicions(before))
    found = [one for one in suspicions(prices) if one not in known]
    show_suspicions(console, found)
    if strict and found:
        raise AlphaError(f"In {prices.source}, {len(found)} things look wrong: --strict refuses.")


def _settings(path: Path | None) -> ScaleSettings:
    from tilewright.alpha.scale.folder import settings_from

    if path is None:
        return settings_from({})
    try:
        return settings_from(tomllib.loads(path.read_text("utf-8-sig")))
    except OSError as error:
        raise AlphaError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AlphaError(f"{path} is not TOML: {error}.") from None


def show_table(console: Console, found: Any, what: str = "Log return") -> None:
    """Of each instrument a row, in per cent."""
    from rich.table import Table

    day, target = found["date"].iloc[0], found["target_date"].iloc[0]
    made = Table(title=f"{what}, from the close of {day} to that of {target}, per cent",
                 title_justify="left", box=None, padding=(0, 1))  # fmt: skip
    figures = [name for name in found.columns if name not in ("instrument", "date", "target_date")]
    made.add_column("")
    for name in figures:
        made.add_column(name, justify="right")
    for _, row in found.iterrows():
        made.add_row(str(row["instrument"]), *(f"{100 * row[name]:.2f}" for name in figures))
    console.print(made)
