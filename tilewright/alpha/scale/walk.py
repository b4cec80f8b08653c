"""Walking forward with the net of the scale: from prices to scored windows.

In: prices and settings; if wanted a folder, a time limit, and a `Watcher` that hears of every
window. Out: a `Walk`, from which forecasts, models and reports are taken. Run again in the same
folder, with more days or fewer, only what is new is done; killed at any instant, it goes on.

Sequences of windows are run newest first, so that a limit takes the oldest away; never is a chain
shortened. What is held in memory is one window.
"""

from __future__ import annotations

import math
import shutil
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import numpy as np

from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.controls import placebo, planted
from tilewright.alpha.scale.fit import Fit, State
from tilewright.alpha.scale.folder import FITS, ScaleFolder
from tilewright.alpha.scale.panel import ScalePanel, make_panel, test_rows, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.rivals import rivals
from tilewright.alpha.scale.scored import Scored, scored
from tilewright.alpha.scale.settings import FEW, ScaleSettings
from tilewright.alpha.scale.windows import Window, windows_of
from tilewright.alpha.tables import Prices, prices_of


class Watcher(Protocol):
    """What hears of a job under way."""

    def stage(self, text: str) -> None: ...
    def window(self, found: Scored | None, done: int, wanted: int) -> None: ...


class Silence:
    """Hears, and says nothing."""

    def stage(self, text: str) -> None: ...
    def window(self, found: Scored | None, done: int, wanted: int) -> None: ...


@dataclass(frozen=True)
class Walk:
    """What a job has come to; files are read when they are asked for, one at a time."""

    folder: ScaleFolder
    windows: list[Window]  # all that there are days for, oldest first
    panel: ScalePanel

    @property
    def settings(self) -> ScaleSettings:
        return self.folder.settings

    @property
    def prices(self) -> Prices:
        return self.folder.prices

    def scored(self, series: str = REAL) -> Iterator[Scored]:
        """Finished windows, oldest first."""
        for window in self.windows:
            path = self.folder.scored_path(window, series) if window.whole else None
            if path is not None and path.exists():
                yield Scored.load(path, self.settings)

    def fit(self, window: Window | None = None) -> Fit:
        """The model of a window whose draws were kept, such as the newest."""
        window = window or self.windows[-1]
        try:
            return Fit.load(self.folder.fit_path(window), self.settings)
        except Exception:  # a damaged archive raises whatever its reader stumbles over
            raise AlphaError(
                f"The draws of the window tested from {window.day} on are not in "
                f"{self.folder.path}: run the job again, with keep=0 to keep all."
            ) from None


def walk(
    prices: Any,
    settings: ScaleSettings | None = None,
    folder: str | Path | None = None,
    watcher: Watcher | None = None,
    seconds: float | None = None,
    other_version: bool = False,
) -> Walk:
    """Fit and score every window; `prices` is `Prices` or a data frame, which may have gaps.

    Without a folder, files live as long as the result. Raises `AlphaError` for what cannot be run,
    before anything is written, and OSError when a file cannot be.
    """
    began = time.monotonic()
    settings, watcher = settings or ScaleSettings(), watcher or Silence()
    settings.check()
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise AlphaError(f"seconds must be above 0, or None for no limit, not {seconds}.")
    if not isinstance(prices, Prices):
        prices = prices_of(prices, gaps=True)
    windows = windows_of(prices.days, settings)
    watcher.stage("features of all stocks and days")
    panel = make_panel(prices, settings.horizon)
    place = Path(mkdtemp(prefix="tilewright-") if folder is None else folder)
    job = ScaleFolder(place, prices, settings, other_version)
    found = Walk(job, windows, panel)
    if folder is None:
        weakref.finalize(found, shutil.rmtree, place, ignore_errors=True)
    job.prepare(windows)
    with job.locked():
        job.save_prices()
        work = _Work(job, windows, panel, watcher)
        work.run(None if seconds is None else began + seconds)
    return found


class _Work:
    """A job under way."""

    def __init__(
        self, job: ScaleFolder, windows: list[Window], panel: ScalePanel, watcher: Watcher
    ):
        self.job, self.windows, self.panel, self.watcher = job, windows, panel, watcher
        self.settings = job.settings
        self.targets = {REAL: panel.target}
        whole, count = [w for w in windows if w.whole], self.settings.controls
        self.controls = whole[-count:] if count else []
        self.done = 0
        self.fits = {path.name for path in (job.path / FITS).iterdir()}

    def run(self, deadline: float | None) -> None:
        """Everything that is not there yet, as far as the time goes."""
        pending = [w for w in self.windows if not self._finished(w, REAL)]
        pending += [
            w for s in (PLANTED, SHUFFLED) for w in self.controls if not self._finished(w, s)
        ]
        wanted = len(pending)
        self._drop()
        if not wanted:
            return
        self.watcher.stage("compiling, and the first window")
        for series, window, before in self._in_order():
            if deadline is not None and self.done and time.monotonic() > deadline:
                return
            if self._finished(window, series):
                continue
            found = self._window(series, window, before)
            self.done += 1
            self.watcher.window(found, self.done, wanted)

    def _in_order(self) -> Iterator[tuple[str, Window, Window | None]]:
        """Series, window, and the one before it in its sequence; controls after the newest."""
        sequence = self.settings.sequence
        groups = [list(g) for _, g in groupby(self.windows, lambda w: w.number // sequence)]
        for place, group in enumerate(reversed(groups)):
            for i, window in enumerate(group):
                yield REAL, window, group[i - 1] if i else None
            if not place:
                for window in self.controls:
                    yield PLANTED, window, None
                    yield SHUFFLED, window, None

    def _finished(self, window: Window, series: str) -> bool:
        """Scored, or with test days to come and fitted."""
        path = self.job.scored_path if window.whole else self.job.fit_path
        return path(window, series).exists()

    def _window(self, series: str, window: Window, before: Window | None) -> Scored | None:
        rows = training_rows(self.panel, window, self._target(series))
        path = self.job.fit_path(window, series)
        if path.exists():
            fit = Fit.load(path, self.settings)
        else:
            state = self._state(before) if before else None
            fit = fit_window(self.settings, rows, window, state, series)
            fit.save(path)
            self.fits.add(path.name)
        if not window.whole:
            return None
        found = score_window(self.job, self.panel, window, fit, self._target(series), series)
        found.save(self.job.scored_path(window, series))
        if series != REAL:
            path.unlink(missing_ok=True)
        self._drop()
        return found

    def _target(self, series: str) -> np.ndarray:
        if series not in self.targets:
            make = planted if series == PLANTED else placebo
            self.targets[series] = make(self.panel, self.settings.seed)
        return self.targets[series]

    def _state(self, before: Window) -> State:
        """Where the chains of the window before ended."""
        if before.whole and self.job.scored_path(before).exists():
            return Scored.load(self.job.scored_path(before), self.settings).state
        return Fit.load(self.job.fit_path(before), self.settings).state

    def _drop(self) -> None:
        """Draws that nobody asked to keep, of windows that are scored."""
        keep = self.settings.keep
        for window in self.windows[:-keep] if keep else []:
            path = self.job.fit_path(window)
            if window.whole and path.name in self.fits and self._finished(window, REAL):
                path.unlink(missing_ok=True)
                self.fits.discard(path.name)


def score_window(
    job: ScaleFolder, panel: ScalePanel, window: Window, fit: Fit, target: np.ndarray, series: str
) -> Scored:
    """All models of a window against the outcomes that there are."""
    rows = training_rows(panel, window, target)
    places, X = test_rows(panel, window, rows)
    outcome = target[places[:, 0], places[:, 1]]
    known = np.isfinite(outcome)
    places, X, outcome = places[known], X[known], outcome[known]
    if not len(places):
        raise AlphaError(f"The window tested from {window.day} on has nothing to be tested on.")
    y = target[window.start : window.stop].reshape(-1)
    others = rivals(
        job.prices.values, panel, window, rows, y, places, X,
        market=series == REAL, few=job.settings.rivals == FEW,
    )  # fmt: skip
    unit = panel.unit[places[:, 0], places[:, 1]]
    return scored(series, window.day, fit, X, places, outcome, unit, others)


def open_walk(job: ScaleFolder) -> Walk:
    """What a job in its folder has come to."""
    windows = windows_of(job.prices.days, job.settings)
    job.prepare(windows)
    return Walk(job, windows, make_panel(job.prices, job.settings.horizon))
