"""Several plans of one function: which of them a machine runs soonest, and what the others take.

In: plans, a machine. Out: `Way`s, and the `best` of them. Maps have two on tiles that share no
memory: "tiles", where an instance has one tile, and "chips", where it has a whole chip, whose tiles
share its work, so that there are fewer at once. Of several chips "chip" leaves all but one alone:
what passes between them can cost more than they save.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from tilewright.errors import CapacityError
from tilewright.frozen import frozen
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Program
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import too_much
from tilewright.simulate.outcome import Run
from tilewright.simulate.trips import Trips, named

OFTEN = 100.0
"""Turns of a loop, where nobody has said how often it turns."""

Plan = tuple[Program, list[np.ndarray]]
"""A program, and the data of its constants."""


@frozen
class Way:
    """`made` is what was planned, `fault` why not, or why it does not fit."""

    machine: Machine
    made: Plan | None
    fault: str = ""

    def plan(self) -> Plan:
        """Raises `CapacityError` where nothing could be planned."""
        if self.made is None:
            raise CapacityError(self.fault)
        return self.made

    @property
    def fits(self) -> bool:
        return not self.fault

    def run(self, trips: Trips | None = None) -> Run:
        return run(self.plan()[0], self.machine, trips)

    @cached_property
    def cycles(self) -> float | None:
        """Of one that fits; None where loops have no known length."""
        known = self.fits and not named(self.plan()[0])
        return self.run().cycles if known else None

    @cached_property
    def likely(self) -> float:
        """Cycles of one that fits, where loops of unknown length turn `OFTEN`."""
        known = self.cycles
        if known is None:
            known = self.run(dict.fromkeys(named(self.plan()[0]), OFTEN)).cycles
        return known


def way(plan: Callable[[], Plan], machine: Machine) -> Way:
    try:
        made = plan()
    except CapacityError as error:
        return Way(machine, None, str(error))
    return Way(machine, made, too_much(made[0], machine))


def best(ways: Mapping[str, Way]) -> Way:
    """The fastest that fits, as far as that is known; the first, where nothing does."""
    fitting = [way for way in ways.values() if way.fits]
    if not fitting:
        return next(iter(ways.values()))
    if len(fitting) == 1:
        return fitting[0]
    return min(fitting, key=lambda way: way.likely)
