"""Numbers that know where they come from, and the only way to a ratio of two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen

MEASURED, EXTRAPOLATED, MODELLED = "measured", "extrapolated", "modelled"
PUBLISHED, CLAIMED = "published", "claimed"
KINDS = {
    MEASURED: "timed here, by turns with what stands beside it",
    EXTRAPOLATED: "the rate measured here, times the whole job",
    MODELLED: "counted by a model of a machine that is not here",
    PUBLISHED: "measured by others, who said how",
    CLAIMED: "said in the talk, which shows no numbers for it",
}
"""Each kind in words."""


@frozen
class Figure:
    """`rounds` are the values of each round, where there are some; `run` names who took turns.

    `source`: for what was not measured here, who says so.
    """

    value: float
    unit: str
    kind: str = MEASURED
    source: str = ""
    run: str = ""
    rounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"A figure is one of {', '.join(KINDS)}, not {self.kind!r}.")
        if self.kind == MEASURED and not self.run:
            raise ArgumentError("A measured figure names its run.")
        if self.kind in (PUBLISHED, CLAIMED, MODELLED) and not self.source:
            raise ArgumentError(f"A {self.kind} figure names its source.")


@frozen
class Point:
    """A bar, or a point, of a chart: of a `case` ("batch 8"), by `who`.

    `more` are further figures of the same thing, by name, and words (`note`).
    """

    case: str
    who: str
    figure: Figure
    more: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Ratio:
    """How many times as fast, with the quartiles over rounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} × ({self.low:.2f}–{self.high:.2f})"


def times_as_fast(ours: Figure, other: Figure) -> Ratio:
    """Median over rounds of the other's time over ours (or of our rate over its).

    Raises `ArgumentError` unless both were measured, in rounds of one run, in one unit.
    """
    for one in (ours, other):
        if one.kind != MEASURED:
            raise ArgumentError(f"A ratio is of two measured figures; one of these is {one.kind}.")
    if ours.run != other.run:
        raise ArgumentError(f"A ratio is of one run, not of {ours.run!r} and {other.run!r}.")
    if ours.unit != other.unit or len(ours.rounds) != len(other.rounds) or not ours.rounds:
        raise ArgumentError("A ratio is of figures in one unit, round by round.")
    mine, its = np.array(ours.rounds), np.array(other.rounds)
    ratios = mine / its if is_rate(ours.unit) else its / mine
    low, middle, high = np.nanpercentile(ratios, [25, 50, 75])
    return Ratio(float(middle), float(low), float(high))


def is_rate(unit: str) -> bool:
    """Whether more of it is better."""
    return "/s" in unit


def measured(
    run: str, seconds: Sequence[float], unit: str = "s", work: float | None = None
) -> Figure:
    """The median of some rounds' seconds; with `work`, as so much of it a second."""
    rounds = np.asarray(seconds, np.float64)
    if len(rounds) == 0:
        raise ArgumentError(f"The run {run!r} has no rounds.")
    if work is not None:
        rounds = work / rounds
    elif unit in ("ms", "µs"):
        rounds = rounds * {"ms": 1e3, "µs": 1e6}[unit]
    kept = tuple(float(f"{value:.6g}") for value in rounds)
    return Figure(float(np.nanmedian(kept)), unit, run=run, rounds=kept)
