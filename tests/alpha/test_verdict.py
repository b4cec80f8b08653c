"""The words follow from the figures."""

from dataclasses import replace

import numpy as np
import pytest

from tests.alpha.market import prices, result
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report.verdict import verdict
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import CRPS, score
from tilewright.alpha.settings import Settings

WINDOWS = range(6)


def results(series: str, gains: dict[str, float]):
    """Windows in which a model's CRPS is below the null's by some amount, nearly constant."""
    made = []
    for i in WINDOWS:
        found = result(series, i, 504 + 21 * (5 - i))
        crps = np.full_like(found.crps, 0.55)
        for model, gain in gains.items():
            crps[MODELS.index(model)] -= gain + 1e-4 * (found.crps[0] - 0.5)
        mean = found.mean.copy()
        if gains.get(NET, 0) > 0.02:
            mean[0] = found.outcome
        made.append(replace(found, crps=crps, mean=mean))
    return made


def said(real=0.0, planted=0.04, shuffled=0.0, linear=0.0, change=lambda series: series, **outcome):
    series = {
        "real": results("real", {NET: real}),
        "planted": results("planted", {NET: planted, "OLS": linear}),
        "shuffled": results("shuffled", {NET: shuffled}),
    }
    series = change(series)
    found = {(r.series, r.index): r for rows in series.values() for r in rows}
    options = {"prices": prices(stocks=8), "windows": 6, "planned": 6, **outcome}
    made = Outcome(settings=Settings(), results=found, notes={}, **options)
    return verdict(made, {name: score(rows) for name, rows in series.items()})


def failed(*names):
    """Every window of some series failed."""

    def change(series):
        return {
            name: [replace(r, failure="R-hat 9") for r in rows] if name in names else rows
            for name, rows in series.items()
        }

    return change


def only(*names):
    """The first windows of some series, none of others."""
    return lambda series: {name: rows[: dict(names)[name]] for name, rows in series.items()
                           if name in dict(names)}  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "words"), [(0.01, "A small gain"), (-0.01, "No gain: on these days the net is worse")]
)
def test_headline(gain, words):
    assert said(gain).headline.startswith(words)
    assert said(gain).sound


def test_no_difference():
    assert said(0.0).headline.startswith("No gain that these days can show")


@pytest.mark.parametrize(
    "broken", [{"planted": 0.0}, {"linear": 0.01}, {"shuffled": 0.01}], ids=str
)
def test_a_control_that_fails_comes_first(broken):
    found = said(0.01, **broken)
    assert not found.sound
    assert found.sound is False
    assert found.headline.startswith("A control failed")


def test_without_controls_nothing_is_sound():
    found = said(0.01, change=only(("real", 6)))
    assert found.sound is None
    assert found.controls[0].startswith("Nothing was controlled")
    assert found.headline.endswith("The controls do not vouch for it.")
    half = said(0.01, change=only(("real", 6), ("shuffled", 6)))
    assert half.sound is None
    assert half.controls[0] == "Planted nonlinear signal: was not run."


def test_controls_of_too_few_days_tell_nothing():
    found = said(0.01, change=only(("real", 6), ("planted", 3), ("shuffled", 3)))
    assert found.sound is None
    assert [text.split(": ")[1] for text in found.controls] == 2 * [
        "63 test days are too few to tell; 84 are needed."
    ]


def test_controls_whose_windows_failed_tell_nothing():
    found = said(change=failed("planted", "shuffled"))
    assert found.sound is None
    assert "every window failed" in found.controls[0]


def test_a_planted_signal_in_few_rows():
    few = said(planted=0.0, prices=prices(stocks=7))
    assert few.sound is None
    assert "too few rows to tell. A window has 1,750" in few.controls[0]
    assert said(planted=0.0, linear=0.01, prices=prices(stocks=7)).sound is False
    assert said(prices=prices(stocks=7)).sound


def test_no_verdict_below_some_days():
    found = said(0.01, change=only(("real", 3), ("planted", 6), ("shuffled", 6)))
    assert found.headline.startswith("No verdict: 63 test days are too few")
    assert "no clear difference" in found.findings[0]
    assert found.readable


def test_no_verdict_when_every_window_failed():
    found = said(0.01, change=failed("real"))
    assert found.headline == "No verdict: every window failed its diagnostics."
    assert not found.readable
    assert not found.findings


def test_the_smallest_gain_is_said():
    cell = score(results("real", {NET: 0.01})).cells[NET][CRPS]
    share = cell.least / (cell.value - cell.difference)
    assert f"could have shown is {share:.2%} of CRPS" in said(0.01).findings[0]


def test_fewer_windows_and_survivors_are_said():
    text = " ".join(said(planned=9).caveats)
    assert "6 of 9 windows" in text
    assert "All 8 stocks have a price on every day" in text
    assert "Survivors are no claim about the market" in text


def test_a_table_too_short_for_all_windows_is_said():
    text = " ".join(said().caveats)
    assert f"days for 6 windows; {Settings().windows} were wanted" in text
    assert "time limit" not in text
