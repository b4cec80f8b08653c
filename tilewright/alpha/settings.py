"""What a job is: everything that its numbers depend on, beside the data."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, field
from typing import Any

from tilewright.alpha.errors import AlphaError

MACHINES = ("native", "xla")
PRECISIONS = ("float32", "bfloat16")
SAMPLERS = ("hmc", "nuts")
MOST, LARGEST_SEED = 1_000_000, 2**64 - 1
"""Of anything that is counted; of 64 bits."""


@dataclass(frozen=True)
class Sampler:
    """Settings of a chain. `leapfrogs` is the mean of a trajectory: half to three halves of it.

    `first_step` is the step size that the warm-up starts from, `hidden` the width of the net.
    With NUTS, trajectories are as long as they need, up to 63 steps.
    """

    name: str = "hmc"
    warmup: int = 60
    draws: int = 100
    leapfrogs: int = 20
    hidden: int = 40
    target_acceptance: float = 0.8
    first_step: float = 0.1
    precision: str = "float32"

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        _among("sampler", self.name, SAMPLERS)
        _among("precision", self.precision, PRECISIONS)
        if self.name == "nuts" and self.precision != "float32":
            raise AlphaError("NUTS needs its energy at every step: use it with precision float32.")
        for name, least in (("warmup", 1), ("draws", 4), ("leapfrogs", 1), ("hidden", 1)):
            _whole(name, getattr(self, name), least)
        between("target_acceptance", self.target_acceptance, 0, 1)
        between("first_step", self.first_step, 0, 1e3)


@dataclass(frozen=True)
class Settings:
    """A walk-forward job: at most `windows` windows, and `controls` windows of each control."""

    sampler: Sampler = field(default_factory=Sampler)
    windows: int = 200
    controls: int = 8
    chains: int = 2
    seed: int = 0
    machine: str = "native"

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        self.sampler.check()
        _among("machine", self.machine, MACHINES)
        for name, least in (("windows", 1), ("controls", 0), ("chains", 2)):
            _whole(name, getattr(self, name), least)
        _whole("seed", self.seed, 0, LARGEST_SEED)

    def identity(self) -> dict[str, Any]:
        """What a window's result depends on: not how many other windows there are."""
        return {k: v for k, v in asdict(self).items() if k not in ("windows", "controls")}


def _among(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise AlphaError(f"Unknown {what} {value!r}: choose one of {', '.join(known)}.")


def _whole(what: str, value: Any, least: int, most: int = MOST) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise AlphaError(f"{what} must be a whole number, not {value!r}.")
    if number < least:
        raise AlphaError(f"{what} must be {least} or more, not {number}.")
    if number > most:
        raise AlphaError(f"{what} must be {most} or less, not {number}.")


def between(what: str, value: Any, low: float, high: float) -> None:
    """Raise `AlphaError` unless `value` is a number above `low` and not above `high`."""
    try:
        inside = not isinstance(value, str) and low < float(value) <= high
    except (TypeError, ValueError, OverflowError):
        inside = False
    if not inside:
        raise AlphaError(f"{what} must be a number above {low:g}, up to {high:g}, not {value!r}.")
