"""`tilewright alpha`: arguments become a job, the job's events a live display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.settings import MACHINES, PRECISIONS, SAMPLERS, Sampler, Settings
from tilewright.cli import NOTHING_TO_READ, STOPPED

if TYPE_CHECKING:
    from tilewright.alpha.report.verdict import Verdict

WINDOWS, DEMO_MINUTES, MOST_MINUTES = 200, 3.0, 1_000_000
JOB, CHAIN, RUN, TALK = "The job", "The sampler", "How it runs", "The talk's workload"


def alpha(
    table: Annotated[
        Path | None,
        typer.Argument(
            help="Prices: CSV, Parquet or Feather; a column of dates, then one of adjusted closes "
            "for each stock, oldest row first.",
            show_default=False,
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="20 S&P 500 stocks, 1990-2022.", rich_help_panel=JOB),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the job. A job that was stopped goes on in its folder. "
            "[dim]default: alpha-demo, or alpha-NAME of the table[/]",
            show_default=False,
            rich_help_panel=JOB,
        ),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            help="Windows of 250 training and 21 test days, newest first. [dim]default: 200[/]",
            show_default=False,
            rich_help_panel=JOB,
        ),
    ] = None,
    anchor: Annotated[
        str,
        typer.Option(
            help="newest: windows end at the newest day. dates: they are known by their dates, so "
            "that days added or cut off at the end leave the finished ones as they are.",
            rich_help_panel=JOB,
        ),
    ] = Settings.anchor,
    controls: Annotated[
        int, typer.Option(help="Windows of each control.", rich_help_panel=JOB)
    ] = 8,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse a table in which something looks wrong.", rich_help_panel=JOB
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same bits.", rich_help_panel=JOB)] = 0,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time limit: if it is too short, there are fewer windows, never shorter chains. "
            "[dim]default: 3 with --demo, else none[/]",
            show_default=False,
            rich_help_panel=JOB,
        ),
    ] = None,
    sampler: Annotated[
        str, typer.Option(help=f"{' or '.join(SAMPLERS)}.", rich_help_panel=CHAIN)
    ] = Sampler.name,
    chains: Annotated[int, typer.Option(rich_help_panel=CHAIN, help="A window.")] = Settings.chains,
    warmup: Annotated[
        int, typer.Option(rich_help_panel=CHAIN, help="Transitions that adapt the step size.")
    ] = Sampler.warmup,
    draws: Annotated[
        int, typer.Option(rich_help_panel=CHAIN, help="Draws kept of each chain.")
    ] = Sampler.draws,
    leapfrogs: Annotated[
        int, typer.Option(rich_help_panel=CHAIN, help="Steps of a trajectory, on average.")
    ] = Sampler.leapfrogs,
    hidden: Annotated[
        int, typer.Option(rich_help_panel=CHAIN, help="Width of the net.")
    ] = Sampler.hidden,
    precision: Annotated[
        str,
        typer.Option(
            rich_help_panel=CHAIN,
            help=f"Of the force: {' or '.join(PRECISIONS)}. Draws are exact with both; bfloat16 "
            "trades acceptance for speed.",
        ),
    ] = Sampler.precision,
    machine: Annotated[
        str,
        typer.Option(
            rich_help_panel=RUN,
            help=f"{' or '.join(MACHINES)}: this host's cores, or JAX's default device.",
        ),
    ] = Settings.machine,
    compare: Annotated[
        bool, typer.Option(rich_help_panel=RUN, help="First measure plain JAX on one window.")
    ] = True,
    preset: Annotated[
        str | None,
        typer.Option(
            help="talk: the talk's own net, priors and sampler, for speed alone.",
            show_default=False,
            rich_help_panel=TALK,
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            help="Rows of its window. [dim]default: 58368[/]",
            show_default=False,
            rich_help_panel=TALK,
        ),
    ] = None,
) -> None:
    """Forecast next-day returns by a Bayesian neural net, walking forward through the years.

    Each window trains on 250 days of all stocks and is tested on the 21 days after; every chain is
    one instance of a single compiled program, spread over all cores. Beside the net stand a
    zero-mean null, ridge and least squares; beside the data, a planted and a shuffled target.
    The report is a page: [bold]report.html[/] in the job's folder. The exit code is 0, or 2 for a
    mistake, 3 when every window failed, 130 when it was stopped.

    [dim]Try[/]  tilewright alpha --demo
    [dim]Then[/] tilewright alpha prices.csv --out my-job
    """
    console = Console()
    chain = Sampler(sampler, warmup, draws, leapfrogs, hidden, precision=precision)
    settings = Settings(chain, windows or WINDOWS, controls, chains, seed, machine, anchor)
    if windows is not None and windows < 1:
        raise AlphaError(f"windows must be 1 or more, not {windows}.")
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise AlphaError(
            f"minutes must be above 0, and {MOST_MINUTES} at most, not {minutes:g}: leave it out "
            "for no limit."
        )
    settings.check()
    if preset is not None or rows is not None:
        _talk(console, preset, rows, settings, compare, given=demo or table is not None)
        return
    if demo and table is not None:
        raise AlphaError(f"--demo has prices of its own: leave out it or {table}.")
    if not demo and table is None:
        raise AlphaError("Name a table of prices, or say --demo.")
    limit = minutes or (DEMO_MINUTES if demo and windows is None else None)
    folder = out or Path("alpha-demo" if table is None else f"alpha-{table.stem}")
    said = walk_job(console, table, folder, settings, limit, compare, strict)
    if not said.readable:
        raise typer.Exit(NOTHING_TO_READ)


def walk_job(
    console: Console,
    table: Path | None,
    folder: Path,
    settings: Settings,
    minutes: float | None,
    compare: bool,
    strict: bool,
) -> Verdict:
    """Run the job and say what came of it; without a table it is the demo's."""
    from tilewright.alpha.forward import make_panel, walk
    from tilewright.alpha.job import Job
    from tilewright.alpha.report.files import write_report
    from tilewright.alpha.suspicions import suspicions
    from tilewright.alpha.tables import read_prices, sp500
    from tilewright.alpha.windows import walk_forward
    from tilewright.cli.live import Live
    from tilewright.cli.summary import show, show_suspicions

    prices = read_prices(table) if table else sp500()
    suspects = suspicions(prices)
    show_suspicions(console, suspects)
    if strict and suspects:
        raise AlphaError(
            f"In {prices.source}, {len(suspects)} things look wrong: --strict refuses."
        )
    walk_forward(prices.days, settings.windows, settings.anchor)
    panel = make_panel(prices, settings.seed)  # before anything is written
    job = Job(folder, prices, settings)
    with job.locked(), Live(console) as live:
        try:
            seconds = None if minutes is None else 60 * minutes
            outcome = walk(job, prices, settings, live, seconds, compare, panel)
            live.stage("report")
            scores, said = write_report(job, outcome)
        except KeyboardInterrupt:
            live.stopped(len(job.finished()), folder)
            raise typer.Exit(STOPPED) from None
        except OSError as error:
            raise AlphaError(
                f"{error.filename or folder} cannot be written: {error.strerror}. Finished windows "
                f"stay in {folder}: the same command goes on."
            ) from None

    show(console, outcome, scores, said, folder)
    return said


def _talk(
    console: Console,
    preset: str | None,
    rows: int | None,
    settings: Settings,
    compare: bool,
    given: bool,
) -> None:
    """The speed workload."""
    from tilewright.alpha import talk
    from tilewright.cli.summary import show_talk

    if preset is None:
        raise AlphaError("--rows belongs to --preset talk.")
    if preset != "talk":
        raise AlphaError(f"Unknown preset {preset!r}: the one there is is talk.")
    if given:
        raise AlphaError("The preset talk makes its own rows: leave out the table and --demo.")
    if settings.sampler.name != "hmc":
        raise AlphaError("The preset talk is a workload of the sampler hmc.")
    with console.status("the talk's workload") as status:
        speed = talk.measure(
            rows=talk.ROWS if rows is None else rows,
            precision=settings.sampler.precision,
            machine=settings.machine,
            peer=compare,
            stage=lambda text: status.update(f"the talk's workload: {text}"),
        )
    show_talk(console, speed)
