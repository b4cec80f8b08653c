"""What the work of a job is done with: its settings, prices and panel; and the two kinds of work.

In: a `Material`, the same for all, and a `ChainTask` or a `ScoreTask`. Out: a `Part`, one chain of
a window, or `Scored` of the window. Both are pure functions, so that it matters neither where
they run nor how often. Libraries of linear algebra are kept to one thread: how they part a sum
depends on how many they have.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tilewright.alpha.controls import PLANTED, REAL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.controls import placebo, planted
from tilewright.alpha.scale.fit import Fit, State
from tilewright.alpha.scale.panel import Rows, ScalePanel, make_panel, test_rows, training_rows
from tilewright.alpha.scale.program import Part, begin_chain
from tilewright.alpha.scale.rivals import rivals
from tilewright.alpha.scale.scored import Scored, scored
from tilewright.alpha.scale.settings import FEW, ScaleSettings
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import Window
from tilewright.frozen import frozen

KEPT = 4
"""Windows whose rows are kept: the chains of one come after each other."""


@frozen(eq=False)
class ChainTask:
    """One chain of a window; cold without a state, which is that of this chain alone."""

    series: str
    window: Window
    chain: int
    state: State | None


@frozen(eq=False)
class ScoreTask:
    """All models of a window against the outcomes that there are."""

    series: str
    window: Window
    fit: Fit


Task = ChainTask | ScoreTask


class Material:
    """The panel of a table, and rows of windows as they are asked for."""

    def __init__(self, settings: ScaleSettings, prices: Prices, panel: ScalePanel):
        self.settings, self.prices, self.panel = settings, prices, panel
        self._targets: dict[str, np.ndarray] = {REAL: panel.target}
        self._rows: OrderedDict[tuple[str, int], Rows] = OrderedDict()

    def target(self, series: str) -> np.ndarray:
        """(days, stocks), of the data or of a control."""
        if series not in self._targets:
            make = planted if series == PLANTED else placebo
            with threadpool_limits(1):
                self._targets[series] = make(self.panel, self.settings.seed)
        return self._targets[series]

    def rows(self, window: Window, series: str) -> Rows:
        """What a window is trained on; raises `AlphaError` where that is too little."""
        key = series, window.number
        if key not in self._rows:
            self._rows[key] = training_rows(self.panel, window, self.target(series))
            while len(self._rows) > KEPT:
                self._rows.popitem(last=False)
        return self._rows[key]

    def chain(self, task: ChainTask) -> Part:
        """The chain; raises `AlphaError` where there are too few rows."""
        rows = self.rows(task.window, task.series)
        return Part(self.begin(task, rows).result(), rows.centre, rows.spread)

    def begin(self, task: ChainTask, rows: Rows) -> Any:
        """A `Run` of it, whose result is `Chained`."""
        window, series = task.window, task.series
        return begin_chain(self.settings, rows, window, series, task.chain, task.state)

    def score(self, task: ScoreTask) -> Scored:
        """Raises `AlphaError` for a window without an outcome."""
        with threadpool_limits(1):
            return self._score(task.window, task.fit, task.series)

    def _score(self, window: Window, fit: Fit, series: str) -> Scored:
        panel, target, rows = self.panel, self.target(series), self.rows(window, series)
        places, X = test_rows(panel, window, rows)
        outcome = target[places[:, 0], places[:, 1]]
        known = np.isfinite(outcome)
        places, X, outcome = places[known], X[known], outcome[known]
        if not len(places):
            raise AlphaError(f"The window tested from {window.day} on has nothing to be tested on.")
        y = target[window.start : window.stop].reshape(-1)
        others = rivals(
            self.prices.values, panel, window, rows, y, places, X,
            market=series == REAL, few=self.settings.rivals == FEW,
        )  # fmt: skip
        unit = panel.unit[places[:, 0], places[:, 1]]
        return scored(series, window.day, fit, X, places, outcome, unit, others)


def material_of(settings: ScaleSettings, prices: Prices) -> Material:
    """Everything that tasks share; raises `AlphaError` for a table without enough prices."""
    with threadpool_limits(1):
        return Material(settings, prices, make_panel(prices, settings.horizon))
