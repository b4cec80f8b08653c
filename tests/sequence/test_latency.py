"""Delays are counted from intended times; schedules are what they say; histograms keep all."""

import time

import numpy as np
import pytest

from tests.sequence.streams import INPUTS, model, ticks
from tilewright.errors import ArgumentError
from tilewright.sequence.latency import (
    PERCENTILES,
    Histogram,
    chart,
    constant,
    floor,
    from_python,
    poisson,
    replayed,
)
from tilewright.sequence.latency_in_c import InC, compiler


def test_schedules():
    assert constant(4, 0.5).tolist() == [0, 5 * 10**8, 10**9, 15 * 10**8]
    random = poisson(20_000, 1e-3)
    assert np.diff(random).min() >= 0
    gaps = np.diff(random)
    assert gaps.mean() == pytest.approx(1e6, rel=0.05)  # seven deviations
    assert gaps.std() == pytest.approx(1e6, rel=0.1)
    assert replayed([3.0, 3.25, 4.0]).tolist() == [0, 25 * 10**7, 10**9]


def test_what_makes_no_schedule():
    for bad in ([2.0, 1.0], [[1.0]], [], [np.nan]):
        with pytest.raises(ArgumentError, match="Times must"):
            replayed(bad)
    with pytest.raises(ArgumentError, match="at least one tick, not 0"):
        constant(0, 1.0)
    with pytest.raises(ArgumentError, match="every must be from 0 to 60 seconds, not -1"):
        poisson(3, -1)


def test_a_tick_that_waits_for_the_one_before_has_waited():
    """The first answer takes 20 ms; the next four were meant to be sent meanwhile."""
    calls = []

    def answer(x):
        calls.append(x)
        time.sleep(0.02 if len(calls) == 1 else 0)

    late = lambda: time.sleep(0.001 if len(calls) == 5 else 0)  # noqa: E731
    delays, between = from_python(answer, late, np.zeros((5, 1)), constant(5, 0.001))
    assert between[-1] >= 10**6
    assert (delays >= (20 - np.arange(5)) * 10**6).all()
    saturated, _ = from_python(answer, lambda: None, np.zeros((5, 1)), constant(5, 0))
    assert np.median(saturated) < 10**7


def test_histograms():
    delays = np.array([10**9] * 10 + [1000] * 890 + [5000] * 99 + [70_000], np.int64)
    found = Histogram("x", delays, warm=10)
    values = found.percentiles()
    assert list(values) == list(PERCENTILES)
    wanted = {50.0: 1.0, 90.0: 5.0, 99.0: 5.0, 99.9: 5.0, 100.0: 70.0}
    assert values == pytest.approx(wanted, rel=1e-3)
    content = found.to_json()
    assert (content["ticks"], content["warm"]) == (990, 10)
    from hdrh.histogram import HdrHistogram

    again = HdrHistogram.decode(content["hdr"])
    assert again.get_total_count() == 990
    page = chart([found], "a < b")
    assert "of ticks wait no longer" in page
    assert page.count("<h1>a &lt; b</h1>") == page.count('name="viewport"') == 1
    assert content["between"] is None
    rates = Histogram("y", delays, 10, 3 * delays).rates()
    assert rates is not None
    assert (rates.answer, rates.between) == pytest.approx((1e-6, 3e-6))
    assert rates.highest == pytest.approx(250_000)


def test_the_floor_is_of_a_loop():
    found = floor(0.02, 1e-4)
    assert 1 <= len(found) <= 200
    assert (found >= 0).all()


@pytest.mark.skipif(compiler() is None, reason="no C compiler (cc or gcc) on this host")
def test_in_c():
    stream = model("packed").stream()
    with InC(stream.program, INPUTS, 1) as in_c:
        for times, empty in ((constant(200, 0), False), (constant(5, 1e-3), False),
                             (constant(3, 0), True)):  # fmt: skip
            (delays, between), own = in_c.delays(ticks(len(times)), times, empty=empty)
            assert len(delays) == len(between) == len(own) == len(times)
            assert (between > 0).all()
            assert (delays > 0).all()
            assert (own >= 0).all()
