"""What lies in tiles' memories: sums over tiles, kinds, what stays, what each array is brought."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.machine import machine
from tilewright.plan.memory import lifetimes
from tilewright.simulate.occupancy import occupancy, too_much
from tilewright.simulate.rest import CODE, rest_of
from tilewright.simulate.tenants import KINDS, kinds_of, tensors
from tilewright.stages import Stages
from tilewright.trace import trace

GC200 = machine("ipu:gc200")


def planned(fn, *shapes, on=GC200):
    traced = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    return Stages(traced.graph, Dump("x"), machine=on).program


def turned(x, w):
    """A matrix that stays through 40 turns."""
    return jax.lax.fori_loop(0, 40, lambda _, y: jnp.tanh(y @ w), x)


PLANS = {
    "loop": planned(turned, (512, 256), (256, 256)),
    "product": planned(lambda x, w: x @ w, (300, 200), (200, 100)),
    "sum": planned(lambda x: (x * x).sum(0), (5000, 30)),
    "few tiles": planned(turned, (64, 32), (32, 32), on=tiny(7)),
}


@pytest.mark.parametrize("name", PLANS)
def test_bytes_of_tiles_are_those_of_the_arrays_that_live(name):
    """Summed over tiles: a block and its copies count on every tile that has one. At no moment is
    there more."""
    program = PLANS[name]
    lives = {b: life for b, life in lifetimes(program.steps).items() if b in program.offsets}
    moments = range(1 + max(life.last for life in lives.values()))
    found = occupancy(program)

    def at(moment):
        return [b for b, life in lives.items() if life.first <= moment <= life.last]

    fullest = max(moments, key=lambda moment: sum(b.tile_bytes for b in at(moment)))
    expected = sum(b.tile_bytes * b.homes.tiles().size for b in at(fullest) if b.homes)
    assert found.by_tile.sum() == expected
    assert found.by_tile.max() <= found.needed == program.tile_bytes
    assert (found.stays <= found.by_tile).all()
    assert set(found.kinds) == set(KINDS)


def test_what_a_loop_reads_stays():
    found = occupancy(PLANS["loop"])
    matrix = next(t for t in tensors(PLANS["loop"]) if t.kind == "brought" and t.brought)
    assert found.always >= 256 * 256 * 4 / GC200.tiles
    assert found.by_moment.max() == found.by_tile[found.fullest]
    assert matrix.tiles <= GC200.tiles


def test_kinds_of_arrays():
    """Both arguments come from the host, products are computed, operands of blocks are brought."""
    program = PLANS["product"]
    by_kind = {kind: [b for b, k in kinds_of(program).items() if k == kind] for kind in KINDS}
    given = sum(b.size for b in by_kind["given"])
    assert given >= 300 * 200 + 200 * 100
    assert by_kind["computed"]
    assert by_kind["brought"]
    assert not by_kind["working"]


def test_what_is_brought_in_a_loop_counts_every_turn():
    def once(x, w):
        return jnp.tanh(x @ w)

    few, many = (
        sum(t.brought for t in tensors(planned(lambda x, w, n=n: jax.lax.fori_loop(
            0, n, lambda _, y: once(y, w), x), (512, 256), (256, 256))))
        for n in (2, 102)
    )  # fmt: skip
    one = sum(t.brought for t in tensors(planned(once, (512, 256), (256, 256))))
    assert few < many
    assert (many - few) / 100 < one, "the matrix comes once"


def test_loops_of_unknown_length_count_their_turns():
    def halve(x, w):
        return jax.lax.while_loop(lambda y: y.sum() > 1, lambda y: jnp.tanh(y @ w), x)

    program = planned(halve, (512, 256), (256, 256))
    few, many = (sum(t.brought for t in tensors(program, {"while0": turns})) for turns in (1, 1000))
    assert many > 100 * few


def test_an_instances_own_is_working_memory():
    program = planned(tilewright.tile_map(lambda x: jnp.tanh(x @ x).sum()), (2000, 16, 16))
    found = occupancy(program)
    assert found.kinds["working"].max() > 0
    lines = [t for t in tensors(program) if t.kind == "working"]
    assert all(t.tiles == GC200.tiles for t in lines)


def test_code_is_counted_where_vertices_are():
    found = rest_of(PLANS["few tiles"])
    assert found["code"].shape == (7,)
    assert found["code"].max() >= CODE
    assert all((some >= 0).all() for some in found.values())
    assert found["state of vertices"].sum() > 0
    assert found["lists of messages"].sum() > 0


def test_tenants_are_told_with_their_kind():
    program = planned(lambda x: jnp.sort(x, 0), (9000, 99))
    said = too_much(program, GC200)
    assert any(f", {kind}, of sort" in said for kind in KINDS)
