"""Words follow from figures: who is beaten, who earned it, and what the controls say."""

from tests.alpha.scale.report.made import DAYS, window
from tilewright.alpha.scale.report.words import words
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
