"""How well modelled times agree with measured ones. In: rows. Out: errors, ranks, a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

MEDIAN, WORST, APART, RIGHT = 0.20, 0.50, 1.3, 0.90
"""Bars: of the median error and of the worst; pairs so far apart must be ranked right so often."""


@dataclass(frozen=True)
class Row:
    """A case in cycles."""

    name: str
    tiles: int
    measured: float
    modelled: float
    limit: str

    @property
    def error(self) -> float:
        """Of the modelled time, as a share of the measured."""
        return self.modelled / self.measured - 1


@dataclass(frozen=True)
class Verdict:
    median: float
    worst: Row
    ranked: float
    pairs: int

    @property
    def holds(self) -> bool:
        return self.median <= MEDIAN and abs(self.worst.error) <= WORST and self.ranked >= RIGHT

    def __str__(self) -> str:
        return (
            f"median error {self.median:.0%} (bar {MEDIAN:.0%}); worst {self.worst.error:+.0%}, "
            f"{self.worst.name} on {self.worst.tiles} (bar {WORST:.0%}); of {self.pairs} pairs "
            f"{APART}x apart {self.ranked:.1%} ranked right (bar {RIGHT:.0%})"
        )


def verdict(rows: Sequence[Row]) -> Verdict:
    pairs = [
        (a, b) if a.measured > b.measured else (b, a)
        for a, b in combinations(rows, 2)
        if max(a.measured, b.measured) >= APART * min(a.measured, b.measured)
    ]
    right = sum(slow.modelled > fast.modelled for slow, fast in pairs)
    return Verdict(
        median(abs(row.error) for row in rows),
        max(rows, key=lambda row: abs(row.error)),
        right / len(pairs) if pairs else 1.0,
        len(pairs),
    )


def markdown(rows: Sequence[Row]) -> str:
    """A table for the docs."""
    lines = ["| case | tiles | measured | modelled | error | limit |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip
    for row in rows:
        lines.append(
            f"| {row.name} | {row.tiles} | {row.measured / 1e3:,.0f} | {row.modelled / 1e3:,.0f} | "
            f"{row.error:+.0%} | {row.limit} |"
        )
    return "\n".join(lines)
