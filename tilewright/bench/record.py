"""What a bench run leaves: the machine, and one `Row` for each thing measured; saved as JSON.

A row's verdict compares its ratio (peer's time over ours), or our own figure, with its bar.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tilewright.bench.level import level
from tilewright.files import write_text
from tilewright.frozen import frozen
from tilewright.machine.cpu import allowed_cpus, cache_bytes, model_name
from tilewright.machine.host import host_machine


@frozen
class Row:
    """`ours` and `peer` in `unit`; `ratio` is the median over rounds, `low` and `high` quartiles.

    `bar` holds for the ratio if there is one, else for `ours`; `at_most` turns it round. `gflops`
    is the multiply-add peak of one core, measured in the same rounds. Details are left out of the
    README's table.
    """

    part: str
    name: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    bar: float | None = None
    at_most: bool = False
    gflops: float | None = None
    notes: str = ""
    detail: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        value = self.ours if self.ratio is None else self.ratio
        return bool(value <= self.bar if self.at_most else value >= self.bar)


RUN = ("date", "system")
"""What each part of a record has of its own; all else that `this_machine` says is the record's."""


@frozen
class Record:
    """What was measured on one host; `quick` runs are too short to be quoted.

    `runs` says of each part when it was measured and under which system, as a host is started anew
    with another build of it from time to time.
    """

    machine: Mapping[str, Any]
    rows: tuple[Row, ...]
    runs: Mapping[str, Mapping[str, str]]
    quick: bool = False

    @classmethod
    def of(cls, rows: Iterable[Row], quick: bool = False) -> Record:
        """Of rows that were measured here, now."""
        rows, machine = tuple(rows), this_machine()
        run = {name: machine.pop(name) for name in RUN}
        return cls(machine, rows, {row.part: run for row in rows}, quick)

    def save(self, path: Path) -> None:
        """Replaces the file whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) | {"passed": row.passed} for row in self.rows]
        content = {
            "machine": dict(self.machine),
            "quick": self.quick,
            "runs": {part: dict(run) for part, run in self.runs.items()},
            "rows": rows,
        }
        write_text(path, json.dumps(content, indent=1) + "\n")

    def updated(self, newer: Record) -> Record:
        """With the parts that `newer` holds in place of those measured earlier.

        Raises ValueError where the machine or a version differs: one record is of one set-up.
        """
        if self.machine != newer.machine or self.quick != newer.quick:
            raise ValueError("the record is of another machine, other versions or another length")
        kept = [row for row in self.rows if row.part not in newer.runs]
        runs = {row.part: self.runs[row.part] for row in kept}
        return Record(self.machine, (*kept, *newer.rows), {**runs, **newer.runs}, self.quick)

    def spans(self) -> dict[str, str]:
        """Of RUN, what all parts have: from first to last, by name."""
        found = {}
        for name in RUN:
            values = sorted({run[name] for run in self.runs.values()})
            found[name] = " to ".join(dict.fromkeys((values[0], values[-1]))) if values else ""
        return found


def load(path: Path) -> Record:
    """A record that `Record.save` wrote."""
    content = json.loads(path.read_text())
    rows = [Row(**{k: v for k, v in row.items() if k != "passed"}) for row in content["rows"]]
    return Record(content["machine"], tuple(rows), content["runs"], content["quick"])


def this_machine() -> dict[str, Any]:
    """Where and with what the run was made."""
    return {
        "cpu": model_name(),
        "cores": len(allowed_cpus()),
        "level": level(),
        "vector_bits": host_machine().tile.features.vector_bits,
        "cache_kib": [cache_bytes(level) >> 10 for level in (1, 2, 3)],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("jax", "llvmlite", "numpy", "blackjax", "tilewright")},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "from source"
