"""The work of a job: windows that are not there yet are fitted side by side, and scored.

In: a walk in its folder, and what fits and scores its windows. Out: files in the folder. Run again,
with more days or fewer, only what is new is done; killed at any instant, it goes on.

Newest windows come first, so that a time limit takes the oldest away; never is a fit shortened. In
memory is what is fitted together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from tilewright.alpha.controls import REAL
from tilewright.alpha.walking.walk import AnyWalk, Watcher
from tilewright.alpha.walking.windows import Window

Pair = tuple[Window, Window | None]
"""A window, and the one before it in its sequence."""


class Method(Protocol):
    """What is fitted to a window, and how that is scored."""

    together: int  # windows that are fitted in one call, at most
    chained: bool  # whether a window needs the one before it in its sequence
    controls: Sequence[str]  # series that are run beside the real one, on the newest windows

    def fit(self, series: str, windows: Sequence[Pair]) -> None:
        """Fit windows, and write the model of each to its `fit_path`."""
        ...

    def score(self, series: str, window: Window) -> Any:
        """The model's forecasts against what came, to be written by its `save(path)`."""
        ...


class Work:
    """A job under way."""

    def __init__(self, walk: AnyWalk, method: Method, watcher: Watcher):
        self.job, self.windows, self.method = walk.folder, walk.windows, method
        self.watcher = watcher
        whole, count = [w for w in self.windows if w.whole], walk.settings.controls
        self.controls = whole[-count:] if count else []
        self.done = 0

    def run(self, deadline: float | None) -> None:
        """Everything that is not there yet, as far as the time goes."""
        self._clear()
        units = [
            (series, pair)
            for series, pair in self._in_order()
            if not self._finished(pair[0], series)
        ]
        if not units:
            return
        self.watcher.stage("compiling, and the first windows")
        for series, batch in self._batches(units):
            if deadline is not None and self.done and time.monotonic() > deadline:
                return
            new = [pair for pair in batch if not self.job.fit_path(pair[0], series).exists()]
            if new:
                self.method.fit(series, new)
            for window, _ in batch:
                found = self._scored(series, window)
                self.done += 1
                self.watcher.window(found, self.done, len(units))

    def _clear(self) -> None:
        """Take away models of controls that a job was killed before it could: nobody asks them."""
        for series, (window, _) in self._in_order():
            if series != REAL and self._finished(window, series):
                self.job.fit_path(window, series).unlink(missing_ok=True)

    def _in_order(self) -> Iterator[tuple[str, Pair]]:
        """Series, window, and the one before it in its sequence; controls after the newest."""
        sequence = self.job.settings.sequence if self.method.chained else 1
        groups = [list(g) for _, g in groupby(self.windows, lambda w: w.number // sequence)]
        real = [
            (REAL, (window, group[i - 1] if i else None))
            for group in reversed(groups)
            for i, window in enumerate(group)
        ]
        newest = max(self.method.together, len(groups[-1]))
        yield from real[:newest]
        for series in self.method.controls:
            yield from ((series, (window, None)) for window in self.controls)
        yield from real[newest:]

    def _batches(self, units: Sequence[tuple[str, Pair]]) -> Iterator[tuple[str, list[Pair]]]:
        """Parts that can be fitted in one call."""
        batch: list[Pair] = []
        mine = ""
        for series, pair in units:
            follows = self.method.chained and pair[1] in [window for window, _ in batch]
            if batch and (series != mine or follows or len(batch) == self.method.together):
                yield mine, batch
                batch = []
            mine = series
            batch.append(pair)
        if batch:
            yield mine, batch

    def _finished(self, window: Window, series: str) -> bool:
        """Scored, or with test days to come and fitted."""
        path = self.job.scored_path if window.whole else self.job.fit_path
        return path(window, series).exists()

    def _scored(self, series: str, window: Window) -> Any:
        """None for a window that is still open."""
        if not window.whole:
            return None
        found = self.method.score(series, window)
        found.save(self.job.scored_path(window, series))
        if series != REAL:
            self.job.fit_path(window, series).unlink(missing_ok=True)
        return found
