"""`tilewright alpha`: arguments become a job, the job's events a live display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.settings import Sampler, Settings
from tilewright.cli import NOTHING_TO_READ, STOPPED
from tilewright.cli import alpha_options as options

if TYPE_CHECKING:
    from tilewright.alpha.report.verdict import Verdict

WINDOWS, DEMO_MINUTES, MOST_MINUTES = 200, 3.0, 1_000_000


def alpha(
    table: options.Table = None,
    demo: options.Demo = False,
    out: options.Out = None,
    windows: options.Windows = None,
    anchor: options.Anchor = Settings.anchor,
    controls: options.Controls = 8,
    strict: options.Strict = False,
    seed: options.Seed = 0,
    minutes: options.Minutes = None,
    sampler: options.Kind = Sampler.name,
    chains: options.Chains = Settings.chains,
    warmup: options.WarmUp = Sampler.warmup,
    draws: options.Draws = Sampler.draws,
    leapfrogs: options.Leapfrogs = Sampler.leapfrogs,
    hidden: options.Hidden = Sampler.hidden,
    precision: options.Precision = Sampler.precision,
    machine: options.Machine = Settings.machine,
    compare: options.Compare = True,
    preset: options.Preset = None,
    rows: options.Rows = None,
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
    console = Console(markup=False)
    chain = Sampler(sampler, warmup, draws, leapfrogs, hidden, precision=precision)
    settings = Settings(chain, windows or WINDOWS, controls, chains, seed, machine, anchor)
    _check(settings, windows, minutes)
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


def _check(settings: Settings, windows: int | None, minutes: float | None) -> None:
    """What was asked for can be run."""
    if windows is not None and windows < 1:
        raise AlphaError(f"windows must be 1 or more, not {windows}.")
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise AlphaError(
            f"minutes must be above 0, and {MOST_MINUTES} at most, not {minutes:g}: leave it out "
            "for no limit."
        )
    settings.check()


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
    from tilewright.cli.under_way import UnderWay

    if preset is None:
        raise AlphaError("--rows belongs to --preset talk.")
    if preset != "talk":
        raise AlphaError(f"Unknown preset {preset!r}: the one there is is talk.")
    if given:
        raise AlphaError("The preset talk makes its own rows: leave out the table and --demo.")
    if settings.sampler.name != "hmc":
        raise AlphaError("The preset talk is a workload of the sampler hmc.")
    with UnderWay(Console(stderr=True)) as seen:
        speed = talk.measure(
            rows=talk.ROWS if rows is None else rows,
            precision=settings.sampler.precision,
            machine=settings.machine,
            peer=compare,
            stage=lambda text: seen.step(f"the talk's workload: {text}"),
        )
    show_talk(console, speed)
