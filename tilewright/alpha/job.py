"""The folder of a job: what it is, which windows are finished, and what was measured.

    job.json            settings, data and version: everything that a window depends on
    windows/*.npz       one file for each finished window, written whole or not at all
    progress.json       how many windows were settled on, and the comparison with JAX
    forecasts.csv, scores.csv, summary.json, report.html     written at the end

A folder serves one job only. Run again, the job goes on from the finished windows; asked for more
windows than before, it adds them. Each window says whose it is, too: a job.json that a crash of the
machine left empty or torn is written again from them. Where windows are known by their dates, a
table that goes on, or that ends earlier, is the same job: of each window, the days up to its own
end must be as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tilewright
from tilewright.alpha.controls import REAL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import HISTORY
from tilewright.alpha.identity import difference, locked
from tilewright.alpha.results import Result
from tilewright.alpha.settings import DATES, Settings
from tilewright.alpha.tables import Prices
from tilewright.alpha.windows import GAP, TEST, TRAIN
from tilewright.files import PARTIAL, sync_folder, write_text

OURS = {
    *("job.json", "windows", "progress.json", "lock"),
    *("forecasts.csv", "scores.csv", "summary.json", "report.html"),
}
UNTIL, FIRST_DAYS = "data until its end", HISTORY + TRAIN + GAP + TEST + 1
"""In the mark of a window that is known by its dates; days of the oldest that there can be."""
BEGINNING = '{\n  "tilewright"'
"""Of every job.json."""


class Job:
    """An open folder."""

    def __init__(self, folder: Path, prices: Prices, settings: Settings):
        """Make the folder, or go on in it.

        Raises `AlphaError` when it holds something else, before anything is written.
        """
        self.folder, self.prices = folder, prices
        self.by_dates = settings.anchor == DATES
        self.identity = {
            "tilewright": tilewright.__version__,
            "data": prices.fingerprint(FIRST_DAYS if self.by_dates else None),
            "settings": settings.identity(),
        }
        self.mark = _text(self.identity)
        _check(folder, json.loads(self.mark))
        self._check_windows()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            (folder / "windows").mkdir(exist_ok=True)
            write_text(folder / "job.json", self.mark)
        except OSError as error:
            raise AlphaError(f"The folder {folder} cannot be used: {error.strerror}.") from None

    def path(self, series: str, index: int) -> Path:
        """Where the result of a window is, or will be."""
        return self.folder / "windows" / f"{series}-{index:04d}.npz"

    def finished(self) -> dict[tuple[str, int], Result]:
        """Results so far. A file that cannot be read, or is another job's, is as good as none."""
        return {
            (result.series, result.index): result
            for result, mark in _windows(self.folder)
            if mark == self.mark_of(result)
        }

    def mark_of(self, result: Result) -> str:
        """What a window's file says of the job. Known by its dates, it depends on days up to its
        last target; a control on all, as it is a shuffle of all."""
        if not self.by_dates:
            return self.mark
        days = result.test + TEST + 1 if result.series == REAL else None
        return _text({**self.identity, UNTIL: self.prices.fingerprint(days)})

    def _check_windows(self) -> None:
        """Days that finished windows depend on are as they were, as far as the table has them."""
        for result, mark in _windows(self.folder) if self.by_dates else ():
            whole = result.test + TEST < len(self.prices.days)
            ours = _without(mark) == json.loads(self.mark)
            if result.series == REAL and whole and ours and mark != self.mark_of(result):
                raise AlphaError(
                    f"The folder {self.folder} belongs to another job (other data, up to "
                    f"{self.prices.days[result.test + TEST]})."
                )

    def save(self, result: Result) -> None:
        """Raises OSError."""
        result.save(self.path(result.series, result.index), self.mark_of(result))

    def notes(self) -> dict[str, Any]:
        """What was settled or measured by an earlier run."""
        try:
            return json.loads((self.folder / "progress.json").read_text())
        except (OSError, ValueError):
            return {}

    def note(self, **values: Any) -> None:
        """Add to the notes."""
        write_text(self.folder / "progress.json", json.dumps({**self.notes(), **values}, indent=2))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works in this folder meanwhile. The lock goes with the process."""
        with locked(self.folder):
            yield


def _check(folder: Path, identity: dict[str, Any]) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise AlphaError(f"{folder} is not a folder.")
    try:
        for found in _identities(folder):
            differs = difference(found, identity)
            if differs:
                raise AlphaError(f"The folder {folder} belongs to another job ({differs}).")
    except OSError as error:
        raise AlphaError(f"The folder {folder} cannot be read: {error.strerror}.") from None


def _identities(folder: Path) -> list[Any]:
    """What job.json says; if a crash took it, what the windows say, each in another way once."""
    path = folder / "job.json"
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    with suppress(ValueError):
        return [json.loads(text)]
    written = text.strip("\0 \n")
    if not BEGINNING.startswith(written) and not written.startswith(BEGINNING):
        raise AlphaError(f"{path} cannot be read: choose another folder.")
    if any(p.name not in OURS and p.suffix != PARTIAL for p in folder.iterdir()):
        raise AlphaError(f"The folder {folder} holds other things: choose another.")
    marks = {_text(_without(mark)) for _, mark in _windows(folder)}
    return [json.loads(mark) for mark in sorted(marks)]


def _without(mark: str) -> Any:
    """The identity in a window's mark: of its job alone."""
    return {key: value for key, value in json.loads(mark).items() if key != UNTIL}


def _text(identity: dict[str, Any]) -> str:
    return json.dumps(identity, indent=2, default=float)  # NumPy's numbers, too


def _windows(folder: Path) -> Iterator[tuple[Result, str]]:
    """All that can be read, with their jobs' marks."""
    for path in sorted((folder / "windows").glob("*.npz")):
        try:
            yield Result.load(path)
        except Exception:  # a damaged archive raises whatever its reader stumbles over
            continue
