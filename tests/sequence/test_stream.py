"""Streams answer as windows over all their ticks do, to the bit, and know nothing of each other."""

import gc
import os
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.sequence.streams import INPUTS, NETS, model, ticks, windowed
from tests.sequence.test_precision import BARS
from tilewright.errors import ArgumentError
from tilewright.models.recurrent import Dense, Layer, Recurrent, initial
from tilewright.sequence import Model
from tilewright.sequence.precision import PRECISIONS


@pytest.mark.parametrize("name", NETS)
def test_stream_and_window_agree_to_the_bit(name):
    net, xs = model(name), ticks(5, 2)
    halves, whole = net.stream(2, tiles=1), net.stream(2, tiles=1)
    for t, x in enumerate(xs):
        halves.prepare()
        answers = halves.answer(x), whole(x)
        if t in (0, 4):
            for answer in answers:
                np.testing.assert_array_equal(answer, windowed(net, xs[: t + 1]))
    assert halves.late == 0
    assert list(halves.ticks) == [5, 5]


@pytest.mark.parametrize(
    ("inputs", "hidden", "layers", "share"), [(16, 256, 2, 0.35), (100, 100, 2, 0.5)]
)
def test_how_much_of_the_weights_waits_for_the_tick(inputs, hidden, layers, share):
    """The talk's net, and shape A: of all multiply-adds those of the layers' inputs, no others."""
    cells = tuple(Layer("lstm", hidden if i else inputs, hidden) for i in range(layers))
    net = Recurrent(cells, (Dense(hidden, 1),))
    weights = jax.tree.map(np.asarray, initial(net, jax.random.key(0)))
    compiled = Model(net, weights).stream().program.compiled
    leaves = len(compiled.source.interface.inputs)

    def macs(graph):
        products = [n for n in graph.nodes if n.op in ("dot", "dot_packed")]
        return sum(np.prod(n.output.shape, dtype=int) * n.inputs[0].shape[-1] for n in products)

    answer, settle, prepare = (s.graph for s in compiled.stages.split(leaves, [leaves - 1]))
    assert macs(settle) == 0
    assert macs(answer) + macs(prepare) == net.macs(1)
    assert macs(answer) / net.macs(1) == pytest.approx(share, abs=0.005)


def test_streams_of_a_batch_are_those_alone():
    net, xs = model("packed"), ticks(4, 3)
    together, alone = net.stream(3), [net.stream() for _ in range(3)]
    for x in xs:
        answers = together.answer(x)
        for row, stream, answer in zip(x, alone, answers, strict=True):
            np.testing.assert_array_equal(stream.answer(row), answer)
            assert answer.shape == (1,)


def test_any_number_of_tiles():
    net, x = model("packed"), ticks(9, 40)
    one, five = net.stream(40, tiles=1), net.stream(40, tiles=5)
    for row in x:
        np.testing.assert_array_equal(one.answer(row), five.answer(row))


TICKS = np.random.default_rng(2).normal(size=(10**6 // 64, 64, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_million_ticks_do_not_drift(precision):
    """64 streams of a small net err no more than windows may, in the end no more than at first."""
    found = model("lstm").drift(precision, TICKS)
    print(found)
    assert found.ticks == 10**6
    assert 0 < found.whole.rms <= BARS[precision]
    assert found.whole.maximum <= 1.5 * BARS[precision]
    assert found.last.rms <= 1.1 * found.first.rms
    assert "in the last" in str(found)


def resident() -> int:
    """Bytes that are held now: the most that ever were would hide what is kept below them."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_million_ticks_neither_leak_nor_touch():
    """One of the 64 alone, to the bit; memory as it was: less than a hundred bytes a tick."""
    net = model("lstm")
    together, alone = net.stream(64, tiles=1), net.stream(tiles=1)
    before, apart = 0, 0
    for turn, x in enumerate(TICKS):
        answer = together.answer(x)
        together.prepare()
        apart += bool((alone.answer(x[7]) != answer[7]).any())
        if turn == len(TICKS) // 4:
            before = resident()
    assert apart == 0
    assert resident() - before < 1_000_000
    assert together.late == 1
    assert alone.late == len(TICKS)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_denormal_huge_and_constant_inputs_cost_no_time(precision):
    """Of processor time; where denormals are not flushed, they cost ten times as much."""
    window = model("packed").window(8, 100, precision=precision, tiles=1)
    usual = np.random.default_rng(0).normal(size=(8, 100, INPUTS)).astype(np.float32)
    odd = {
        "denormal": usual * np.float32(1e-40),
        "huge": usual * np.float32(1e30),
        "zero": usual * 0,
        "constant": np.full_like(usual, 0.3),
    }
    taken = {name: [] for name in ("usual", *odd)}
    for _ in range(15):
        for name, xs in {"usual": usual, **odd}.items():
            start = time.process_time()
            window(xs)
            taken[name].append(time.process_time() - start)
    least = {name: min(seconds) for name, seconds in taken.items()}
    assert all(least[name] < 2 * least["usual"] for name in odd), least


def test_what_no_drift_is_measured_on():
    net = model("lstm")
    for ticks_ in (TICKS[:9], TICKS[:, 0], TICKS[..., :2]):
        with pytest.raises(
            ArgumentError, match=r"^ticks must have the shape \(ticks, streams, 3\)"
        ):
            net.drift("int8", ticks_)
    with pytest.raises(ArgumentError, match="are all equal"):
        Model(net.net, jax.tree.map(np.zeros_like, net.weights)).drift("float32", TICKS[:10])
    with pytest.raises(ArgumentError, match="Give precision or tolerance"):
        net.stream(precision="int8", tolerance=0.1)


def test_a_tolerance_chooses_the_precision():
    net, xs = model("lstm"), TICKS[:20].reshape(64, 20, INPUTS)
    for running in (net.stream(tolerance=0.1, data=xs), net.slide(4, tolerance=0.1, data=xs)):
        assert running.precision == "int8x8"


def test_bad_nets_and_sizes():
    both = Recurrent((Layer("lstm", 3, 4, "both"),))
    with pytest.raises(ArgumentError, match="runs backward"):
        Model(both, model("lstm").weights).stream()
    wrong: list[Any] = [0, 1.5, True]
    for streams in wrong:
        with pytest.raises(ArgumentError, match=r"^streams must be a whole number above 0"):
            model("lstm").stream(streams)
    with pytest.raises(ArgumentError, match=r"^nan must be one of refuse, hold, pass, not 'drop'"):
        model("lstm").stream(nan="drop")
