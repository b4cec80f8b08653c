"""Walking forward with nets that read sequences: from prices to scored windows.

In: prices and settings; if wanted a folder, a time limit, and a `Watcher` that hears of every
window. Out: a `ForwardWalk`. Windows and seeds are fitted side by side, each with a scaler of its
own; a fit that was killed goes on from its checkpoint in the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tilewright.alpha.controls import REAL, SHUFFLED
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.scale.level import here
from tilewright.alpha.walking.folder import UNDER_WAY, JobFolder
from tilewright.alpha.walking.shuffle import shuffled_days
from tilewright.alpha.walking.walk import AnyWalk, Silence, Watcher, asked, begun, place_of
from tilewright.alpha.walking.windows import Window
from tilewright.doubts import expected
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.forward.extra import extra_rivals
from tilewright.sequence.forward.panel import ForwardPanel, make_forward_panel
from tilewright.sequence.forward.rivals import Rivals
from tilewright.sequence.forward.scored import Scored, scored
from tilewright.sequence.forward.settings import ALL, ForwardSettings
from tilewright.sequence.forward.work import Pair, Work
from tilewright.sequence.regressor import LSTMRegressor
from tilewright.sequence.together import fit_together

NET, WARM = "LSTM", "LSTM, warm start"
TOGETHER = 3
"""Windows that are fitted in one call: enough to keep all cores busy, few enough for memory."""
CHECKPOINT_SECONDS = 20.0


class ForwardFolder(JobFolder):
    """An open folder (`walking.folder`)."""

    whose, mark, suffix = "sequence nets", "steps_back", ".safetensors"
    settings: ForwardSettings

    @classmethod
    def settings_from(cls, found: dict[str, Any]) -> ForwardSettings:
        try:
            settings = ForwardSettings(**found)
        except TypeError as error:
            name = str(error).rpartition(" ")[2].strip("'")
            raise AlphaError(f"There is no setting {name!r} of sequence nets.") from None
        settings.check()
        return settings

    def warm_path(self, window: Window) -> Path:
        """Where nets of a window are that went on from those of the window before."""
        path = self.fit_path(window)
        return path.with_name(f"warm-{path.name}")


class ForwardMethod:
    """A `work.Method`."""

    together = TOGETHER
    controls: Sequence[str] = (SHUFFLED,)

    def __init__(self, job: ForwardFolder, panel: ForwardPanel):
        self.job, self.panel, self.settings = job, panel, job.settings
        self.chained = job.settings.warm
        self.targets = {REAL: panel.target}
        self.others: dict[str, Rivals] = {}

    def fit(self, series: str, windows: Sequence[Pair]) -> None:
        models = [self._model(window, series) for window, _ in windows]
        self._fit(models, [self._rows(window, series) for window, _ in windows])
        for model, (window, _) in zip(models, windows, strict=True):
            if series == REAL and self.settings.warm:
                self._fit_warm(window, next(b for w, b in windows if w is window))
            model.save(self.job.fit_path(window, series))

    def _fit_warm(self, window: Window, before: Window | None) -> None:
        """From the nets of the window before on; without one there are none to go on from."""
        if before is None:
            return
        path = self.job.warm_path(before)
        path = path if path.exists() else self.job.fit_path(before)
        model = LSTMRegressor.load(path).set_params(
            warm_start=True, random_state=self._seed(window, REAL)
        )
        self._fit([model], [self._rows(window, REAL)])
        model.save(self.job.warm_path(window))

    def _fit(self, models: list[LSTMRegressor], rows: list[Any]) -> None:
        """Side by side, going on from a checkpoint if there is one of just this."""
        place = self.job.path / UNDER_WAY
        try:
            with expected():
                fit_together(models, rows, place, CHECKPOINT_SECONDS)
        except ArgumentError:
            if not place.exists():
                raise
            place.unlink()  # of another window, or of fits that were done with
            with expected():
                fit_together(models, rows, place, CHECKPOINT_SECONDS)
        place.unlink(missing_ok=True)

    def score(self, series: str, window: Window) -> Scored:
        with threadpool_limits(1, user_api="blas"):  # how a sum is parted depends on threads
            return self._score(series, window)

    def _score(self, series: str, window: Window) -> Scored:
        places = self.panel.places(window.test, window.end)
        outcome = self._target(series)[places[:, 0], places[:, 1]]
        known = np.isfinite(outcome)
        if not known.any():
            raise AlphaError(f"The window tested from {window.day} on has nothing to be tested on.")
        model = LSTMRegressor.load(self.job.fit_path(window, series))
        forecasts: dict[str, Any] = {NET: self._said(model, window, known)}
        if series == REAL and self.settings.warm:
            path = self.job.warm_path(window)
            warm = LSTMRegressor.load(path) if path.exists() else model
            forecasts[WARM] = self._said(warm, window, known)
        places, outcome = places[known], outcome[known]
        if series not in self.others:
            self.others[series] = Rivals(self.panel, self._target(series))
        forecasts |= self.others[series].forecasts(window, places)
        if self.settings.rivals == ALL and series == REAL:
            forecasts |= extra_rivals(self.job.prices.values, self.panel, window, places)
        unit = self.panel.unit[places[:, 0], places[:, 1]]
        return scored(
            self.settings.target, series, window.day, places, outcome, unit, forecasts,
            model.best_step_, model.failure_, int(model.retreats_.sum()),
        )  # fmt: skip

    def _said(self, model: LSTMRegressor, window: Window, known: np.ndarray) -> Mixture:
        """Of the test rows that are known; nets have read what the window has of their past."""
        rows = self.panel.rows(window.start, window.end)
        with expected():
            found = model.predict_distribution(rows)
        tested = np.flatnonzero(self.panel.places(window.start, window.end)[:, 0] >= window.test)
        mine = tested[known]
        return Mixture(found.location[:, mine], found.scale[:, mine], found.df)

    def _rows(self, window: Window, series: str) -> Any:
        return self.panel.rows(window.start, window.stop, self._target(series))

    def _model(self, window: Window, series: str) -> LSTMRegressor:
        s = self.settings
        return LSTMRegressor(
            cell=s.cell, hidden=s.hidden, steps_back=s.steps_back, warm_up=s.warm_up, seeds=s.seeds,
            epochs=s.epochs, batch_size=s.batch_size, learning_rate=s.learning_rate,
            validation=s.validation, patience=s.patience, horizon=s.horizon, machine=s.machine,
            random_state=self._seed(window, series),
        )  # fmt: skip

    def _seed(self, window: Window, series: str) -> int:
        """Of a window: neither the order of the work nor what was done before changes a bit."""
        text = f"{self.settings.seed} {series} {window.day}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def _target(self, series: str) -> np.ndarray:
        if series not in self.targets:
            self.targets[series] = shuffled_days(
                self.panel.target, self.panel.there, self.settings.seed
            )
        return self.targets[series]


@frozen
class ForwardWalk(AnyWalk):
    """What a job of sequence nets has come to."""

    folder: ForwardFolder

    def load(self, path: Path) -> Scored:
        """A finished window."""
        return Scored.load(path)

    def model(self, window: Window | None = None) -> LSTMRegressor:
        """The nets of a window, such as the newest."""
        return LSTMRegressor.load(self.folder.fit_path(window or self.windows[-1]))


def walk_forward(
    prices: Any,
    settings: ForwardSettings | None = None,
    folder: str | Path | None = None,
    watcher: Watcher | None = None,
    seconds: float | None = None,
    other_version: bool = False,
) -> ForwardWalk:
    """Fit and score every window; `prices` is `Prices` or a data frame, which may have gaps.

    Without a folder, files live as long as the result. Raises `AlphaError` for what cannot be run,
    before anything is written, and OSError when a file cannot be.
    """
    settings, watcher = settings or ForwardSettings(), watcher or Silence()
    prices, windows, deadline = asked(prices, settings, seconds)
    watcher.stage("inputs of all stocks and days")
    panel = make_forward_panel(prices, settings.target)
    job = ForwardFolder(place_of(folder), prices, settings, other_version)
    found = ForwardWalk(job, windows)
    with begun(found, here(), lasting=folder is not None):
        Work(found, ForwardMethod(job, panel), watcher).run(deadline)
    return found
