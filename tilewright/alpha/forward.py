"""The walk-forward job from prices to scored windows.

In: prices, settings, a folder, a time limit. Out: `Outcome`, from which reports are made. Meanwhile
a `Watcher` hears of every window.

The limit only ever takes windows away, the oldest; a trajectory or a chain is never shortened. How
many there was time for is noted in the folder: run again, the job ends the same.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from tilewright.alpha.check import Check, compare
from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED, planted, shuffled
from tilewright.alpha.cost import gradient_seconds
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import HISTORY, target_and_features
from tilewright.alpha.job import Job
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.peer import Measured, Peer
from tilewright.alpha.program import Panel, Program, Task, in_order, keys_of
from tilewright.alpha.results import Result, result_of
from tilewright.alpha.sample import density_of, example
from tilewright.alpha.settings import Settings
from tilewright.alpha.tables import Prices
from tilewright.alpha.windows import Window, rows_of, training_targets, walk_forward
from tilewright.frozen import frozen

FIRST_LOOK = 6
"""Windows after which it is said whether the time will do for all."""
REPORT_SECONDS = 8.0


@dataclass
class Progress:
    """Where the job is. Rates are leapfrog steps a second on the whole machine."""

    wanted: int
    cores: int
    done: int = 0
    resumed: int = 0
    leapfrogs: float = 0.0
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    jax_rate: float = 0.0

    @property
    def rate(self) -> float:
        return self.leapfrogs / self.seconds if self.seconds else 0.0


class Watcher(Protocol):
    """What hears of a job under way."""

    def stage(self, text: str) -> None: ...
    def outlook(self, ask: Callable[[], float]) -> None:
        """May ask how many seconds all will take, which costs one."""

    def progress(self, progress: Progress) -> None: ...
    def window(self, result: Result, progress: Progress) -> None: ...
    def fewer(self, windows: int, planned: int) -> None: ...


@frozen
class Outcome:
    """All results, by (series, index), and what was settled and measured on the way."""

    prices: Prices
    settings: Settings
    results: dict[tuple[str, int], Result]
    windows: int
    planned: int
    notes: dict[str, Any]

    def series(self, name: str) -> list[Result]:
        """Newest window first."""
        found = [result for key, result in self.results.items() if key[0] == name]
        return sorted(found, key=lambda result: -result.test)


def make_panel(prices: Prices, seed: int) -> Panel:
    """Features, real targets and the two controls."""
    target, features = target_and_features(prices.values)
    wrong = ~np.isfinite(features[HISTORY:]).all(axis=(0, 2))
    if wrong.any():
        name = prices.names[int(wrong.argmax())]
        raise AlphaError(f"Column {name!r} does not change for months: features need movement.")
    targets = {
        REAL: target,
        PLANTED: planted(features, target, seed),
        SHUFFLED: shuffled(target, seed),
    }
    return Panel(features, targets)


def walk(
    job: Job,
    prices: Prices,
    settings: Settings,
    watcher: Watcher,
    seconds: float | None = None,
    peer: bool = True,
    panel: Panel | None = None,
) -> Outcome:
    """Run what is not finished; `seconds` is the limit for everything, from now.

    `panel` is that of `make_panel`, if it is at hand. Raises `AlphaError` for unusable data, and
    OSError when the folder cannot be written.
    """
    settings.check()
    if seconds is not None and not math.isfinite(seconds):
        raise AlphaError(f"seconds must be finite, or None for no limit, not {seconds}.")
    began = time.monotonic()
    watcher.stage("features of all stocks and days")
    windows = walk_forward(prices.days, settings.windows, settings.anchor)
    panel = panel or make_panel(prices, settings.seed)
    work = _Work(job, settings, panel, windows, *_settled(job, len(windows), seconds), watcher)
    if work.pending():
        work.run(None if seconds is None else began + seconds - REPORT_SECONDS, peer)
    wanted = {(s, w.number) for s, w in work.order if work.wanted(s, w)}
    results = {key: result for key, result in work.results.items() if key in wanted}
    return Outcome(prices, settings, results, work.limit, len(windows), job.notes())


def _settled(job: Job, planned: int, seconds: float | None) -> tuple[int, Set[tuple[str, int]]]:
    """How many windows, and which of the controls to leave out.

    All and none, or what an earlier run of the same command had time for.
    """
    asked, notes = {"windows": planned, "seconds": seconds}, job.notes()
    if notes.get("asked") == asked:
        left_out = {(series, index) for series, index in notes.get("left_out", ())}
        return min(int(notes.get("windows", planned)), planned), left_out
    job.note(asked=asked, windows=planned, left_out=[])
    return planned, frozenset()


class _Work:
    """A job under way."""

    def __init__(
        self,
        job: Job,
        settings: Settings,
        panel: Panel,
        windows: list[Window],
        limit: int,
        left_out: Set[tuple[str, int]],
        watcher: Watcher,
    ):
        from tilewright.machine.cpu import cpu_limit

        self.job, self.settings, self.panel, self.watcher = job, settings, panel, watcher
        self.order, self.limit, self.planned = in_order(settings, windows), limit, len(windows)
        self.left_out = left_out
        self.results, self.over = job.finished(), False
        self.cores = cpu_limit()
        self.degrees: dict[tuple[str, int], float] = {}

    def pending(self) -> list[tuple[str, Window]]:
        """Windows to do, in order."""
        if self.over:
            return []
        return [
            (series, window)
            for series, window in self.order
            if (series, window.number) not in self.results and self.wanted(series, window)
        ]

    def wanted(self, series: str, window: Window) -> bool:
        """Whether there is time for a window."""
        if series == REAL:
            return window.index < self.limit
        return (series, window.number) not in self.left_out

    def run(self, deadline: float | None, with_peer: bool) -> None:
        pending = self.pending()
        series, window = pending[0]
        compared = with_peer and (series, window.index) == (REAL, 0)
        peer = None
        if compared:
            with suppress(OSError):  # no room for its files: the job does without
                peer = self._peer()
        try:
            self.watcher.stage("compiling" + (", and measuring JAX on one window" * compared))
            count = len(self.order) * self.settings.chains
            program = Program(self.settings, self.panel, count)
            import arviz  # noqa: F401  slow, and better now than at the first result

            measured = peer.wait() if peer else None
        except BaseException:
            if peer:
                peer.stop()
            raise
        if measured:
            rate = measured.rate * self.cores
            self.job.note(jax_rate=rate, jax_order=measured.order)
        self._sample(program, pending, deadline, measured)

    def _peer(self) -> Peer:
        import jax

        from tilewright.machine.cpu import allowed_cpus

        task = self._task(REAL, self.order[0][1], 0)
        X, y, X_test, _ = rows_of(task.window, self.panel.features, self.panel.targets[REAL])
        key = np.asarray(jax.random.key_data(keys_of(self.settings.seed, [task])[0]))
        window = {"X": X, "y": y, "X_test": X_test, "df": np.asarray(task.df)}
        arrays = {name: array.astype(np.float32) for name, array in window.items()}
        return Peer(self.settings.sampler, max(allowed_cpus()), key=key, **arrays)

    def _task(self, series: str, window: Window, chain: int) -> Task:
        key = series, window.number
        if key not in self.degrees:
            y = training_targets(window, self.panel.targets[series])
            self.degrees[key] = fit_degrees(y)
        return Task(series, window, chain, self.degrees[key])

    def _sample(
        self,
        program: Program,
        pending: list[tuple[str, Window]],
        deadline: float | None,
        measured: Measured | None,
    ) -> None:
        tasks = [
            self._task(series, window, chain)
            for series, window in pending
            for chain in range(self.settings.chains)
        ]
        chains: dict[tuple[str, int], dict[int, Any]] = defaultdict(dict)
        progress = Progress(len(pending), self.cores, resumed=len(self.results))
        before = self.job.notes()
        progress.jax_rate = float(before.get("jax_rate", 0.0))
        self.watcher.outlook(lambda: self._seconds(tasks))
        self.watcher.progress(progress)
        stream = program.stream(tasks)
        for task, draws in stream:
            progress.leapfrogs += float(draws.leapfrogs)
            progress.seconds = time.monotonic() - progress.started
            if measured and (task.series, task.window.index, task.chain) == (REAL, 0, 0):
                self._note_check(compare(draws, measured))
            key = task.series, task.window.number
            chains[key][task.chain] = draws
            if len(chains[key]) == self.settings.chains:
                self._finish(task, chains.pop(key), progress, before)
                self._look_at_clock(deadline, progress)
            if not self.pending():
                stream.close()
                break

    def _seconds(self, tasks: list[Task]) -> float:
        """What all of them will take, by the time of one gradient."""
        sampler, first = self.settings.sampler, tasks[0]
        X, y, _, _ = rows_of(first.window, self.panel.features, self.panel.targets[first.series])
        data = (X.astype(np.float32), y.astype(np.float32), np.float32(first.df))
        one = gradient_seconds(
            density_of(sampler.precision), example(X.shape[1], sampler.hidden), data,
            self.settings.machine,
        )  # fmt: skip
        gradients = len(tasks) * (sampler.warmup + sampler.draws) * sampler.leapfrogs
        return gradients * one / self.cores

    def _finish(
        self, task: Task, chains: dict[int, Any], progress: Progress, before: dict[str, Any]
    ) -> None:
        result = result_of(
            task.series,
            task.window,
            [chains[i] for i in range(self.settings.chains)],
            self.panel.features,
            self.panel.targets[task.series],
            task.df,
        )
        self.job.save(result)
        self.results[result.series, result.index] = result
        progress.done += 1
        self._note_speed(before, progress)
        self.watcher.window(result, progress)

    def _look_at_clock(self, deadline: float | None, progress: Progress) -> None:
        """Say when the rest would end too late; end when the time is over."""
        if deadline is None:
            return
        pending, now = self.pending(), time.monotonic()
        real = sorted(window.index for series, window in pending if series == REAL)
        if now >= deadline and (REAL, self.order[0][1].number) in self.results:
            self.over = True
            self.limit = real[0] if real else self.limit
            self.left_out = {(series, w.number) for series, w in pending if series != REAL}
            self.job.note(windows=self.limit, left_out=sorted(self.left_out))
            return
        pace = (now - progress.started) / progress.done
        possible = min(len(pending), int((deadline - now) / pace))
        progress.wanted = progress.done + possible
        if possible < len(pending) and progress.done == FIRST_LOOK:
            self.watcher.fewer(self.limit - (len(pending) - possible), self.planned)

    def _note_speed(self, before: dict[str, Any], progress: Progress) -> None:
        """The speed of all windows that were timed on as many cores, in earlier runs, too."""
        same = before.get("cores") == self.cores
        leapfrogs, seconds, measured = (
            now + (before.get(name, 0) if same else 0)
            for name, now in (
                ("leapfrogs", progress.leapfrogs),
                ("seconds", progress.seconds),
                ("measured", progress.done),
            )
        )
        self.job.note(
            cores=self.cores,
            leapfrogs=leapfrogs,
            seconds=seconds,
            measured=measured,
            rate=leapfrogs / seconds,
        )

    def _note_check(self, check: Check) -> None:
        self.job.note(check={**asdict(check), "passed": check.passed, "text": check.sentence()})
