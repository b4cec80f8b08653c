"""Figures whose scales are round, and whose bars are where they belong."""

import re
from itertools import pairwise

import numpy as np
import pytest

from tilewright.alpha.walking import svg


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (-0.033, 0.0, ["-0.03", "-0.02", "-0.01", "0.00"]),
        (-4.3, 5.2, ["-2.5", "0.0", "2.5", "5.0"]),
        (80, 93, ["80", "85", "90"]),
        (-1234, 2000, ["-1000", "0", "1000", "2000"]),
        (3e-5, 7e-5, ["0.00003", "0.00004", "0.00005", "0.00006", "0.00007"]),
    ],
)
def test_ticks_are_round_and_inside(low, high, ticks):
    plot = svg._Plot(np.array([low, high, np.nan]), 200)
    assert plot.ticks() == ticks
    assert all(plot.low <= float(tick) <= plot.high for tick in ticks)


@pytest.mark.parametrize("value", [0.0, 3.5, np.nan, -2e-9])
def test_one_value_has_a_scale(value):
    assert len(svg._Plot(np.array([value]), 200).ticks()) >= 2


def test_bars_of_a_group_stand_together_over_their_name():
    text = svg.bars(["calm", "wild"], np.array([1.0, 2.0, 3.0, 4.0]), "", ["#111", "#222"], group=2)
    bars = [(float(x), float(x) + float(w)) for x, w in re.findall(
        r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', text)]  # fmt: skip
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(bars)]
    assert gaps[1] > 2 * gaps[0]
    assert gaps[0] == pytest.approx(gaps[2], abs=0.2)
    names = [
        float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle"', text)
    ]
    assert names == pytest.approx([(bars[i][0] + bars[i + 1][1]) / 2 for i in (0, 2)], abs=0.2)
    assert bars[0][0] >= svg.LEFT
    assert bars[-1][1] <= svg.WIDTH - svg.RIGHT
