"""What a job is: everything that its numbers depend on, beside the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tilewright.alpha.errors import AlphaError

MACHINES = ("native", "xla")
PRECISIONS = ("float32", "bfloat16")
SAMPLERS = ("hmc", "nuts")


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
            _at_least(name, getattr(self, name), least)


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
        for name, least in (("windows", 1), ("controls", 0), ("chains", 2), ("seed", 0)):
            _at_least(name, getattr(self, name), least)

    def identity(self) -> dict[str, Any]:
        """What a window's result depends on: not how many other windows there are."""
        return {k: v for k, v in asdict(self).items() if k not in ("windows", "controls")}


def _among(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise AlphaError(f"Unknown {what} {value!r}: choose one of {', '.join(known)}.")


def _at_least(what: str, value: int, least: int) -> None:
    if value < least:
        raise AlphaError(f"{what} must be {least} or more, not {value}.")
