"""Laws of time on tiles that share no memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.machine import machine
from tilewright.plan.ir import Loop
from tilewright.simulate.cycles import run
from tilewright.stages import Stages
from tilewright.trace import trace

GC200 = machine("ipu:gc200")


def planned(fn, *shapes, on=GC200):
    traced = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    return Stages(traced.graph, Dump("x"), machine=on).program


def turns(n):
    return lambda x, w: jax.lax.fori_loop(0, n, lambda _, y: jnp.tanh(y @ w), x)


PROGRAM = planned(turns(5), (256, 64), (64, 64))


def test_a_loop_of_n_turns_is_n_times_its_body():
    once, twice = (run(planned(turns(n), (256, 64), (64, 64)), GC200).cycles for n in (2, 4))
    many = run(planned(turns(102), (256, 64), (64, 64)), GC200).cycles
    assert many - once == pytest.approx(50 * (twice - once), rel=1e-6)


@pytest.mark.parametrize(
    "worse",
    [
        lambda chip: replace(chip, sync_cycles=chip.sync_cycles * 2),
        lambda chip: replace(chip, exchange=replace(chip.exchange, overhead_cycles=1000)),
        lambda chip: replace(chip, exchange=replace(chip.exchange, bytes_per_cycle_per_tile=1.0)),
        lambda chip: replace(chip, exchange=replace(chip.exchange, bus=1)),
        lambda chip: replace(chip, tile=replace(chip.tile, call=1000.0)),
        lambda chip: replace(
            chip, tile=replace(chip.tile, operations=(("tanh", "float32", 100.0),))
        ),
    ],
)
def test_no_faster_with_a_worse_figure_at_a_fixed_plan(worse):
    slower = replace(GC200, chip=worse(GC200.chip))
    assert run(PROGRAM, slower).cycles >= run(PROGRAM, GC200).cycles


def test_flows_found_before_change_nothing():
    known = {}
    once = run(PROGRAM, GC200, known=known)
    assert known
    assert run(PROGRAM, GC200, known=known).supersteps == once.supersteps
    other = replace(GC200, chip=replace(GC200.chip, exchange=replace(GC200.chip.exchange, bus=1)))
    assert run(PROGRAM, other, known=known).cycles == run(PROGRAM, other).cycles


def test_never_below_the_roofline():
    found = run(PROGRAM, GC200)
    peak = GC200.tile.macs("float32") * GC200.tiles
    assert found.cycles > found.counts.macs["float32"] / peak
    assert found.counts.macs["float32"] == 5 * 256 * 64 * 64


def test_counts_are_those_of_the_work():
    found = run(planned(lambda x: jnp.tanh(x) + 1, (64, 64)), GC200)
    assert found.counts.operations["tanh", "float32"] == 64 * 64


def test_syncs_and_exchanges_are_told_apart():
    found = run(PROGRAM, GC200)
    parts = [found.total(name) for name in ("compute", "sync", "exchange")]
    assert all(parts)
    assert found.cycles == pytest.approx(sum(parts))
    assert any(isinstance(step, Loop) for step in PROGRAM.steps)
    assert any(s.depth == 1 and s.times == 5 for s in found.supersteps)


def test_more_tiles_are_no_slower_on_work_for_all():
    def on(tiles):
        few = replace(GC200, chip=replace(GC200.chip, tiles=tiles))
        return run(planned(lambda x: jnp.tanh(x), (512, 512), on=few), few).cycles

    assert on(1000) < on(100) < on(10)


def test_tiny_machines_can_be_timed_as_well():
    small = tiny(8)
    assert run(planned(lambda x: x + 1, (64,), on=small), small).cycles > 0


def test_instances_of_unequal_length_end_with_the_busiest_tile():
    """Two of them a tile: the tile with the longest pair is waited for, not the mean."""

    def climb(x, n):
        return jax.lax.fori_loop(0, n, lambda _, y: y * 0.5 + 1.0, x)

    shapes = jax.ShapeDtypeStruct((16, 64), np.float32), jax.ShapeDtypeStruct((16,), np.int32)
    on = tiny(8)
    program = Stages(
        trace(tilewright.tile_map(climb), *shapes).graph, Dump("x"), machine=on
    ).program
    turns = np.arange(16.0)
    unequal, equal, one = (
        run(program, on, {"while0": t}).total("compute") for t in (turns, turns.mean(), 1)
    )
    longest = run(program, on, {"while0": (turns[-1] + turns[-2]) / 2}).total("compute")
    assert unequal == pytest.approx(longest)
    assert one < equal < unequal
