"""What is done when: sequences of windows beside each other, each in its own order.

In: a job in its folder, its windows, a crew. Out: files of windows, as they are finished. Within a
sequence, chains of a window go on from where those of the window before ended; sequences know
nothing of each other. So every file is the same whoever works, and whatever was killed meanwhile.

Newest sequences come first, so that a limit takes the oldest windows away; never is a chain
shortened. What is held in memory are the windows under way.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.scale.crew import Crew
from tilewright.alpha.scale.estimate import Estimate, estimate
from tilewright.alpha.scale.fit import Fit, State
from tilewright.alpha.scale.folder import ScaleFolder
from tilewright.alpha.scale.material import ChainTask, Material, ScoreTask, Task
from tilewright.alpha.scale.program import Part, cold_chains, fit_of, of_chain
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.walking.folder import FITS
from tilewright.alpha.walking.walk import Watcher
from tilewright.alpha.walking.windows import Window


@dataclass
class _Fitting:
    """A window whose chains are under way."""

    place: int  # of its sequence
    state: State | None
    parts: dict[int, Part] = field(default_factory=dict)


class Schedule:
    """A job under way."""

    def __init__(self, job: ScaleFolder, windows: list[Window], crew: Crew, watcher: Watcher):
        self.job, self.windows, self.settings = job, windows, job.settings
        self.crew, self.watcher = crew, watcher
        keep = self.settings.keep
        self.droppable = {w.number for w in windows[:-keep] if w.whole} if keep else set()
        self.fits = {path.name for path in (job.path / FITS).iterdir()}
        self.lines = [deque(line) for line in self._lines()]
        self.wanted = sum(len(line) for line in self.lines)
        self.done = 0
        self.ready: list[tuple[tuple[int, ...], ChainTask]] = []
        self.scores: deque[ScoreTask] = deque()
        self.fitting: dict[tuple[str, int], _Fitting] = {}
        self.under_way: dict[Any, Task] = {}

    def run(self, deadline: float | None) -> None:
        """Everything that is not there yet, as far as the time goes."""
        for window in self.windows:
            self._drop(window)
        if not self.wanted:
            return
        self.watcher.stage("compiling, and the first windows")
        for place in range(len(self.lines)):
            self._open(place)
        while True:
            self._hand_out(deadline)
            if not self.under_way:
                return
            for handle, found in self.crew.wait(list(self.under_way)):
                task = self.under_way.pop(handle)
                if isinstance(task, ScoreTask):
                    self._keep_scores(task, found)
                else:
                    self._keep_chain(task, found)

    def estimate(self, material: Material) -> Estimate | None:
        """How long `run` will take; None when there is nothing to do."""
        if not self.wanted:
            return None
        cold = [
            cold_chains(self.settings, before is None)
            for line in self.lines
            for series, window, before in line
            if not self.job.fit_path(window, series).exists()
        ]
        starts = np.concatenate([np.empty(0, np.bool_), *cold])
        series, window, _ = self.lines[0][0]
        return estimate(
            self.settings, material.rows(window, series), self.wanted,
            int(starts.sum()), int((~starts).sum()), max(self.crew.room() // 2, 1),
        )  # fmt: skip

    # Which

    def _lines(self) -> list[list[tuple[str, Window, Window | None]]]:
        """What is not finished: series, window, and the one before it in its sequence.

        A line is done in its order. Controls come after the newest sequence.
        """
        whole, count = [w for w in self.windows if w.whole], self.settings.controls
        lines = [[(s, w, None)] for w in (whole[-count:] if count else ())
                 for s in (PLANTED, SHUFFLED)]  # fmt: skip
        groups = [
            list(group)
            for _, group in groupby(self.windows, lambda w: w.number // self.settings.sequence)
        ]
        sequences = [
            [(REAL, window, group[i - 1] if i else None) for i, window in enumerate(group)]
            for group in reversed(groups)
        ]
        found = [*sequences[:1], *lines, *sequences[1:]]
        found = [[one for one in line if not self._finished(one[1], one[0])] for line in found]
        return [line for line in found if line]

    def _finished(self, window: Window, series: str) -> bool:
        """Scored, or with test days to come and fitted."""
        path = self.job.scored_path if window.whole else self.job.fit_path
        return path(window, series).exists()

    def _open(self, place: int) -> None:
        """Make the next window of a line ready."""
        while self.lines[place]:
            series, window, before = self.lines[place].popleft()
            path = self.job.fit_path(window, series)
            if not path.exists():
                state = self._state(before) if before else None
                self._make_ready(place, series, window, state)
                return
            self.scores.append(ScoreTask(series, window, Fit.load(path, self.settings)))

    def _make_ready(self, place: int, series: str, window: Window, state: State | None) -> None:
        """Its chains, the cold ones first: one costs as much as several others."""
        self.fitting[series, window.number] = _Fitting(place, state)
        for chain in range(self.settings.chains):
            own = of_chain(self.settings, state, chain)
            order = place, window.number, own is not None, chain
            heapq.heappush(self.ready, (order, ChainTask(series, window, chain, own)))

    def _state(self, before: Window) -> State:
        """Where the chains of the window before ended."""
        if before.whole and self.job.scored_path(before).exists():
            return Scored.load(self.job.scored_path(before), self.settings).state
        return Fit.load(self.job.fit_path(before), self.settings).state

    # When

    def _hand_out(self, deadline: float | None) -> None:
        """Give the crew as much as it has room for; begin no window when the time is over."""
        while len(self.under_way) < self.crew.room():
            if self.scores:
                task: Task = self.scores.popleft()
            elif self.ready:
                task = heapq.heappop(self.ready)[1]
                over = deadline is not None and time.monotonic() > deadline
                if over and self._may_be_left(task):
                    continue
            else:
                return
            self.under_way[self.crew.start(task)] = task

    def _may_be_left(self, task: ChainTask) -> bool:
        """No chain of the window has begun; but the first window of all is always done."""
        begun = {(t.series, t.window.number) for t in self.under_way.values()}
        key = task.series, task.window.number
        return bool(self.done or begun) and key not in begun and not self.fitting[key].parts

    # What came of it

    def _keep_chain(self, task: ChainTask, found: Part) -> None:
        """When all chains of the window are there, the window is fitted, and the next ready."""
        key = task.series, task.window.number
        fitting = self.fitting[key]
        fitting.parts[task.chain] = found
        if len(fitting.parts) < self.settings.chains:
            return
        del self.fitting[key]
        parts = [fitting.parts[chain] for chain in range(self.settings.chains)]
        fit = fit_of(self.settings, parts, fitting.state)
        path = self.job.fit_path(task.window, task.series)
        fit.save(path)
        self.fits.add(path.name)
        if task.window.whole:
            self.scores.append(ScoreTask(task.series, task.window, fit))
        else:
            self._tell(None)
        self._open(fitting.place)

    def _keep_scores(self, task: ScoreTask, found: Scored) -> None:
        found.save(self.job.scored_path(task.window, task.series))
        if task.series == REAL:
            self._drop(task.window)
        else:
            self.job.fit_path(task.window, task.series).unlink(missing_ok=True)
        self._tell(found)

    def _tell(self, found: Scored | None) -> None:
        self.done += 1
        self.watcher.window(found, self.done, self.wanted)

    def _drop(self, window: Window) -> None:
        """Its draws, if nobody asked to keep them and it is scored."""
        path = self.job.fit_path(window)
        old = window.number in self.droppable and path.name in self.fits
        if old and self._finished(window, REAL):
            path.unlink(missing_ok=True)
            self.fits.discard(path.name)
