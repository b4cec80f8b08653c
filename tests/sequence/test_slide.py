"""A sliding window is the whole window, computed from a zero state, to the bit."""

import numpy as np
import pytest

from tests.sequence.streams import NETS, model, ticks, windowed
from tilewright.errors import ArgumentError

STEPS = 4


def expected(net, xs, t):
    return windowed(net, xs[max(0, t + 1 - STEPS) : t + 1])


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("lstm", "gru") else pytest.param(name, marks=pytest.mark.slow)
        for name in NETS
    ],
)
def test_slide_and_window_agree_to_the_bit(name):
    """Before the window is full it is over all ticks that there were."""
    net, xs = model(name), ticks(3 * STEPS, 2)
    halves, whole = net.slide(STEPS, 2, tiles=1), net.slide(STEPS, 2, tiles=1)
    for t, x in enumerate(xs):
        assert list(halves.is_full) == 2 * [t + 1 >= STEPS]
        wanted = expected(net, xs, t)
        np.testing.assert_array_equal(halves.answer(x), wanted)
        np.testing.assert_array_equal(whole(x), wanted)


def test_a_window_of_one_tick():
    net, xs = model("lstm"), ticks(3, 1)
    slide = net.slide(1)
    for x in xs:
        np.testing.assert_array_equal(slide.answer(x), windowed(net, x[None]))


def test_only_one_row_waits_for_the_tick():
    """The others, and the rest of the work, come between ticks."""
    program = model("packed").slide(STEPS).program
    leaves = len(program.compiled.source.interface.inputs)
    answer, settle, prepare = program.compiled.stages.split(leaves, [leaves - 1])

    def rows(stages):
        products = [n for n in stages.graph.nodes if n.op in ("dot", "dot_packed")]
        return sorted(np.prod(n.output.shape[:-1], dtype=int) for n in products)

    assert rows(answer) == [1, 1, 1]  # two layers' inputs, and the head
    assert rows(prepare) == [1, 1]  # the oldest row's states
    assert rows(settle) == 3 * [STEPS]  # the first layer's input is at hand


def test_streams_that_wait_are_saved_and_put_elsewhere():
    """Whatever the others have seen meanwhile, a stream's window is that of its own ticks."""
    net, xs = model("lstm"), ticks(20, 3)
    slide, seen = net.slide(STEPS, 3), [[], [], []]
    rng = np.random.default_rng(0)
    for t, x in enumerate(xs[:12]):
        only = sorted(rng.choice(3, size=rng.integers(1, 4), replace=False))
        answers = slide.answer(x[only], only=only)
        for stream, answer in zip(only, answers, strict=True):
            seen[stream].append(x[stream])
            own = np.stack(seen[stream])[-STEPS:, None]
            np.testing.assert_array_equal(answer, windowed(net, own)[0])
        assert list(slide.ticks) == [len(own) for own in seen], t
    other = net.slide(STEPS)
    other.answer(xs[0, 0])  # its ring stands elsewhere
    other.restore(slide.save(1))
    for x in xs[12:]:
        slide.answer(x)
        seen[1].append(x[1])
        own = windowed(net, np.stack(seen[1])[-STEPS:, None])
        np.testing.assert_array_equal(other.answer(x[1]), own[0])


def test_begun_anew_and_branched_off():
    net, xs = model("gru"), ticks(12, 2)
    slide = net.slide(STEPS, 2)
    for x in xs[:5]:
        slide.answer(x)
    slide.reset(0)
    assert list(slide.ticks) == [0, 5]
    slide.fork(1, 0)
    for x in xs[5:]:
        both = slide.answer(np.stack([x[1], x[1]]))
        np.testing.assert_array_equal(both[0], both[1])
    slide.reset()
    np.testing.assert_array_equal(slide.answer(xs[0]), windowed(net, xs[:1]))


def test_states_of_another_kind_are_refused():
    net = model("lstm")
    slide = net.slide(STEPS)
    for snapshot in (net.stream().save(), net.slide(STEPS + 1).save()):
        with pytest.raises(ArgumentError, match="not of a slide over 4 ticks"):
            slide.restore(snapshot)
    with pytest.raises(ArgumentError, match=r"^steps must be a whole number above 0"):
        net.slide(0)


def test_rates_are_measured_on_a_copy():
    slide = model("lstm").slide(STEPS)
    slide.answer(ticks(1)[0])
    rates = slide.rates(0.02)
    assert rates.ticks >= 20
    assert 0 < rates.answer < 0.1
    assert rates.highest == pytest.approx(1 / (rates.answer + rates.between))
    assert "from tick to answer" in str(rates)
    assert list(slide.ticks) == [1]
    with pytest.raises(ArgumentError, match=r"^seconds must be above 0"):
        slide.rates(0)
