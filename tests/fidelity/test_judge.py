"""The judge of modelled times: its bars can be missed."""

import pytest

from fidelity.judge import Row, markdown, verdict


def rows(*pairs: tuple[float, float]) -> list[Row]:
    return [Row(f"case {i}", 1, a, b, "L2") for i, (a, b) in enumerate(pairs)]


def test_errors_and_ranks():
    found = verdict(rows((100, 110), (200, 180), (400, 400), (410, 390)))
    assert found.median == pytest.approx(0.0744, abs=1e-3)
    assert found.worst.name in ("case 0", "case 1")
    assert (found.ranked, found.pairs) == (1.0, 5), "two of them are too close to be ranked"
    assert found.holds


@pytest.mark.parametrize(
    "pairs",
    [
        [(100, 125), (100, 75), (100, 79)],  # the median
        [(100, 100), (100, 101), (100, 151)],  # the worst
        [(100, 120), (135, 115), (100, 100)],  # an order turned round
    ],
)
def test_each_bar_can_be_missed(pairs):
    assert not verdict(rows(*pairs)).holds


def test_a_table():
    assert markdown(rows((1000, 1500))).splitlines()[-1] == "| case 0 | 1 | 1 | 2 | +50% | L2 |"
