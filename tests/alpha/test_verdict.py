"""The words follow from the figures."""

from dataclasses import replace

import numpy as np
import pytest

from tests.alpha.market import prices, result
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report.verdict import verdict
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import score
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


def said(real=0.0, planted=0.04, shuffled=0.0, linear=0.0, **outcome):
    series = {
        "real": results("real", {NET: real}),
        "planted": results("planted", {NET: planted, "OLS": linear}),
        "shuffled": results("shuffled", {NET: shuffled}),
    }
    found = {(r.series, r.index): r for rows in series.values() for r in rows}
    options = {"prices": prices(), "windows": 6, "planned": 6, **outcome}
    made = Outcome(settings=Settings(), results=found, notes={}, **options)
    return verdict(made, {name: score(rows) for name, rows in series.items()})


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
    assert found.headline.startswith("A control failed")


def test_fewer_windows_and_survivors_are_said():
    table = replace(prices(), source="20 S&P 500 stocks, 1990-2022 (skfolio)")
    text = " ".join(said(prices=table, planned=9).caveats)
    assert "6 of 9 windows" in text
    assert "no claim about the market" in text.replace("Survivors are no", "no")


def test_a_table_too_short_for_all_windows_is_said():
    text = " ".join(said().caveats)
    assert f"days for 6 windows; {Settings().windows} were wanted" in text
    assert "time limit" not in text
