"""`tilewright talk`: the talk's charts, made again on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from tilewright.cli.named import with_default
from tilewright.errors import ArgumentError

if TYPE_CHECKING:
    from tilewright.talk.record import Outcome, Talk
    from tilewright.talk.steps import Step

SECONDS = {False: 30 * 60.0, True: 8 * 60.0}
"""That a run takes at most; by whether it is a quick one."""

app = with_default("make", "The talk's charts, made again on this machine, beside its peers.")


def make(
    out: Annotated[
        Path, typer.Option(help="The folder for talk.html and talk.json; it goes on from there.")
    ] = Path("talk"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer sizes: 8 minutes at most, not 30.")
    ] = False,
    only: Annotated[str | None, typer.Option(help="One workload, by its name in --list.")] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="What would be measured, and exit.")
    ] = False,
) -> None:
    """Measure every workload of the talk here and draw it on one page, with the numbers in JSON.

    It takes 30 minutes at most: what a slower machine has no time for is left out, and done when it
    is called again. So is what is left where it was killed. Less time means fewer sizes, never
    fewer rounds.

    [dim]tilewright talk --quick && xdg-open talk/talk.html[/]
    """
    from tilewright.files import write_text
    from tilewright.talk.page import page
    from tilewright.talk.record import NAME
    from tilewright.talk.steps import READ, WORKLOADS, chosen

    steps = chosen(quick, only)
    console = Console(highlight=False)
    if listed:
        for workload, title in WORKLOADS.items():
            here = [step for step in steps if step.workload == workload]
            if here:
                console.print(f"[bold]{workload}[/]: {title}, {_minutes(here)}")
                console.print("  " + " · ".join(step.case for step in here), style="dim")
            elif only in (None, workload) and workload in READ:
                console.print(f"[bold]{workload}[/]: {title}, read from files")
        console.print(f"In all {_minutes(steps)} on two cores.")
        return
    write_text(out / "talk.html", page([measured(out, steps, console, SECONDS[quick])]))
    console.print(f"{out / 'talk.html'}\n{out / NAME}")


def measured(out: Path, steps: Sequence[Step], console: Console, seconds: float) -> Talk:
    """Steps, those left of a run before included: the record in the folder, said as it grows.

    As many as end within `seconds`. Raises `ArgumentError` for a folder that cannot be written to,
    or holds another record.
    """
    from tilewright.calibrate import known
    from tilewright.cli.under_way import UnderWay
    from tilewright.machine.host import host_machine
    from tilewright.talk.budget import Budget
    from tilewright.talk.peaks import peaks
    from tilewright.talk.record import NAME
    from tilewright.talk.running import begin, disturbed, left, run
    from tilewright.talk.steps import settings

    budget = Budget(seconds)
    _usable(out)
    talk = begin(out / NAME, settings())
    _warn(console, talk)
    due = left(talk, steps)
    console.print(f"{len(due)} of {len(steps)} steps to do, {_minutes(due)}.")
    if due:
        known(console.print)
    talk = talk.with_peaks(peaks(host_machine()))

    def told(step: Step, outcome: Outcome | None) -> None:
        if outcome is None:
            seen.step(step.name)
        elif outcome.failed:
            console.print(Text.assemble(f"{step.name}: ", (outcome.failed, "red")))
        else:
            taken = f"{step.name}: {outcome.conditions['seconds']:.0f} s"
            note = " (disturbed)" if disturbed(outcome) else ""
            console.print(Text.assemble(taken, (note, "yellow")))

    if not (out / NAME).exists():
        talk.save(out / NAME)
    with UnderWay(console, {step.name: step.seconds for step in due}) as seen:
        talk = run(talk, out / NAME, steps, told, budget)
    failed = [step.name for step in left(talk, steps) if step.name in talk.outcomes]
    late = [step.name for step in left(talk, steps) if step.name not in talk.outcomes]
    if failed:
        console.print(f"Failed, and tried again by another call: {'; '.join(failed)}.")
    if late:
        console.print(
            f"Would not end within {seconds / 60:.0f} minutes, so left for another call: "
            f"{'; '.join(late)}."
        )
    return talk


def merge(
    records: Annotated[list[Path], typer.Argument(help="The talk.json of each machine.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write.")] = Path(
        "talks.html"
    ),
) -> None:
    """Put the records of several machines on one page; ratios stay inside each.

    [dim]tilewright talk merge here/talk.json there/talk.json -o both.html[/]
    """
    from tilewright.files import write_text
    from tilewright.talk.merging import merged
    from tilewright.talk.page import page

    write_text(out, page(merged(records)))
    print(out)


def _usable(out: Path) -> None:
    """Raises `ArgumentError` before anything is measured."""
    import os

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"--out {out} is no folder to write to: {error.strerror}.") from None
    if not os.access(out, os.W_OK):
        raise ArgumentError(f"--out {out} may not be written to.")


def _warn(console: Console, talk: object) -> None:
    from tilewright.talk.installed import PEERS, missing, no_gpu

    for peer, how in (missing(*PEERS) | no_gpu()).items():
        line = f"{peer} is not here and will be missing: {how}"
        console.print(line, style="yellow", markup=False)  # extras of pip have brackets
    machine = talk.machine  # type: ignore[attr-defined]
    if machine["cores"] < 2:
        console.print("One core: chains and tiles have no company here.", style="yellow")
    if machine.get("battery"):
        console.print("On battery: figures are those of a host that saves power.", style="yellow")


def _minutes(steps: object) -> str:
    seconds = sum(step.seconds for step in steps)  # type: ignore[attr-defined]
    if not seconds:
        return "no time at all"
    return f"about {max(1, round(seconds / 60))} min"


COMMANDS = {"make": make, "merge": merge}
