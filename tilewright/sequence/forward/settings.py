"""What a job of sequence nets is: everything that its numbers depend on, beside the data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.settings import check_run, choice, whole
from tilewright.alpha.walking.windows import check_first
from tilewright.frozen import frozen
from tilewright.models.recurrent import GATES

DENSITY, VOLATILITY = TARGETS = ("density", "volatility")
HORIZONS = {DENSITY: 1, VOLATILITY: 5}
"""Days until a target is known."""
ALL, FEW = RIVALS = ("all", "few")


@frozen
class ForwardSettings:
    """Windows of `train` days and `test` days; nets are trained anew in each.

    `target` is "density", of the next day's return, or "volatility", the log of the root mean
    square return of the next five days. `first` is the earliest first test day (ISO), else the
    first that can be. Of each window `seeds` nets are trained, stopped by the last `validation` of
    its days. `warm`: nets that go on from those of the window before are trained as well, and
    scored beside (in sequences of `sequence` windows). `controls` windows are run once more on days
    in random order. `rivals` are "all", or "few": without GARCH-t and the Bayesian net.
    """

    target: str = DENSITY
    train: int = 3000
    test: int = 504
    first: str | None = None
    cell: str = "lstm"
    hidden: int = 32
    seeds: int = 5
    epochs: int = 30
    patience: int = 5
    learning_rate: float = 1e-3
    batch_size: int = 64
    steps_back: int = 64
    warm_up: int = 64
    validation: float = 0.15
    warm: bool = False
    sequence: int = 8
    controls: int = 0
    rivals: str = FEW
    seed: int = 0
    machine: str = "native"

    @property
    def horizon(self) -> int:
        """Days until a target is known."""
        return HORIZONS[self.target]

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        choice("target", self.target, TARGETS)
        choice("rivals", self.rivals, RIVALS)
        choice("cell", self.cell, tuple(GATES))
        for name, least in (
            ("train", 60), ("test", 1), ("hidden", 1), ("seeds", 1), ("epochs", 1), ("patience", 1),
            ("batch_size", 1), ("steps_back", 1), ("warm_up", 0), ("sequence", 1), ("controls", 0),
        ):  # fmt: skip
            whole(name, getattr(self, name), least)
        check_run(2, self.seed, self.machine)
        for name, high in (("learning_rate", 1.0), ("validation", 0.5)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise AlphaError(f"{name} must be a number, not {value!r}.")
            if not 0 < value <= high:
                raise AlphaError(f"{name} must be above 0, and {high:g} at most, not {value!r}.")
        if self.steps_back > self.train:
            raise AlphaError(
                f"steps_back must be at most train={self.train}, not {self.steps_back}."
            )
        if self.validation * self.train < self.horizon:
            raise AlphaError(
                f"validation={self.validation:g} of train={self.train} days is shorter than the "
                f"horizon of {self.horizon}: choose a larger one."
            )
        if not isinstance(self.warm, bool):
            raise AlphaError(f"warm must be True or False, not {self.warm!r}.")
        if self.first is not None:
            check_first(self.first)

    def identity(self) -> dict[str, Any]:
        """What a window's result depends on: not how many controls there are."""
        return {k: v for k, v in asdict(self).items() if k != "controls"}
