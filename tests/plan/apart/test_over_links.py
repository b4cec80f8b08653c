"""Products over several chips: what passes over their links is part of the choice."""

from dataclasses import replace

import numpy as np
import pytest

from tests.plan.apart.test_distribution import few, product_call, program_of, random_call
from tilewright.machine import machine
from tilewright.plan.apart.candidates import candidates
from tilewright.plan.apart.cutting import cutting
from tilewright.plan.apart.distribution import ROOM
from tilewright.plan.apart.gridded import steps
from tilewright.plan.apart.problem import Problem
from tilewright.simulate.cycles import run

M2000 = machine("ipu:m2000")


def chips(count, tiles, rate=1.0):
    """Few tiles on each, links of an M2000, so many times as fast."""
    one, far = few(tiles, 1 << 20), M2000.chip.exchange
    links = far.bytes_per_second_between_chips * rate
    exchange = replace(far, bytes_per_second_between_chips=links)
    return replace(
        one, chips_per_replica=count, chip=replace(one.chip, exchange=exchange),
        sync_cycles_between_chips=M2000.sync_cycles_between_chips,
    )  # fmt: skip


def timed(call, cut, ways, number, on):
    program = program_of(call, steps(cut, ways.layout(int(number))), on)
    return run(program, on)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_chosen_is_within_a_tenth_of_the_best(seed):
    """Of the hundred cheapest and of others, by what they take when they are planned and timed."""
    random = np.random.default_rng(seed)
    on = chips(
        int(random.integers(2, 5)), int(random.integers(2, 6)), 2.0 ** random.integers(-8, 1)
    )
    cut = cutting(random_call(random))
    while cut is None or cut.problem.total > on.tiles * on.tile.memory // 3:
        cut = cutting(random_call(random))
    call, ways = cut.call, candidates(cut.problem, on, int(on.tile.memory * ROOM))
    order = np.flatnonzero(ways.serial <= 2)
    order = order[np.argsort(ways.cycles[order])]
    others = [random.choice(order[60:], min(60, order.size - 60))] if order.size > 60 else []
    best = min(timed(call, cut, ways, n, on).cycles for n in np.concatenate([order[:60], *others]))
    chosen = ways.best()
    assert timed(call, cut, ways, chosen, on).cycles <= 1.1 * best


def test_a_price_is_near_what_the_plan_takes():
    """Whether much passes over links or little: 2048 cubed, and few rows by many weights."""
    for shape in ((2048, 2048, 2048), (256, 4096, 4096)):
        call = product_call(*shape)
        cut = cutting(call)
        assert cut is not None
        ways = candidates(cut.problem, M2000, int(M2000.tile.memory * ROOM))
        chosen = ways.best()
        assert chosen is not None
        found = timed(call, cut, ways, chosen, M2000)
        assert found.cycles == pytest.approx(float(ways.cycles[chosen]), rel=0.08)
        assert max(row.links for row in found.supersteps) > 0


def test_links_cost_nothing_where_there_are_none():
    problem = Problem(64, 64, 512, "float32", ("mk", "kn"))
    one, four = chips(1, 16), chips(4, 4, 1e9)
    assert np.all(candidates(problem, one).cycles <= candidates(problem, four).cycles)


def test_links_change_the_layout():
    """Few rows by many weights on four chips: what is best with links that cost nothing is not."""
    call = product_call(256, 4096, 4096)
    cut = cutting(call)
    assert cut is not None
    exchange = replace(
        M2000.chip.exchange, overhead_between_chips=0, seconds_per_hop=0.0,
        bytes_per_second_between_chips=1e18,
    )  # fmt: skip
    free = replace(M2000, chip=replace(M2000.chip, exchange=exchange), sync_cycles_between_chips=90)
    taken = []
    for on in (M2000, free):
        ways = candidates(cut.problem, on, int(M2000.tile.memory * ROOM))
        chosen = ways.best()
        taken.append(timed(call, cut, ways, chosen, M2000).cycles)
    assert taken[0] < 0.9 * taken[1]
