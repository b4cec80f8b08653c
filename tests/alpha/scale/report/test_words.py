"""Words follow from figures: who is beaten, who earned it, and what the controls say."""

import numpy as np
import pytest

from tests.alpha.market import prices
from tests.alpha.scale.report.made import DAYS, window
from tilewright.alpha.scale.report.words import words
from tilewright.alpha.tables import Extras, Prices
from tilewright.alpha.walking.tally import tally

WELL = {"real": ["", ""]}


def tallied(days: int = 50, wrong: float = 1.0, **gains):
    named = {"GJR-t" if k == "GJR" else k: v for k, v in gains.items()}
    windows = [window(i, days, gain=lambda m: named.get(m, 0.0), wrong=wrong) for i in range(2)]
    return tally(lambda: windows, DAYS, 4)


def test_the_net_earns_nothing_over_the_linear_model():
    said = words({"real": tallied(EWMA=0.02, GJR=0.012)}, WELL)
    assert said.headline == (
        "How wide tomorrow will be: the net beats the EWMA and GJR-t and ties with the linear "
        "scale model."
    )
    assert "earns nothing that these days can show" in said.findings[1]
    assert said.sound is None
    assert said.readable


def test_the_net_is_worse_than_its_own_linear_part():
    said = words({"real": tallied(EWMA=0.02, GJR=0.012, linear=-0.01)}, WELL)
    assert "loses to the linear scale model" in said.headline
    assert "worse than its own linear part" in said.findings[1]


def test_who_earned_what():
    said = words({"real": tallied(EWMA=0.02, GJR=0.012, linear=0.005)}, WELL)
    assert "what is not linear earns this" in said.findings[1]
    share = int(said.findings[2].split("Of the gain over the EWMA, ")[1].split("%")[0])
    assert 70 <= share <= 80


def test_coverage_is_said_as_it_is():
    assert "(NOT all within 88 to 92 %)" in " ".join(
        words({"real": tallied(wrong=0.7)}, WELL).findings
    )


def test_controls():
    good = {"planted": tallied(linear=0.02), "shuffled": tallied()}
    said = words({"real": tallied(EWMA=0.02), **good}, {**WELL, "planted": [""], "shuffled": [""]})
    assert said.sound is True
    bad = {**good, "shuffled": tallied(EWMA=0.02)}
    said = words({"real": tallied(EWMA=0.02), **bad}, WELL)
    assert said.sound is False
    assert said.headline.startswith("A control failed")
    missed = words({"real": tallied(EWMA=0.02), **good, "planted": tallied()}, WELL)
    assert "DOES NOT FIND IT" in missed.controls[0]


def test_no_verdict():
    assert "too few" in words({"real": tallied(days=20)}, WELL).headline
    said = words({"real": tallied(EWMA=0.02)}, {"real": ["R-hat", "R-hat"]})
    assert said.headline.startswith("No verdict: every window failed")
    assert not said.readable
    assert "2 of 2 windows failed" in said.caveats[0]


def test_few_days_say_neither_who_earned_it_nor_that_anything_was():
    said = words({"real": tallied(days=20, EWMA=0.05, linear=0.05)}, WELL)
    assert said.headline.startswith("No verdict: 40 test days")
    text = " ".join(said.findings)
    assert "earns this" not in text
    assert "Of the gain" not in text


def test_the_smallest_gain_that_could_have_shown_is_said():
    real = tallied(EWMA=0.02)
    least = real.over("EWMA").least
    assert 0 < least < 0.02
    assert f"could have shown is {least:.4f}" in words({"real": real}, WELL).findings[0]


def test_without_controls_nothing_was_controlled():
    said = words({"real": tallied()}, WELL)
    assert said.controls == [
        "Nothing was controlled: neither a planted signal nor a placebo was run."
    ]
    assert said.sound is None


def test_a_control_whose_windows_failed_or_that_is_short_tells_nothing():
    good = {"planted": tallied(linear=0.02), "shuffled": tallied(EWMA=0.02)}
    failed = {**WELL, "planted": ["R-hat"], "shuffled": ["R-hat"]}
    said = words({"real": tallied(), **good}, failed)
    assert said.sound is None
    assert all("every window failed its diagnostics" in text for text in said.controls)
    short = {name: tallied(days=20) for name in good}
    said = words({"real": tallied(), **short}, WELL)
    assert said.sound is None
    assert all("40 test days are too few" in text for text in said.controls)


@pytest.mark.parametrize(("train", "sound"), [(1000, None), (5000, False)])
def test_of_few_rows_a_planted_signal_may_be_missed(train, sound):
    """Four instruments."""
    both = {"planted": tallied(), "shuffled": tallied()}
    said = words({"real": tallied(EWMA=0.02), **both}, WELL, train=train)
    assert said.sound is sound
    assert ("too few rows to tell" in said.controls[0]) == (sound is None)
    both["planted"] = tallied(linear=0.02)
    assert words({"real": tallied(), **both}, WELL, train=train).sound


def caveats(table: Prices, left: int = 0) -> str:
    return " ".join(words({"real": tallied()}, WELL, table, left=left).caveats)


def test_survivors_are_said_of_every_table_without_births_and_deaths():
    table = prices(400, 3)
    assert "All 3 instruments have a price on the first day and on the last" in caveats(table)
    for day in (0, -1):
        values = table.values.copy()
        values[day, 1] = np.nan
        assert "Survivors" not in caveats(Prices(table.days, table.names, values, "t"))
    by_date = Extras((), None, np.arange(1200).reshape(400, 3) % 7 > 0)
    assert "Survivors" not in caveats(Prices(table.days, table.names, table.values, "t", by_date))


def test_what_looks_wrong_and_what_is_left_is_said():
    table = prices(400, 3)
    values = table.values.copy()
    values[200:, 2] /= 4
    split = Prices(table.days, table.names, values, "t")
    assert "1 things look wrong with the table" in caveats(split)
    assert "look wrong" not in caveats(table)
    assert "7 of 9 windows are not done yet" in caveats(table, 7)
    assert "not done yet" not in caveats(table)
