"""Machines that are not here, beside each other; and trips of a native run for them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.errors import ArgumentError, CapacityError
from tilewright.machine import machine
from tilewright.simulate.result import ranks
from tilewright.simulate.trips import named

X, W = np.zeros((512, 256), np.float32), np.zeros((256, 128), np.float32)


def product(x, w):
    return jnp.tanh(x @ w)


def climb(x, steps):
    """How often it turns is data."""
    return jax.lax.fori_loop(0, steps, lambda _, y: jnp.sin(y) @ jnp.eye(64), x)


def nested(x, steps):
    def turn(_, y):
        return jax.lax.while_loop(lambda z: z[0] < 3.5, lambda z: z + 1, y * 0)

    return jax.lax.fori_loop(0, steps, turn, x)


def test_a_row_a_machine():
    found = tilewright.compare(
        product, X, W, machines=["cpu:epyc-9654", "cpu:graviton4", "gpu:a100", "cpu"]
    )
    genoa, graviton, gpu, host = found.rows
    assert [row.machine.name for row in found.rows[:2]] == ["AMD EPYC 9654", "AWS Graviton4"]
    assert genoa.seconds[0] < genoa.seconds[1], "its clock is a range"
    assert host.seconds[0] == host.seconds[1] > genoa.seconds[1]
    assert gpu.bound
    assert not genoa.bound
    assert found.ranks[2] is None
    assert 0 < genoa.busy <= 96
    assert genoa.watt_hours[1] == pytest.approx(genoa.seconds[1] * 360 / 3600)
    assert graviton.watt_hours == (0, 0), "nobody published its power"
    assert genoa.counts.macs == {"float32": 512 * 256 * 128}
    text = str(found)
    assert "≥ " in text
    assert "assumed: " in text
    assert "bound" in text


def test_shapes_will_do():
    shaped = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (X, W)]
    one = tilewright.compare(product, *shaped, machines=["cpu:epyc-9654"])
    other = tilewright.compare(product, X, W, machines=[machine("cpu:epyc-9654")])
    assert one.rows[0].seconds == other.rows[0].seconds


def test_ranges_that_overlap_share_a_rank():
    (row,) = tilewright.compare(product, X, W, machines=["cpu:epyc-9654"]).rows

    def taking(*seconds):
        return replace(row, seconds=seconds)

    rows = [taking(1, 2), taking(2, 3), taking(1.5, 1.6), taking(4, 5), replace(row, bound=True)]
    assert ranks(rows) == [1, 2, 1, 4, None]


def test_more_cores_and_caches_help_where_they_should():
    epyc = machine("cpu:epyc-9755")
    big = np.zeros((4096, 1024), np.float32), np.zeros((1024, 1024), np.float32)
    machines = [epyc, epyc.with_(cores=16), epyc.with_(clock="2 GHz")]
    times = [r.seconds[1] for r in tilewright.compare(product, *big, machines=machines).rows]
    assert times[0] < times[1] / 4
    assert times[0] < times[2]


def test_a_bound_is_never_above_what_was_published():
    """A100 80 GB, float16, (m, 12288) x (12288, 12288): measured by LLMCompass (real_hardware)."""
    measured = {64: 0.190e-3, 1024: 1.199e-3, 16384: 17.03e-3}
    for m, seconds in measured.items():
        shapes = [jax.ShapeDtypeStruct(s, np.float16) for s in ((m, 12288), (12288, 12288))]
        found = tilewright.compare(lambda x, y: x @ y, *shapes, machines=["gpu:a100"]).rows[0]
        assert seconds / 2 <= found.seconds[0] <= seconds
        shapes = [jax.ShapeDtypeStruct(s.shape, jnp.bfloat16) for s in shapes]
        other = tilewright.compare(lambda x, y: x @ y, *shapes, machines=["gpu:a100"]).rows[0]
        assert other.seconds == found.seconds, "the same units"


def test_tiles_that_share_no_memory_are_rows_like_others():
    found = tilewright.compare(
        product, X, W, machines=["cpu:graviton4", "ipu:gc200", "ipu:c2", "tt:n150"]
    )
    server, chip, card, mesh = found.rows
    exe = tilewright.compile(product, X, W, machine="ipu:gc200")
    assert chip.seconds[0] == pytest.approx(exe.simulate().seconds)
    assert chip.counts.macs == server.counts.macs
    assert chip.fits
    assert 0 < chip.busy <= 1472
    assert card.machine.tiles == 2 * 1216
    assert "IPU GC200" in str(found)
    assert mesh.limit == "exchange"
    assert mesh.fits


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ([], "machines is empty"),
        ("cpu", "machines must be a list"),
        (["cpu", "cpu"], "has .* twice"),
        (["cpu:epic-9755"], "the nearest are cpu:epyc-9755"),
    ],
)
def test_machines_that_will_not_do(machines, words):
    with pytest.raises(ArgumentError, match=words):
        tilewright.compare(product, X, W, machines=machines)


def test_what_fits_some_machines_has_a_row_for_each():
    large = [jax.ShapeDtypeStruct((20_000, 20_000), np.float32)] * 2
    found = tilewright.compare(jnp.matmul, *large, machines=["cpu:epyc-9755", "ipu:gc200"])
    server, chip = found.rows
    assert server.fits
    assert not chip.fits
    assert found.ranks == (1, None)
    text = str(found)
    assert "does not fit" in text
    assert "IPU GC200: a product of 20000 x 20000" in text.replace("\n", " ")
    with pytest.raises(CapacityError, match=r"IPU GC200: a product .* Nor does it fit IPU GC2"):
        tilewright.compare(jnp.matmul, *large, machines=["ipu:gc2", "ipu:gc200"])


def test_turns_are_asked_for_by_name_and_taken_from_a_run():
    arguments = np.zeros((8, 64), np.float32), np.int32(7)
    with pytest.raises(ArgumentError, match="How often while0 turns is not known"):
        tilewright.compare(climb, *arguments, machines=["cpu"])
    exe = tilewright.compile(climb, *arguments)
    trips = exe.trips(*arguments)
    assert trips == {"while0": 7.0}
    few = tilewright.compare(climb, *arguments, machines=["cpu"], trips=trips).rows[0]
    many = tilewright.compare(climb, *arguments, machines=["cpu"], trips={"while0": 700}).rows[0]
    assert few.counts.macs["float32"] == 7 * 8 * 64 * 64
    assert many.seconds[0] > 20 * few.seconds[0]


def test_turns_of_each_instance_of_a_map():
    steps = np.array([3, 0, 11, 5], np.int32)
    mapped = tilewright.tile_map(climb)
    exe = tilewright.compile(mapped, np.zeros((4, 64, 64), np.float32), steps)
    trips = exe.trips(np.zeros((4, 64, 64), np.float32), steps)
    assert trips["while0"].tolist() == steps.tolist()


def test_turns_of_a_loop_in_a_loop_are_those_of_one_entry():
    exe = tilewright.compile(nested, np.zeros(4, np.float32), np.int32(5))
    found = named(exe.compiled.program)
    trips = exe.trips(np.zeros(4, np.float32), np.int32(5))
    assert sorted(trips) == sorted(found) == ["while0", "while1"]
    assert trips == {"while0": 5.0, "while1": 4.0}
    assert tilewright.compile(product, X, W).trips(X, W) == {}


def test_the_law_of_sums_is_asked_for_and_said():
    on = machine("ipu:gc200")
    host, fine = (
        tilewright.compare(
            lambda x: x.T @ jnp.tanh(x), np.zeros((8000, 22), np.float32), machines=[on], law=law
        )
        for law in (None, "fine")
    )
    assert "by the law 'fine'" in str(fine)
    assert "law" not in str(host)
    assert fine.rows[0].seconds[0] < host.rows[0].seconds[0]
    with pytest.raises(ArgumentError, match="law must be"):
        tilewright.compare(lambda x: x, np.zeros(3), machines=[on], law="coarse")


def test_more_chips_are_never_slower_than_one():
    """What passes between chips costs more here than they save: one does it alone."""
    one, four = tilewright.compare(product, X, W, machines=["ipu:gc200", "ipu:m2000"]).rows
    assert four.seconds[0] <= one.seconds[0]
    ways = tilewright.compile(product, X, W, machine="ipu:m2000").simulate().ways
    assert set(ways) == {"tiles", "chip"}
