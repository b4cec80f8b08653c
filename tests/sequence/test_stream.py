"""Streams answer as windows over all their ticks do, to the bit, and know nothing of each other."""

import resource
from typing import Any

import numpy as np
import pytest

from tests.sequence.streams import INPUTS, NETS, model, ticks, windowed
from tilewright.errors import ArgumentError
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import Model


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


def cell(weights, state, x):
    """float64: LSTM layers, then the head."""

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    states = []
    for (own,), (h, c) in zip(weights.layers, state, strict=True):
        i, f, g, o = np.split(x @ np.float64(own.W) + h @ np.float64(own.U) + own.b, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        states.append((sigmoid(o) * np.tanh(c), c))
        x = states[-1][0]
    (head,) = weights.head
    return states, x @ np.float64(head.W) + head.b


def test_a_million_ticks_neither_drift_nor_leak():
    """64 streams of a small net, against float64; and one of them alone, to the bit. (Some
    seconds: it is what is promised, and NumPy takes most of them.)"""
    net, turns = model("lstm"), 10**6 // 64
    together, alone = net.stream(64, tiles=1), net.stream(tiles=1)
    xs = np.random.default_rng(2).normal(size=(500, 64, INPUTS)).astype(np.float32)
    state = [(np.zeros((64, n)), np.zeros((64, n))) for n in (8, 5)]
    worst, before, apart = 0.0, 0, 0
    for turn in range(turns):
        x = xs[turn % len(xs)]
        answer = together.answer(x)
        together.prepare()
        apart += bool((alone.answer(x[7]) != answer[7]).any())
        state, expected = cell(net.weights, state, np.float64(x))
        worst = max(worst, np.abs(answer - expected).max())
        if turn == turns // 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert worst < 2e-6
    assert apart == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000  # kilobytes
    assert together.late == 1
    assert alone.late == turns


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
