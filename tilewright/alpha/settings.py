"""What a job is: everything that its numbers depend on, beside the data."""

from __future__ import annotations

import operator
from dataclasses import asdict, field
from typing import Any

from tilewright.alpha.errors import AlphaError
from tilewright.frozen import frozen

MACHINES = ("native", "xla")
PRECISIONS = ("float32", "bfloat16")
SAMPLERS = ("hmc", "nuts")
NEWEST, DATES = ANCHORS = ("newest", "dates")
MOST, LARGEST_SEED = 1_000_000, 2**64 - 1
"""Of anything that is counted; of 64 bits."""
MOST_DOUBLINGS = 12


@frozen
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
        choice("sampler", self.name, SAMPLERS)
        choice("precision", self.precision, PRECISIONS)
        if self.name == "nuts" and self.precision != "float32":
            raise AlphaError("NUTS needs its energy at every step: use it with precision float32.")
        for name, least in (("warmup", 1), ("draws", 4), ("leapfrogs", 1), ("hidden", 1)):
            whole(name, getattr(self, name), least)
        between("target_acceptance", self.target_acceptance, 0, 1)
        between("first_step", self.first_step, 0, 1e3)

    def most_gradients(self) -> int:
        """Of a chain, on average: what it costs is known before it starts."""
        return (self.warmup + self.draws) * (63 if self.name == "nuts" else self.leapfrogs)


@frozen
class Chain:
    """Settings of a chain whose metric and trajectories are found in its warm-up.

    Before that it climbs so many steps. A trajectory has 2^`doublings` - 1 steps at most in the
    warm-up, and in the draws of NUTS; those of HMC are half as long as NUTS's were on average, or
    of the mean length `leapfrogs`. One draw is kept of each `thin`. Chains that disagree go on
    until they are `patience` times as long.
    """

    sampler: str = "hmc"
    warmup: int = 500
    draws: int = 500
    thin: int = 2
    leapfrogs: int | None = None
    doublings: int = 8
    target_acceptance: float = 0.8
    climb: int = 500
    patience: int = 1

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        choice("sampler", self.sampler, SAMPLERS)
        for name, least in (
            ("warmup", 20),
            ("draws", 4),
            ("thin", 1),
            ("climb", 0),
            ("patience", 1),
        ):
            whole(name, getattr(self, name), least)
        if self.leapfrogs is not None:
            whole("leapfrogs", self.leapfrogs, 1)
        whole("doublings", self.doublings, 1, MOST_DOUBLINGS)
        between("target_acceptance", self.target_acceptance, 0, 1)

    def most_gradients(self) -> int:
        """Of a chain, on average: what it costs is known before it starts."""
        longest = 2**self.doublings - 1
        trajectory = longest if self.sampler == "nuts" else self.leapfrogs or longest // 2
        draws = self.patience * self.draws * self.thin
        return self.climb + self.warmup * longest + draws * trajectory


@frozen
class Settings:
    """A walk-forward job: at most `windows` windows, and `controls` windows of each control.

    `anchor` says where windows lie (see `windows.walk_forward`).
    """

    sampler: Sampler = field(default_factory=Sampler)
    windows: int = 200
    controls: int = 8
    chains: int = 2
    seed: int = 0
    machine: str = "native"
    anchor: str = NEWEST

    def check(self) -> None:
        """Raise `AlphaError` for what cannot be run."""
        self.sampler.check()
        choice("anchor", self.anchor, ANCHORS)
        for name, least in (("windows", 1), ("controls", 0)):
            whole(name, getattr(self, name), least)
        check_run(self.chains, self.seed, self.machine)

    def identity(self) -> dict[str, Any]:
        """What a window's result depends on: not how many other windows there are."""
        found = {k: v for k, v in asdict(self).items() if k not in ("windows", "controls")}
        if self.anchor == NEWEST:  # as it was before there was another
            del found["anchor"]
        return found


def check_run(chains: Any, seed: Any, machine: Any) -> None:
    """Raise `AlphaError` for chains that cannot be run."""
    choice("machine", machine, MACHINES)
    whole("chains", chains, 2)
    whole("seed", seed, 0, LARGEST_SEED)


def choice(what: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise `AlphaError` unless `value` is one of those known."""
    if value not in known:
        raise AlphaError(f"Unknown {what} {value!r}: choose one of {', '.join(known)}.")


def whole(what: str, value: Any, least: int, most: int = MOST) -> None:
    """Raise `AlphaError` unless `value` is a whole number within these bounds."""
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
