"""Races: those that are there are found and named, and none besides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate.programs import plus, program, view
from tests.simulate.test_run import X, counting, rows_then_total
from tilewright.plan.ir import Buffer, Call, Program, Spread, Step, Sync, View, new_var
from tilewright.simulate import simulate


def without_sync(sound: Program) -> Program:
    return replace(sound, steps=tuple(s for s in sound.steps if not isinstance(s, Sync)))


def test_a_missing_sync_is_a_race():
    broken = without_sync(rows_then_total())
    (race,) = simulate(broken, [X], 2).races
    shared = broken.buffers[2].id
    assert race == (
        f"superstep 0: plus_0 on tile 0 reads bytes 72 ... 143 of shared buffer {shared} "
        "(float32, at 0) that plus_0 on tile 1 writes"
    )
    assert len(simulate(broken, [X], 3).races) >= 1
    assert simulate(broken, [X], 1).races == []


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_simulation_does_not_matter(seed):
    assert simulate(without_sync(rows_then_total()), [X], 3, seed).races


def own_elements(step: int, width: int) -> tuple[Step, Buffer]:
    """A spread that writes `width` neighbours at var * step."""
    var, shared = new_var(), Buffer("float32", 64, "shared")
    target = view(shared, width, moves=((var, step),))
    return Spread(var, 4, (plus([], target, 1.0),)), shared


@pytest.mark.parametrize(
    "step, width, races", [(4, 4, False), (4, 5, True), (0, 1, True), (1, 1, False), (1, 2, True)]
)
def test_two_tiles_that_write_the_same_bytes(step, width, races):
    spread, shared = own_elements(step, width)
    result = simulate(program([spread], [], [], [shared]), [], 4)
    assert bool(result.races) == races
    assert all("writes bytes" in race and race.endswith("writes") for race in result.races)


def test_interleaved_elements_are_no_race():
    var, shared = new_var(), Buffer("float32", 64, "shared")
    comb = View(shared, (16,), (4,), moves=((var, 1),))
    result = simulate(program([Spread(var, 4, (plus([], comb),))], [], [], [shared]), [], 4)
    assert result.races == []


def test_writing_what_another_has_read():
    var, shared = new_var(), Buffer("float32", 4, "shared")
    out = Buffer("float32", 4, "output", 0)
    reads = Spread(var, 4, (plus([view(shared, 4)], view(out, 1, moves=((var, 1),))),))
    again = plus([], view(shared, 4), 1.0)
    for steps, races in [((reads, again), 1), ((reads, Sync(), again), 0)]:
        result = simulate(program(steps, [], [out], [shared]), [], 4)
        assert len(result.races) == races
        assert all("writes bytes 0 ... 15 of shared" in race for race in result.races)


@pytest.mark.parametrize("tiles", [2, 3])
def test_the_writer_may_be_one_of_the_readers(tiles):
    """Tile 0 reads first and writes last; that tile 1 has read, too, must not be lost."""
    var, shared = new_var(), Buffer("float32", 1, "shared")
    out = Buffer("float32", 4, "output", 0)
    reads = Spread(var, 4, (plus([view(shared, 1)], view(out, 1, moves=((var, 1),))),))
    steps = [reads, plus([], view(shared, 1))]
    assert simulate(program(steps, [], [out], [shared]), [], tiles).races


def test_overlapping_buffers_are_seen_by_their_bytes():
    var, shared, other = new_var(), Buffer("float32", 4, "shared"), Buffer("int8", 16, "shared")
    out = Buffer("int8", 1, "output", 0)
    writes = Spread(var, 4, (plus([], view(shared, 1, moves=((var, 1),))),))
    made = program([writes, plus([view(other, 16)], view(out, 1))], [], [out], [shared, other])
    assert simulate(made, [], 4).races == []
    made.offsets[other] = 0
    assert simulate(made, [], 4).races


def test_tile_arenas_are_private():
    var, own = new_var(), Buffer("float32", 4, "tile")
    spread = Spread(var, 4, (plus([], view(own, 4), 1.0),))
    assert simulate(program([spread], [], [], [], [own]), [], 4).races == []


def test_inputs_and_outputs_are_watched():
    var, x = new_var(), Buffer("float32", 4, "input", 0)
    out = Buffer("float32", 4, "output", 0)
    data = np.zeros(4, np.float32)
    same = Spread(var, 4, (plus([view(x, 1)], view(out, 1)),))
    (race, *_) = simulate(program([same], [x], [out]), [data], 2).races
    assert "of output 0 (float32)" in race
    spoilt = Spread(var, 4, (plus([], view(x, 1)),))
    (race, *_) = simulate(program([spoilt], [x], [out]), [data], 2).races
    assert "of input 0 (float32)" in race


def test_every_tile_reads_the_test_of_a_loop_that_all_take_part_in():
    var, shared = new_var(), Buffer("int32", 4, "shared")
    work = Spread(var, 4, (plus([], view(shared, 1, moves=((var, 1),))),))
    made = counting((Sync(), work, Sync()))
    made.offsets[shared] = made.shared_bytes
    made = replace(made, shared_bytes=made.shared_bytes + 64)
    turns = np.array([2], np.int32)
    # The body's first act is to write what the next turn's test will be made of: no race. But the
    # next turn's test is written by tile 0 before tile 1 has come to look at the last one.
    (race,) = simulate(made, [turns], 2).races
    assert "writes bytes 0 ... 0 of shared" in race
    assert "that while on tile 1 reads" in race
    loop = made.steps[2]
    synced = replace(loop, steps=(Sync(), *loop.steps))
    assert simulate(replace(made, steps=(*made.steps[:2], synced)), [turns], 2).races == []


def test_scratch_memory_is_written():
    var, scratch = new_var(), Buffer("uint8", 16, "shared")
    out = Buffer("float32", 4, "output", 0)
    call = plus([], view(out, 1, moves=((var, 1),)))
    lent = Call(call.codelet, (*call.views, view(scratch, 16)))
    result = simulate(program([Spread(var, 4, (lent,))], [], [out], [scratch]), [], 2)
    assert "plus_0 (scratch) on tile 1 writes bytes 0 ... 15" in result.races[0]
