"""A published figure beside a modelled one, and how far apart they may be."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True)
class Row:
    """`bar` is what the error should not exceed, as a share; `unit` of the figures.

    Of a `bound` the error must not be above 0, and the published figure not more than twice it. A
    bar of infinity judges nothing: the row is there to be seen.
    """

    machine: str
    case: str
    published: float
    modelled: float
    bar: float
    unit: str = "cycles"
    bound: bool = False

    @property
    def error(self) -> float:
        return self.modelled / self.published - 1

    @property
    def judged(self) -> bool:
        return isfinite(self.bar)

    @property
    def holds(self) -> bool:
        return -self.bar <= self.error <= (0.0 if self.bound else self.bar)
