"""What passes, of many cuts at once: links are counted of few, and yet nothing better is missed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.plan.apart.test_over_links import chips
from tilewright.plan.apart import passing
from tilewright.plan.apart.candidates import candidates
from tilewright.plan.apart.problem import Problem

PROBLEMS = [
    Problem(64, 64, 2048, "float32", ("mk", "kn")),
    Problem(16, 512, 512, "float32", ("mk", "kn")),
    Problem(512, 1, 700, "float32", ("mk", "k")),
]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("rate", (2.0**-8, 2.0**-4, 1.0))
def test_the_cheapest_is_that_of_all_with_their_links(monkeypatch, problem, rate):
    """Few are looked at together here, so that many are left out; then all, whatever they take."""
    machine = chips(4, 4, rate)
    monkeypatch.setattr(passing, "MANY", 16)
    monkeypatch.setattr(passing, "FEW", 4)
    found = candidates(problem, machine)

    def every(self, passed, sync, fits):
        self._of(fits, range(self.machine.chips), passed, sync)

    monkeypatch.setattr(passing.Passing, "_put", every)
    expected = candidates(problem, machine)
    one, other = found.best(), expected.best()
    assert one is not None
    assert other is not None
    assert found.cycles[one] == expected.cycles[one] == expected.cycles[other]
    assert np.all(found.cycles <= expected.cycles), "without links nothing takes longer"


def test_turns_take_syncs_and_overheads_as_often_as_they_pass():
    """Of one chip: bytes at its rate, an overhead and a sync a round."""
    one = chips(1, 4)
    exchange = replace(one.chip.exchange, overhead_cycles=70)
    machine = replace(one, chip=replace(one.chip, exchange=exchange))
    problem = Problem(64, 64, 64, "float32", ("mk", "kn"))
    moved, rounds = ([np.array([x]) for x in some] for some in ((800.0, 80.0, 0.0), (4, 1, 0)))
    serial = np.array([1])
    asked = passing.Passing(problem, None, serial, moved, rounds, np.zeros(1), machine)  # type: ignore[arg-type]
    passed, sync = asked.all(np.array([0]))
    bytes_a_cycle = exchange.bytes_per_cycle_per_tile
    assert passed[0] == pytest.approx(880 / bytes_a_cycle + 5 * exchange.overhead_cycles)
    assert sync[0] == 5 * machine.chip.sync_cycles
