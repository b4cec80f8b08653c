"""A host's figures: the part of its `Machine` that is measured, and kept in the cache folder.

In: a folder and the host's features. Out: `Figures` as `tilewright/calibrate` left them, or None
where there are none to be trusted: nobody has measured, the file is damaged or older than
`MOST_DAYS`, the host is another one now, or others may write there. They are rounded to two digits,
so that measuring again changes no plan without cause.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tilewright.files import usable_folder, write_text
from tilewright.frozen import frozen
from tilewright.machine.cpu import cache_bytes, cpu_limit, model_name

MOST_DAYS = 30
WAY = 2
"""How figures are taken; another number where it changes, or what they are taken of does."""


@frozen
class Figures:
    """Of one tile, in cycles of `clock` (cycles a second).

    `rates`: multiply-add instructions a cycle by the dtype of operands. `reads`: bytes a cycle by
    memory, of a tile alone and of each of all. `operations`: cycles for a vector by "name dtype".
    `jumps`: cycles to go on reading a page away, by memory. `launch`: seconds of a program's call.
    """

    clock: float
    rates: Mapping[str, float]
    reads: Mapping[str, tuple[float, float]]
    operations: Mapping[str, float]
    barrier: float
    call: float
    jumps: Mapping[str, float]
    launch: float

    def rounded(self) -> Figures:
        """To two digits."""
        return Figures(
            two_digits(self.clock),
            {name: two_digits(rate) for name, rate in self.rates.items()},
            {name: (two_digits(a), two_digits(b)) for name, (a, b) in self.reads.items()},
            {name: two_digits(cycles) for name, cycles in self.operations.items()},
            two_digits(self.barrier),
            two_digits(self.call),
            {name: two_digits(cycles) for name, cycles in self.jumps.items()},
            two_digits(self.launch),
        )


def two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def path(folder: Path, names: tuple[str, ...]) -> Path:
    """Where the figures of this host lie, with those extensions of its instruction set."""
    return folder / f"machine-{_host(names)}.json"


def read(folder: Path | None, names: tuple[str, ...]) -> Figures | None:
    if folder is None or not folder.is_dir() or not usable_folder(folder):
        return None
    try:
        content = json.loads(path(folder, names).read_text())
        if not 0 <= time.time() - content.pop("taken") <= MOST_DAYS * 86_400:
            return None
        content["reads"] = {name: (a, b) for name, (a, b) in content["reads"].items()}
        return Figures(**content).rounded()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(folder: Path, names: tuple[str, ...], figures: Figures) -> None:
    """Raises OSError where the disk is full or read-only."""
    content = asdict(figures.rounded()) | {"taken": time.time()}
    write_text(path(folder, names), json.dumps(content, indent=1))


def _host(names: tuple[str, ...]) -> str:
    """Changes with what figures hang on: how they are taken, processor, caches, extensions, CPUs
    that may be used."""
    caches = [cache_bytes(level) for level in (1, 2, 3)]
    text = repr((WAY, model_name(), caches, names, cpu_limit()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
