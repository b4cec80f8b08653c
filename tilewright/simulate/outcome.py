"""What a run on tiles that share no memory comes to: a row for each place where tiles wait for each
other, and their totals. `cycles.py` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tilewright.frozen import frozen
from tilewright.machine.cost import Count
from tilewright.machine.machine import Machine


@frozen
class Superstep:
    """Cycles of one, and how often it happens; `names` are its codelets, the dearest first.

    `depth` is how many loops it is in, `inside` which, the outermost first; `busy` the share of all
    tiles' time that is work.
    """

    compute: float
    sync: float
    exchange: float
    times: float
    names: tuple[str, ...] = ()
    passed: float = 0.0
    links: float = 0.0
    host: float = 0.0
    depth: int = 0
    busy: float = 0.0
    inside: tuple[str, ...] = ()

    @property
    def cycles(self) -> float:
        return self.compute + self.sync + self.exchange


@frozen
class Run:
    """One run of a program, in order; `counts` is all that is done."""

    machine: Machine
    supersteps: tuple[Superstep, ...]
    counts: Count
    parts: tuple[float, ...] = ()
    """Of a pipeline, the cycles of each part in a turn."""
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each vertex by name, where it stands in the user's text."""

    def total(self, what: str) -> float:
        """Cycles, or bytes, of a kind: "compute", "sync", "exchange", "passed", "host"."""
        return float(sum(getattr(s, what) * s.times for s in self.supersteps))

    @property
    def cycles(self) -> float:
        return self.total("compute") + self.total("sync") + self.total("exchange")

    @property
    def seconds(self) -> float:
        return self.cycles / self.machine.chip.clock

    @property
    def busy(self) -> float:
        """The share of all tiles' time that is work."""
        work = sum(s.busy * s.compute * s.times for s in self.supersteps)
        return float(work / self.cycles) if self.cycles else 0.0

    @property
    def limit(self) -> str:
        return max(("compute", "exchange", "sync"), key=self.total)
