"""Options of `tilewright alpha`: what each means, and under which heading it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewright.alpha.settings import MACHINES, PRECISIONS, SAMPLERS

JOB, CHAIN, RUN, TALK = "The job", "The sampler", "How it runs", "The talk's workload"

Table = Annotated[
    Path | None,
    typer.Argument(
        help="Prices: CSV, Parquet or Feather; a column of dates, then one of adjusted closes "
        "for each stock, oldest row first.",
        show_default=False,
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo", help="20 S&P 500 stocks, 1990-2022.", rich_help_panel=JOB)
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the job. A job that was stopped goes on in its folder. "
        "[dim]default: alpha-demo, or alpha-NAME of the table[/]",
        show_default=False,
        rich_help_panel=JOB,
    ),
]
Windows = Annotated[
    int | None,
    typer.Option(
        help="Windows of 250 training and 21 test days, newest first. [dim]default: 200[/]",
        show_default=False,
        rich_help_panel=JOB,
    ),
]
Anchor = Annotated[
    str,
    typer.Option(
        help="newest: windows end at the newest day. dates: they are known by their dates, so "
        "that days added or cut off at the end leave the finished ones as they are.",
        rich_help_panel=JOB,
    ),
]
Controls = Annotated[int, typer.Option(help="Windows of each control.", rich_help_panel=JOB)]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse a table in which something looks wrong.", rich_help_panel=JOB
    ),
]
Seed = Annotated[int, typer.Option(help="Same seed, same bits.", rich_help_panel=JOB)]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="Time limit: if it is too short, there are fewer windows, never shorter chains. "
        "[dim]default: 3 with --demo, else none[/]",
        show_default=False,
        rich_help_panel=JOB,
    ),
]
Kind = Annotated[str, typer.Option(help=f"{' or '.join(SAMPLERS)}.", rich_help_panel=CHAIN)]
Chains = Annotated[int, typer.Option(rich_help_panel=CHAIN, help="A window.")]
WarmUp = Annotated[
    int, typer.Option(rich_help_panel=CHAIN, help="Transitions that adapt the step size.")
]
Draws = Annotated[int, typer.Option(rich_help_panel=CHAIN, help="Draws kept of each chain.")]
Leapfrogs = Annotated[
    int, typer.Option(rich_help_panel=CHAIN, help="Steps of a trajectory, on average.")
]
Hidden = Annotated[int, typer.Option(rich_help_panel=CHAIN, help="Width of the net.")]
Precision = Annotated[
    str,
    typer.Option(
        rich_help_panel=CHAIN,
        help=f"Of the force: {' or '.join(PRECISIONS)}. Draws are exact with both; bfloat16 "
        "trades acceptance for speed.",
    ),
]
Machine = Annotated[
    str,
    typer.Option(
        rich_help_panel=RUN,
        help=f"{' or '.join(MACHINES)}: this host's cores, or JAX's default device.",
    ),
]
Compare = Annotated[
    bool, typer.Option(rich_help_panel=RUN, help="First measure plain JAX on one window.")
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="talk: the talk's own net, priors and sampler, for speed alone.",
        show_default=False,
        rich_help_panel=TALK,
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(
        help="Rows of its window. [dim]default: 58368[/]",
        show_default=False,
        rich_help_panel=TALK,
    ),
]
