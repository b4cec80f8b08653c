"""`tilewright machine`: show machines, measure this one, compare what they make of a function."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console

from tilewright.errors import ArgumentError, CapacityError, LoadError, UnsupportedError

app = typer.Typer(
    no_args_is_help=True,
    help="Machines: what they are, what this one is, and what each would make of a function.",
)

WIDE = 200


def show(
    name: Annotated[
        str | None, typer.Argument(help="A machine or a TOML file; none: all beside each other.")
    ] = None,
) -> None:
    """Every figure of a machine with its source, or all machines beside each other."""
    from tilewright.machine import machine, names
    from tilewright.report.machines import figures, overview

    found = overview({n: machine(n) for n in names()}) if name is None else figures(machine(name))
    _console().print(found)


def measure() -> None:
    """Measure this host (half a minute) and print its TOML file: > mine.toml."""
    from tilewright.calibrate import DisturbedError, calibrate
    from tilewright.machine.written import content_of, to_toml

    try:
        machine = calibrate()
    except DisturbedError as error:
        raise ArgumentError(str(error)) from None
    sys.stdout.write(to_toml(content_of(machine)))


def compare(
    job: Annotated[str, typer.Argument(help="FILE.py:FUNCTION; see --arguments.")],
    on: Annotated[
        list[str] | None, typer.Option(help="A machine or a TOML file; may be given often.")
    ] = None,
    arguments: Annotated[
        str, typer.Option(help="The tuple of example arguments, by its name in the file.")
    ] = "arguments",
    cores: Annotated[int | None, typer.Option(min=1, help="At most so many cores.")] = None,
    law: Annotated[
        str | None, typer.Option(help="The order of sums: host, or fine (shorter leaves).")
    ] = None,
    trips: Annotated[
        list[str] | None, typer.Option(help="NAME=TURNS of a loop of unknown length; often.")
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run once here: how often loops of unknown length turn.")
    ] = False,
) -> None:
    """What each machine would take for a function: time, what limits it, cores busy, energy."""
    import tilewright

    file, _, name = job.rpartition(":")
    if not file or not name:
        raise ArgumentError(f"The job must be FILE.py:FUNCTION, not {job!r}.")
    module = _loaded(Path(file))
    function, given = _member(module, name, file), _member(module, arguments, file)
    if not callable(function):
        raise ArgumentError(f"{name} in {file} must be a function, not {function!r}.")
    if not isinstance(given, tuple):
        raise ArgumentError(f"{arguments} in {file} must be a tuple of arguments, not {given!r}.")
    turns: dict[str, Any] = dict(map(_turns, trips or ()))
    machines = on or ["cpu"]
    with _said(f"{name} in {file}", Path(file)):
        if run:
            turns = tilewright.compile(function, *given, law=law).trips(*given) | turns
        found = tilewright.compare(
            function, *given, machines=machines, trips=turns, tiles=cores, law=law
        )
    _console().print(found)


def _turns(given: str) -> tuple[str, float]:
    name, _, number = given.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise ArgumentError(
            f"--trips takes NAME=TURNS, such as while0=12, not {given!r}."
        ) from None


@contextmanager
def _said(what: str, path: Path) -> Iterator[None]:
    """A fault in the user's own file is a sentence, which names their line."""
    try:
        yield
    except (ArgumentError, CapacityError, LoadError, UnsupportedError):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
        where = f" at line {lines[-1]}" if lines else ""
        message = " ".join(str(error).partition("\n")[0].split()).rstrip(".")
        raise ArgumentError(f"{what} fails{where}: {type(error).__name__}: {message}.") from error


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ArgumentError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module
    with _said(str(path), path):
        spec.loader.exec_module(module)
    return module


def _member(module: ModuleType, name: str, file: str) -> Any:
    if not hasattr(module, name):
        raise ArgumentError(f"{file} has no {name!r}.")
    return getattr(module, name)


def _console() -> Console:
    """As wide as the terminal, or wide enough for a file."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)
