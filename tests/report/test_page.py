"""Pages of modelled runs: trees of loops, charts, names that are cut."""

import re

import numpy as np

from tilewright.report.html import table
from tilewright.report.memory import by_moment, by_tile
from tilewright.report.tree import tree
from tilewright.simulate.occupancy import Occupancy
from tilewright.simulate.outcome import Superstep

LIMIT = 1000


def step(cycles, *inside, times=1.0, name="v<1>"):
    return Superstep(cycles, 0.0, 0.0, times, (name,), inside=inside)


def test_loops_are_branches_with_their_share():
    rows = [
        step(10), step(5, "1: loop, 4 turns", times=4),
        step(5, "1: loop, 4 turns", "2: loop, 3 turns", times=12), step(10),
    ]  # fmt: skip
    text = tree(rows)
    assert text.count("<details") == text.count("</details>") == 2
    assert "loop, 4 turns <b>80.0%</b>" in text
    assert "loop, 3 turns <b>60.0%</b>" in text
    assert text.count(" open>") == 2
    assert "v&lt;1&gt;" in text, "names are text"


def test_neighbouring_loops_are_two_branches():
    text = tree([step(5, "1: loop, 4 turns"), step(5, "2: loop, 4 turns")])
    assert text.count("<details") == 2


def test_many_small_ones_are_one_line():
    text = tree([step(1e6), *(step(1) for _ in range(5)), step(1e6), step(1)])
    assert "5 supersteps <b>0.0%</b>" in text
    assert text.count("<details") == 1


def held(*kinds):
    names: tuple[str, ...] = ("given", "computed")
    by_kind = {name: np.asarray(kind) for name, kind in zip(names, kinds, strict=True)}
    size = len(kinds[0])
    return Occupancy(by_kind, np.zeros(size), np.arange(9.0), (), 0, {"code": np.ones(size)})


def tops(text):
    """The highest corner of each area, as bytes of a chart as high as the limit."""
    found = re.findall(r'points="([^"]*)"', text)
    return [min(float(p.split(",")[1]) for p in points.split()) for points in found]


def test_kinds_stand_on_each_other():
    text = by_tile(held([100.0, 300.0, 0.0], [200.0, 500.0, 0.0]), LIMIT)
    assert tops(text) == [180 - 170 * 0.3, 180 - 170 * 0.8]
    assert "Tile 1 is the fullest" in text
    assert "dashed" in text


def test_of_many_tiles_the_fullest_of_neighbours_is_shown():
    values = np.zeros(50_000)
    values[31_415] = 900.0
    text = by_tile(held(values, np.zeros(50_000)), LIMIT)
    assert tops(text) == [180 - 170 * 0.9]
    assert len(text) < 100_000


def test_a_limit_far_above_is_left_to_words():
    text = by_moment(held([1.0], [1.0]), LIMIT)
    assert "125 times the highest" in text
    assert "dashed" not in text
    assert min(tops(text)) < 30


def test_long_names_are_whole_on_hover():
    name = "contract_outer_f32_28x1x22_leaves_of_64"
    text = table(["vertex", "cycles"], [[name, "1"]])
    assert f'<td title="{name}">{name}</td>' in text
