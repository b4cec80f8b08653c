"""The verdict is against the best rival, and follows from the figures."""

import numpy as np

from tilewright.alpha.mixture import Mixture
from tilewright.alpha.walking.page import _errors
from tilewright.alpha.walking.tally import Lead, tally
from tilewright.sequence.forward.report.words import best_of_window, best_rival, words
from tilewright.sequence.forward.scored import SQUARE, scored

DAYS = tuple(str(d) for d in np.datetime64("2015-06-01") + np.arange(400))
MODELS = ("LSTM", "EWMA", "HAR", "HAR 20", "boosting")


def made(errors: dict[str, float], seed: int = 0, target: str = "volatility"):
    """Outcomes are standard normal; a model's forecast is off by its error, in deviations."""
    rng = np.random.default_rng(seed)
    places = np.array([(100 + d, s) for d in range(200) for s in range(5)])
    signal, noise = rng.normal(size=(2, len(places)))
    forecasts = {
        name: Mixture((signal + errors[name] * rng.normal(size=len(places)))[None], np.ones(1), 8.0)
        for name in MODELS
    }
    return scored(target, "real", DAYS[100], places, signal + noise, np.ones(len(places)),
                  forecasts, np.array([10]), "")  # fmt: skip


def said(errors, **more):
    windows = [made(errors, **more)]
    found = tally(lambda: windows, DAYS, 5, windows[0].main)
    return words(windows[0].target, {"real": found}, [""]), found


def test_the_best_is_named_and_a_weaker_one_does_not_make_it_a_triumph():
    errors = dict(zip(MODELS, (0.3, 2.0, 1.0, 0.3, 0.6), strict=True))
    told, found = said(errors)
    assert best_rival(found) == told.best == "HAR 20"
    assert "ties with HAR 20, the best of 4 rivals" in told.headline
    assert found.over("HAR").mean < -0.5  # as it would have been told against the textbook's
    assert "which baseline" in told.findings[1]


def test_a_rival_that_is_silent_when_it_is_hard_is_not_the_best():
    """Its mean score is the least, over easy rows alone; beside the nets there it is no better."""
    window = made(dict(zip(MODELS, (0.3, 2.0, 1.0, 0.4, 0.8), strict=True)))
    hard = np.abs(window.outcome - window.mean[0]) > 0.5
    for array in (window.mean, window.log_score, window.crps, window.pit):
        array[MODELS.index("boosting"), hard] = np.nan
    found = tally(lambda: [window], DAYS, 5, window.main)
    assert found.mean(SQUARE, "boosting") < found.mean(SQUARE, "HAR 20")
    assert best_rival(found) == "HAR 20"
    assert best_of_window(window).endswith("to that of HAR 20")
    assert best_of_window(window).split()[2] == f"{window.leads()[MODELS.index('HAR 20')]:+.4f}"


def test_a_gain_and_a_loss_are_said():
    good = dict(zip(MODELS, (0.1, 2.0, 1.0, 0.8, 0.9), strict=True))
    assert "the LSTM beats HAR 20" in said(good)[0].headline
    bad = dict(zip(MODELS, (1.5, 2.0, 1.0, 0.8, 0.9), strict=True))
    told, _ = said(bad)
    assert "the LSTM loses to HAR 20" in told.headline
    assert "take HAR 20 instead" in told.findings[0]


def test_the_main_score_is_the_targets():
    errors = dict.fromkeys(MODELS, 0.5)
    assert said(errors)[1].main == SQUARE
    _, found = said(errors, target="density")
    assert found.main == "log score"


def test_a_failed_control_silences_the_verdict():
    windows = [made(dict(zip(MODELS, (0.1, 2.0, 1.0, 0.8, 0.9), strict=True)))]
    found = tally(lambda: windows, DAYS, 5, SQUARE)
    told = words("volatility", {"real": found, "shuffled": found}, [""])
    assert told.sound is False
    assert "A control failed" in told.headline


def test_few_days_and_failed_nets_have_no_verdict():
    windows = [made(dict.fromkeys(MODELS, 0.5))]
    found = tally(lambda: windows, DAYS, 5, SQUARE)
    told = words("volatility", {"real": found}, ["the loss was not finite"])
    assert "no net could be trained" in told.headline
    assert not told.readable


def test_retreats_are_said():
    windows = [made(dict.fromkeys(MODELS, 0.5))]
    found = tally(lambda: windows, DAYS, 5, SQUARE)
    told = words("volatility", {"real": found}, ["", ""], retreats=[0, 3])
    assert "Nets of 1 of 2 windows went back" in told.caveats[0]
    assert "3 times in all" in told.caveats[0]


def test_errors_that_there_are_none_of_are_not_said():
    """Of a single year there is none by year."""
    assert _errors(Lead(0.1, 0.2, float("nan"), 0.3)) == "0.2000 by date, 0.3000 by stock"
