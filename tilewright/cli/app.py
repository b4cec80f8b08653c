"""All commands, by their groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tilewright
from tilewright.cli import (
    densities,
    forward,
    fraud,
    lstm,
    machine,
    scale,
    talk,
    vision,
)
from tilewright.cli.alpha import alpha
from tilewright.cli.mistakes import command
from tilewright.cli.named import with_default

app = typer.Typer(
    name="tilewright",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="JAX functions as tile programs, and what a quant does with them.",
)


def export(
    model: Annotated[Path, typer.Argument(help="A program in a file: what `exe.save` left.")],
    c: Annotated[Path, typer.Option("--c", help="The folder to write into.")],
    name: Annotated[
        str | None, typer.Option(help="What every name begins with; by default the file's.")
    ] = None,
    tiles: lstm.Tiles = 1,
) -> None:
    """Leave a saved program as a library for C and C++: header, object, library, example.

    [dim]tilewright export model.tw --c out/[/]
    """
    import re

    named = name or re.sub(r"\W", "_", model.stem)
    lstm.tell(tilewright.load(model).export(c, named, tiles=tiles))


alphas = with_default("mean", "Forecasts of returns by Bayesian nets over sliding windows.")
alphas.command("mean")(command(alpha))
for name, one in scale.COMMANDS.items():
    alphas.command(name)(command(one))
app.add_typer(alphas, name="alpha")
for one in (machine.show, machine.measure, machine.compare):
    machine.app.command()(command(one))
app.add_typer(machine.app, name="machine")
for one in (vision.train, vision.predict, vision.bench, vision.export):
    vision.app.command()(command(one))
vision.app.callback()(command(vision.options))
app.add_typer(vision.app, name="vision")
for one in (lstm.run, lstm.stream, lstm.bench, lstm.export, fraud.fraud):
    lstm.app.command()(command(one))
lstm.app.callback()(command(lstm.demo))
lstm.app.command("fit")(command(forward.fit))
lstm.app.command("walk-forward")(command(forward.walk))
lstm.app.command()(command(densities.prune))
app.add_typer(lstm.app, name="lstm")
app.command("export")(command(export))
for name, one in talk.COMMANDS.items():
    talk.app.command(name)(command(one))
app.add_typer(talk.app, name="talk")


def _version(wanted: bool) -> None:
    if wanted:
        print(tilewright.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    """JAX functions as tile programs, and what a quant does with them."""
