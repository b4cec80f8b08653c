"""How long a job of the scale net will take, before it begins.

In: its settings, how many chains start cold and how many warm, rows of a window. Out: `Estimate`.
The gradient of just these rows is timed; how many there will be is known at most
(`ScaleChain.most_gradients`), and as a rule by the steps of trajectories that windows of returns
lead to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tilewright.alpha.cost import gradient_seconds, in_words
from tilewright.alpha.scale.fit import example, form_of
from tilewright.alpha.scale.panel import Rows
from tilewright.alpha.scale.settings import ALL, ScaleChain, ScaleSettings
from tilewright.frozen import frozen
from tilewright.models.bnn import Form

WARM_UP_STEPS, COLD_STEPS, WARM_STEPS = 58, 35, 15
"""Of a trajectory, as a rule: while a cold chain adapts, when it draws, and of a warm one."""
SCORING, RIVALS = 1.0, 10.0
"""Seconds a window: to score the net and the quick rivals, and those of all rivals besides."""


@frozen
class Estimate:
    """Of what is not finished yet."""

    windows: int
    gradients: float  # as a rule
    gradient: float  # seconds
    scoring: float  # seconds a window, by one thread
    hands: int  # chains that run at once

    @property
    def seconds(self) -> float:
        return self.gradients * self.gradient / self.hands + self.windows * self.scoring

    @property
    def _how_many(self) -> str:
        if self.gradients < 1e5:
            return f"{round(self.gradients):,}"
        return f"{self.gradients / 1e6:,.1f} million"

    def sentence(self) -> str:
        return (
            f"{self.windows} windows will take about {in_words(self.seconds)}: some "
            f"{self._how_many} gradients of {1e3 * self.gradient:.3g} ms, "
            f"{self.hands} chains at once"
        )


def estimate(
    settings: ScaleSettings, rows: Rows, windows: int, cold: int, warm: int, hands: int
) -> Estimate:
    """Of so many windows, with so many cold and warm chains in all."""
    chain = settings.chain
    gradients = cold * usual_gradients(chain, True) + warm * usual_gradients(chain, False)
    seconds = gradient_seconds(
        _density(form_of(settings)), example(settings), (rows.X, rows.y, rows.weight),
        settings.machine,
    )  # fmt: skip
    scoring = SCORING + (RIVALS if settings.rivals == ALL else 0.0)
    return Estimate(windows, gradients, seconds, scoring, hands)


def usual_gradients(chain: ScaleChain, cold: bool) -> int:
    """Of a chain, as a rule."""
    most = 2**chain.doublings - 1
    first, steps = (min(most, WARM_UP_STEPS), min(most, COLD_STEPS))
    if not cold:
        first = steps = min(most, WARM_STEPS)
    opening = chain.climb + chain.warmup * first if cold else chain.rewarm * first
    return opening + chain.draws * chain.thin * steps


@lru_cache(maxsize=4)
def _density(form: Form) -> Any:
    """Always the same function for a form."""
    from tilewright.alpha.scale.chain import posterior_of

    return lambda X, y, weight: posterior_of(form, X, y, weight)[0]
