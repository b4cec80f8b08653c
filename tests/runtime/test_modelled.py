"""A function on a machine that is not here: values from here, cycles and a page from the plan."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.errors import ArgumentError, CapacityError
from tilewright.machine import machine


def shaped(*shape):
    return jax.ShapeDtypeStruct(shape, np.float32)


def layer(x, w):
    return jnp.tanh(x @ w).sum(0)


@pytest.fixture(scope="module")
def exe():
    return tilewright.compile(layer, shaped(600, 96), shaped(96, 50), machine="ipu:gc200")


def test_values_are_those_of_this_host(exe):
    random = np.random.default_rng(0)
    x, w = (random.normal(size=s).astype(np.float32) for s in ((600, 96), (96, 50)))
    native = tilewright.compile(layer, x, w)
    assert np.array_equal(exe(x, w), native(x, w))


def test_a_simulation_needs_no_data(exe):
    found = exe.simulate()
    content = json.loads(found.to_json())
    totals = content["totals"]
    parts = totals["compute"] + totals["exchange"] + totals["sync"]
    assert content["cycles"] == pytest.approx(parts) == pytest.approx(found.cycles)
    assert len(content["bytes_by_tile"]) == 1472
    assert max(content["bytes_by_tile"]) <= exe.machine.tile.memory
    assert found.seconds == content["latency"] == pytest.approx(found.cycles / 1.325e9)
    assert content["throughput"] == pytest.approx(1 / found.seconds)
    assert "cycles" in str(found)


def test_a_trace_has_every_superstep(exe):
    events = json.loads(exe.simulate().to_perfetto())["traceEvents"]
    assert {event["tid"] for event in events} == {1, 2, 3}
    assert all(event["dur"] > 0 for event in events)


def test_levers_say_what_counts(exe):
    found = {lever.figure: lever for lever in exe.levers()}
    assert found["clock"].doubled == pytest.approx(0.5)
    assert found["links between chips"].doubled == pytest.approx(1.0), "there is one chip"
    for lever in found.values():
        slower = "cycles" in lever.figure and not lever.figure.startswith(("exchange, bytes",))
        more, less = (lever.halved, lever.doubled) if slower else (lever.doubled, lever.halved)
        assert more <= 1.0 + 1e-9
        assert less >= 1.0 - 1e-9


def test_the_lever_that_saves_most_comes_first(exe):
    saved = [1 - min(lever.halved, lever.doubled) for lever in exe.levers()]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > 0.4


def test_another_figure_at_the_same_plan(exe):
    """As many cycles at another clock; what a lever says of a figure; not on another shape."""
    now = exe.simulate()
    faster = exe.simulate(machine=exe.machine.with_(clock="2.65 GHz"))
    assert faster.cycles == now.cycles
    assert faster.seconds == pytest.approx(now.seconds / 2)
    lever = next(lever for lever in exe.levers() if lever.figure == "exchange, bytes a cycle")
    slow = exe.simulate(machine=exe.machine.with_(exchange=2))
    assert slow.seconds / now.seconds == pytest.approx(lever.halved)
    with pytest.raises(ArgumentError, match="of another shape than IPU GC200"):
        exe.simulate(machine="ipu:gc2")
    with pytest.raises(ArgumentError, match=r"does not fit: .* tile 0 needs"):
        exe.simulate(machine=exe.machine.with_(tile="1 KiB"))


def test_latency_and_throughput_of_instances():
    """13 of them on four chips: four turns, of which each instance takes one; in three stages 15
    turns, of which each takes three."""
    specs = shaped(13, 600, 96), shaped(13, 96, 50)
    for stages, share in ((None, 1 / 4), (3, 3 / 15)):
        exe = tilewright.compile(
            tilewright.tile_map(layer), *specs, machine="ipu:m2000", stages=stages
        )
        found = exe.simulate()
        assert found.latency == pytest.approx(found.seconds * share)
        assert found.throughput == pytest.approx(13 / found.seconds)


def test_a_card_has_levers_of_its_own():
    exe = tilewright.compile(layer, shaped(600, 96), shaped(96, 50), machine="tt:n150")
    found = {lever.figure: lever for lever in exe.levers()}
    assert found["the card's memory, bytes a second"].doubled < 0.95
    assert found["mesh, one to many and many to one"].halved > 1.05


def test_the_law_of_sums_is_said():
    exe = tilewright.compile(
        layer, shaped(600, 96), shaped(96, 50), machine="ipu:gc200", law="fine"
    )
    found = exe.simulate()
    assert "Sums go by the law 'fine'" in str(found)
    assert json.loads(found.to_json())["law"] == "fine"


def test_the_page_stands_alone(exe, tmp_path):
    path = exe.report(tmp_path / "report.html")
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert "IPU GC200" in text
    assert "http" not in text
    assert "<script" not in text
    assert "test_modelled.py:" in text, "the user's lines"
    assert len(text) < 5 << 20


def test_two_stand_side_by_side(exe, tmp_path):
    """A modelled run beside another machine's, and beside one that was measured here."""
    other = tilewright.compile(layer, shaped(600, 96), shaped(96, 50), machine="ipu:bow")
    text = exe.report(tmp_path / "two.html", beside=other).read_text()
    assert "<h1>layer on IPU GC200, modelled beside layer on IPU Bow, modelled</h1>" in text
    ratio = other.simulate().seconds / exe.simulate().seconds
    assert f"<td>{ratio:.2f}</td>" in text
    random = np.random.default_rng(0)
    x, w = (random.normal(size=s).astype(np.float32) for s in ((600, 96), (96, 50)))
    measured = tilewright.compile(layer, x, w).profile(x, w)
    text = exe.report(tmp_path / "two.html", beside=measured).read_text()
    assert f"{measured.seconds * 1e6:,.1f} µs" in text
    assert text.count("<h2>") == 2
    text = measured.report(tmp_path / "host.html").read_text()
    assert ", measured beside layer on " in text
    assert measured.modelled is not None
    assert f"Modelled: {measured.modelled.seconds * 1e6:,.1f} µs" in text
    with pytest.raises(ArgumentError, match="cannot be written"):
        measured.report(tmp_path / "no" / "host.html")


def test_a_page_that_cannot_be_written_is_said(exe, tmp_path):
    with pytest.raises(ArgumentError, match="cannot be written"):
        exe.report(tmp_path / "no" / "folder" / "report.html")


def test_a_matrix_that_stays_times_a_vector_that_comes():
    """10,000 x 1,000, turn after turn: no slower than the 3,996 cycles that the vendor's tutorial
    estimates for a product, the vector's way and that of the sums included [examples, tutorial 6].
    """

    def turned(matrix, vector):
        return jax.lax.fori_loop(0, 100, lambda _, x: (matrix @ x)[:1000], vector)

    exe = tilewright.compile(turned, shaped(10_000, 1000), shaped(1000), machine="ipu:gc200")
    rows = [row for row in exe.simulate().run.supersteps if row.times == 100]
    summed = [row for row in rows if any("contract" in n or "tree" in n for n in row.names)]
    begun = exe.machine.chip.exchange.overhead_cycles
    passed = sum(max(row.exchange - begun, 0) for row in rows)
    assert len(summed) == 2
    assert passed + sum(row.compute for row in summed) <= 3996


def test_loops_of_unknown_length_ask_for_their_turns():
    def halve(x):
        return jax.lax.while_loop(lambda x: x.sum() > 1, lambda x: x * 0.5, x)

    exe = tilewright.compile(halve, shaped(16), machine="ipu:gc200")
    with pytest.raises(ArgumentError, match="while0"):
        exe.simulate()
    trips = exe.trips(np.ones(16, np.float32))
    assert exe.simulate(trips).cycles > exe.simulate({"while0": 1}).cycles


def test_what_is_on_one_tile_only_is_named_with_its_line():
    with pytest.raises(CapacityError, match=r"cut sort_\w+_10000000_along_0 \(.*test_modelled.py:"):
        tilewright.compile(lambda x: jnp.sort(x), shaped(10_000_000), machine="ipu:gc200")


def test_what_does_not_fit_is_said_before_anything_else():
    with pytest.raises(CapacityError, match=r"IPU GC200: a product of .* bytes of 638,976"):
        tilewright.compile(
            lambda x, w: x @ w, shaped(30_000, 30_000), shaped(30_000, 30_000), machine="ipu:gc200"
        )
    with pytest.raises(CapacityError, match=r"tile 0 needs .* more than .* Largest: .* would help"):
        tilewright.compile(lambda x: jnp.sort(x, 0), shaped(9000, 99), machine="ipu:gc200")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ipu:gc20", "ipu:gc200"),
        ("gpu:a100", "not compiled for"),
        (7, "machine must be"),
    ],
)
def test_machines_that_cannot_be_compiled_for(name, words):
    with pytest.raises(ArgumentError, match=words):
        tilewright.compile(lambda x: x + 1, shaped(4), machine=name)


def test_a_machine_of_ones_own():
    few = machine("ipu:gc200").with_(tiles=16)
    exe = tilewright.compile(layer, shaped(600, 96), shaped(96, 50), machine=few)
    whole = tilewright.compile(layer, shaped(600, 96), shaped(96, 50), machine="ipu:gc200")
    assert exe.simulate().cycles > whole.simulate().cycles
