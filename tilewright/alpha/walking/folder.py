"""The folder of a job that walks forward: its data, its windows, known by their dates.

    job.json             settings and versions: what every window depends on; beside them what none
                         does, such as how many draws are kept, and where prices came from
    prices.parquet       the table, as it was when the job last ran
    fits/DAY-KEY.npz     a window's model: draws, or a net (.safetensors)
    scored/DAY-KEY.npz   its forecasts against what came, once all of that is known
    report.html, report.json, scores.csv, forecasts/DAY.parquet    written at the end

DAY is the first test day, KEY a hash of the settings and of the prices that the file depends on:
a file that is there under its name is right, and is never read to find out. All are written whole
or not at all, so a job that is killed at any instant goes on and ends with the same bits. A table
that goes on, or ends earlier, is the same job; one that differs in a day on which a file depends is
refused, and so is another version, unless it is told to go on.
"""

from __future__ import annotations

import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

import tilewright
from tilewright.alpha.controls import REAL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.identity import difference, locked
from tilewright.alpha.tables import Extras, Prices
from tilewright.alpha.walking.windows import Spans, Window
from tilewright.files import PARTIAL, sync_folder, write_bytes, write_text

FITS, SCORED, FORECASTS = "fits", "scored", "forecasts"
FOLDERS = (FITS, SCORED, FORECASTS)
UNDER_WAY = "under-way.npz"
FILES = (
    "job.json", "prices.parquet", "lock", UNDER_WAY, "report.html", "report.json", "scores.csv"
)  # fmt: skip
MEMBERS, SEPARATOR = "", "\t"
"""Columns of prices.parquet beside prices: a feature's name, or none for members; whose it is."""
DIGITS = 16
"""Of a key."""


class JobSettings(Spans, Protocol):
    """What a job is."""

    def check(self) -> None: ...
    def identity(self) -> dict[str, Any]: ...


class JobFolder(ABC):
    """An open folder. Sub-classes say whose job it is, and how its settings are read."""

    whose: ClassVar[str]
    """Such as "the scale net"."""
    mark: ClassVar[str]
    """A setting that no other kind of job has."""
    suffix: ClassVar[str] = ".npz"
    """Of a window's model."""

    @classmethod
    @abstractmethod
    def settings_from(cls, found: dict[str, Any]) -> Any:
        """Settings from their names and values, such as those of job.json or of a TOML file.

        Raises `AlphaError` for a name that there is not.
        """

    @classmethod
    def opened(cls, folder: Path, other_version: bool = False) -> Self:
        """That of an earlier run, with its own prices and settings; raises `AlphaError`."""
        found = cls.described(folder)
        assert found is not None
        settings = cls.settings_from(found["settings"] | found.get("beside", {}))
        prices = saved_prices(folder, str(found.get("source", folder.name)))
        return cls(folder, prices, settings, other_version)

    def __init__(self, folder: Path, prices: Prices, settings: Any, other_version: bool = False):
        """Make the folder, or go on in it; `other_version` goes on in one of another version.

        Raises `AlphaError` when it holds something else, before anything is written.
        """
        self.path, self.prices, self.settings = folder, prices, settings
        self.identity = {"settings": settings.identity(), "instruments": list(prices.names)}
        if prices.extras.members is not None:
            self.identity["members"] = "by date"
        kept = self.identity["settings"]
        self._beside = {k: v for k, v in asdict(settings).items() if k not in kept}
        self._versions, self._level = self._check(folder, other_version)
        self._base = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode())
        self._prefixes: dict[int, str] = {}
        try:
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            if not (folder / "job.json").exists():
                self._describe()
        except OSError as error:
            raise AlphaError(f"The folder {folder} cannot be used: {error.strerror}.") from None

    def claim(self, level: str) -> None:
        """Work here on such a level of the instruction set; raises OSError.

        Raises `AlphaError` where the job was begun on another: its bits would be of both.
        """
        if self._level not in (None, level):
            raise AlphaError(
                f"The job in {self.path} was begun on {self._level} and this is {level}, on which "
                "last bits differ: go on where it was begun, or start another."
            )
        self._level = level
        self._describe()

    def _describe(self) -> None:
        """Write job.json, if it does not say so already: who only reads may not write."""
        about = {"tilewright": self._versions, "level": self._level, "source": self.prices.source}
        about |= self.identity | {"beside": self._beside}
        text = json.dumps(about, indent=2)
        if not _holds(self.path / "job.json", text):
            write_text(self.path / "job.json", text)

    def prepare(self, windows: Iterable[Window]) -> None:
        """Keys of all windows, in one pass over the prices; raises `AlphaError` for other data."""
        horizon = self.settings.horizon
        windows = list(windows)
        lengths = {w.test for w in windows} | {w.end + horizon for w in windows if w.whole}
        lengths.add(len(self.prices.days))
        running, values = self._base.copy(), np.ascontiguousarray(self.prices.values)
        extras = [np.ascontiguousarray(part) for part in self.prices.extras.arrays()]
        for count, (day, row) in enumerate(zip(self.prices.days, values, strict=True), 1):
            running.update(day.encode() + b"\0" + row.tobytes())
            for part in extras:
                running.update(part[count - 1].tobytes())
            if count in lengths:
                self._prefixes[count] = running.hexdigest()[:DIGITS]
        self._refuse_other_data(windows)

    def fit_path(self, window: Window, series: str = REAL) -> Path:
        """Where the draws of a window are, or will be: they depend on the days before its tests.

        Those of a control, which is a shuffle of all days, depend on all.
        """
        days = window.test if series == REAL else len(self.prices.days)
        return self.path / FITS / f"{_name(series, window)}-{self._prefixes[days]}{self.suffix}"

    def scored_path(self, window: Window, series: str = REAL) -> Path:
        """Where the scores of a whole window are, or will be."""
        whole = window.end + self.settings.horizon
        days = whole if series == REAL else len(self.prices.days)
        return self.path / SCORED / f"{_name(series, window)}-{self._prefixes[days]}.npz"

    def save_prices(self) -> None:
        """The table, for `resume`, `predict` and `append`; raises OSError."""
        write_bytes(self.path / "prices.parquet", parquet(self.prices))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works in this folder meanwhile. The lock goes with the process."""
        with locked(self.path):
            yield

    def _refuse_other_data(self, windows: Iterable[Window]) -> None:
        """A file of the same window under another key is of other prices."""
        found = {kind: _by_window(self.path / kind) for kind in (FITS, SCORED)}
        for window in windows:
            mine = {FITS: self.fit_path(window).name}
            if window.whole:
                mine[SCORED] = self.scored_path(window).name
            for kind, name in mine.items():
                if found[kind].get(window.day, set()) - {name}:
                    raise AlphaError(
                        f"The folder {self.path} belongs to another job (other data, in the window "
                        f"tested from {window.day} on, or before)."
                    )

    def _check(self, folder: Path, other_version: bool) -> tuple[list[str], str | None]:
        """Versions that have worked here, ours the last, and on which level of instructions.

        Raises `AlphaError` for another job.
        """
        ours = tilewright.__version__
        if not folder.exists():
            return [ours], None
        found = self.described(folder, empty=True)
        if found is None:
            return [ours], None
        versions, wanted = list(found.pop("tilewright")), json.loads(json.dumps(self.identity))
        level = found.pop("level", None)
        for name in ("source", "beside"):
            found.pop(name, None)
        same = found["instruments"] == wanted["instruments"]
        differs = difference(found, wanted) if same else "other instruments"
        if differs:
            raise AlphaError(f"The folder {folder} belongs to another job ({differs}).")
        if versions[-1] == ours:
            return versions, level
        if not other_version:
            raise AlphaError(
                f"The folder {folder} was last worked in by tilewright {versions[-1]}, this is "
                f"{ours}: say --other-version to go on with it, and both will be recorded."
            )
        return [*versions, ours], level

    @classmethod
    def described(cls, folder: Path, empty: bool = False) -> dict[str, Any] | None:
        """What job.json says; None for a folder without anything, where that is allowed.

        Raises `AlphaError` for a folder that holds something else.
        """
        if not folder.is_dir():
            raise AlphaError(f"{folder} is not a folder.")
        path = folder / "job.json"
        try:
            others = [p.name for p in folder.iterdir() if p.name not in (*FOLDERS, *FILES)]
            if empty and not path.exists() and all(name.endswith(PARTIAL) for name in others):
                return None
            found = json.loads(path.read_text())
            _ = found["tilewright"][-1], found["settings"][cls.mark], found["instruments"][0]
            _ = dict(found.get("beside", {}))
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise AlphaError(f"{folder} is not the folder of a job of {cls.whose}.") from None
        return found


def _by_window(folder: Path) -> dict[str, set[str]]:
    """Names of files by what precedes their key."""
    found: dict[str, set[str]] = {}
    for path in (*folder.glob("*.npz"), *folder.glob("*.safetensors")):
        found.setdefault(path.name.rpartition("-")[0], set()).add(path.name)
    return found


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except OSError:
        return False


def _name(series: str, window: Window) -> str:
    return window.day if series == REAL else f"{series}-{window.day}"


def saved_prices(folder: Path, source: str) -> Prices:
    """What `save_prices` wrote, of a table that was called so."""
    import pandas as pd

    path = folder / "prices.parquet"
    try:
        frame = pd.read_parquet(path)
    except Exception:  # of damaged files, readers raise whatever they stumble over
        raise AlphaError(f"{path} is missing or damaged.") from None
    days = tuple(frame.pop("day"))
    extras = [name for name in frame.columns if SEPARATOR in name]
    names = tuple(name for name in frame.columns if name not in extras)
    kinds = list(dict.fromkeys(name.partition(SEPARATOR)[0] for name in extras))
    parts = {
        kind: frame[[f"{kind}{SEPARATOR}{name}" for name in names]].to_numpy() for kind in kinds
    }
    members = parts.pop(MEMBERS, None)
    features = np.stack([*parts.values()], axis=-1).astype(np.float64) if parts else None
    values = frame[list(names)].to_numpy(np.float64)
    return Prices(days, names, values, source, Extras(tuple(parts), features, members))


def parquet(prices: Prices) -> bytes:
    """The table as a file's content, with what comes with it in columns of their own."""
    import pandas as pd

    frames, extras = [pd.DataFrame(prices.values, columns=list(prices.names))], prices.extras
    parts = dict(zip(extras.names, np.moveaxis(extras.features, -1, 0), strict=True)) if (
        extras.features is not None) else {}  # fmt: skip
    parts |= {} if extras.members is None else {MEMBERS: extras.members}
    for kind, values in parts.items():
        columns = [f"{kind}{SEPARATOR}{name}" for name in prices.names]
        frames.append(pd.DataFrame(values, columns=columns))
    frame = pd.concat(frames, axis=1)
    frame.insert(0, "day", list(prices.days))
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()
