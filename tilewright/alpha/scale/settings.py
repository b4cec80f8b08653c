"""What a job of the scale net is: everything that its numbers depend on, beside the data."""

from __future__ import annotations

from dataclasses import asdict, field
from typing import Any

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.settings import MOST_DOUBLINGS, between, check_run, choice, whole
from tilewright.alpha.walking.windows import check_first
from tilewright.frozen import frozen
from tilewright.models.bnn import CONSTANT, LINEAR, NET, UNITS

KINDS = (LINEAR, UNITS, NET)
ALL, FEW = "all", "few"
FLOOR = 0.05
"""Least scale of a target, in units of its volatility: prices move by ticks, or not at all."""


@frozen
class ScaleChain:
    """A cold chain climbs, then takes `warmup` transitions; a warm one takes `rewarm`.

    Both draw `draws` times `thin`, of which each `thin`th is kept. A trajectory has 2^`doublings`
    - 1 steps at most. (With 100 draws two windows of 22 had an R-hat of 1.06; over twelve windows
    before 2000 the worst was 1.041 with 100, 1.015 with 200.)
    """

    climb: int = 300
    warmup: int = 150
    rewarm: int = 30
    draws: int = 200
    thin: int = 1
    doublings: int = 6
    target_acceptance: float = 0.9

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        for name, least in (("climb", 0), ("warmup", 20), ("rewarm", 1), ("draws", 4), ("thin", 1)):
            whole(name, getattr(self, name), least)
        whole("doublings", self.doublings, 1, MOST_DOUBLINGS)
        between("target_acceptance", self.target_acceptance, 0, 1)

    def most_gradients(self, cold: bool) -> int:
        """Of a chain: what it costs is known before it starts."""
        first = self.warmup if cold else self.rewarm
        longest = 2**self.doublings - 1
        return (self.climb if cold else 0) + (first + self.draws * self.thin) * longest


@frozen
class ScaleSettings:
    """Windows of `train` days and `test` days; the target is the return over `horizon` days.

    `first` is the earliest first test day (ISO), else the first that can be. `scale` is "units", a
    net of `hidden` units whose inner weights are drawn once (`units.py`); "net", in which they are
    sampled (take fewer then: 8); or "linear", without any. Of each window's chains one in four
    starts cold, all do in the first of every `sequence` windows, or everywhere without `warm`.
    `controls` windows of a planted signal and as many of a placebo are run beside; `keep` says of
    how many windows the draws stay in the folder, the newest (0: all). `rivals` are "all", or
    "few": without GARCH-t and boosting, which take some seconds a window. `features` are the names
    of those that come with the prices (`extras.py`), beside the 28.
    """

    chain: ScaleChain = field(default_factory=ScaleChain)
    train: int = 1000
    test: int = 63
    horizon: int = 1
    first: str | None = None
    scale: str = UNITS
    mean: str = CONSTANT
    hidden: int = 32
    chains: int = 4
    sequence: int = 8
    warm: bool = True
    controls: int = 0
    keep: int = 1
    rivals: str = ALL
    seed: int = 0
    machine: str = "native"
    features: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        self.chain.check()
        choice("scale", self.scale, KINDS)
        choice("rivals", self.rivals, (ALL, FEW))
        choice("mean", self.mean, (CONSTANT, LINEAR))
        for name, least in (
            ("train", 20), ("test", 1), ("horizon", 1), ("hidden", 1),
            ("sequence", 1), ("controls", 0), ("keep", 0),
        ):  # fmt: skip
            whole(name, getattr(self, name), least)
        check_run(self.chains, self.seed, self.machine)
        if not isinstance(self.warm, bool):
            raise AlphaError(f"warm must be True or False, not {self.warm!r}.")
        if self.first is not None:
            check_first(self.first)

    def identity(self) -> dict[str, Any]:
        """What a window's result depends on: not how many controls or draws are kept."""
        left_out = ("controls", "keep") if self.features else ("controls", "keep", "features")
        return {k: v for k, v in asdict(self).items() if k not in left_out}
