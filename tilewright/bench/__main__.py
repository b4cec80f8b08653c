"""`python -m tilewright.bench [part ...]`: measure, print tables, save a record.

Parts: contract, panels, blocks, convolutions, groups, epilogues, recurrent, windows, precision,
latency, ticks, loaded, learning, jobs, images, image_steps, memory, losses, hmc, spread, nuts,
chains, scale, walking, tiles, compile, call; all of them by default. A run of some parts replaces
just these in the record. With TILEWRIGHT_FEATURES=avx2, JAX and PyTorch are kept to AVX2 as well,
and the record and the bars are that level's.
`--page PAGE` measures nothing: it renders the record into a page, between its markers.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tilewright.bench.level import PRETENDS, keep_jax_to_it, level
from tilewright.bench.record import Record, Row, load
from tilewright.bench.table import machine_sentence, part_table, render
from tilewright.calibrate import known
from tilewright.machine.cpu import model_name

_KERNELS = "contract panels blocks convolutions groups epilogues".split()
_WORKLOADS = (
    *"recurrent windows precision latency ticks loaded learning jobs images image_steps".split(),
    *"memory losses hmc spread nuts chains scale walking tiles call".split(),
)
PARTS = {name: name for name in (*_KERNELS, *_WORKLOADS)} | {"compile": "cold"}
"""Part to module."""


def main(arguments: list[str] | None = None) -> int:
    """1 if a bar is missed under `--check`; 2 for a question that makes no sense."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [part for part in options.part if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; parts are {', '.join(PARTS)}")
    path = options.save or default_path(options.quick)
    if options.page is not None:
        return _render(path, options.page)
    keep_jax_to_it()
    console = Console(width=None if sys.stdout.isatty() else 180)
    if not options.quick:
        known(console.print)
    rows = measure(options.part or list(PARTS), options.quick, console)
    record = Record.of(rows, options.quick)
    if options.part and path.exists():
        record = _merged(path, record)
    record.save(path)
    missed = [row.name for row in rows if row.passed is False and not row.detail]
    console.print(machine_sentence(record), f"\nSaved in {path}.")
    if missed:
        console.print(f"[red]Below the bar ({len(missed)}):[/] " + "; ".join(missed))
    return 1 if missed and options.check else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tilewright.bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes: not to be quoted")
    parser.add_argument("--check", action="store_true", help="status 1 if a bar is missed")
    parser.add_argument("--save", type=Path, help="the record (default: bench/results/CPU.json)")
    parser.add_argument("--page", type=Path, metavar="PAGE", help="render the record into a page")
    return parser


def default_path(quick: bool = False) -> Path:
    """`bench/results/<processor>.json`; a quick run leaves the real record alone.

    What is measured at a level below the host's own has a record of its own.
    """
    kind = f"{model_name()} {level() if PRETENDS else ''}"
    name = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
    return Path("bench-results" if quick else "bench/results") / f"{name}.json"


def measure(parts: list[str], quick: bool, console: Console) -> list[Row]:
    """Part after part, case after case; each part's table is printed when it is done."""
    found: list[Row] = []
    todo = [(part, _cases(part, quick)) for part in parts]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Drawn between cases only: a thread that draws would take time from what is measured.
    with Progress(*columns, TimeElapsedColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task("", total=sum(len(cases) for _, cases in todo))
        for part, cases in todo:
            rows: list[Row] = []
            for name, run in cases:
                progress.update(task, description=f"{part}: {name}", refresh=True)
                rows += run()
                progress.advance(task)
            console.print(part_table(part, rows))
            found += rows
    return found


def _merged(path: Path, record: Record) -> Record:
    try:
        return load(path).updated(record)
    except (ValueError, KeyError, TypeError) as error:
        print(f"{path} is replaced: {error}.", file=sys.stderr)
        return record


def _cases(part: str, quick: bool) -> list[tuple[str, Callable[[], Sequence[Row]]]]:
    return list(import_module(f"tilewright.bench.{PARTS[part]}").cases(quick))


def _render(path: Path, page: Path) -> int:
    if not path.exists():
        print(f"There is no record {path}: run `make bench` first.", file=sys.stderr)
        return 2
    try:
        render(page, load(path))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
