"""The demonstration on real prices is no worse than the trials before it: 20 stocks, 2004 to 2022,
nine refits of five nets. Minutes on two cores."""

import numpy as np
import pytest

from tilewright.cli.forward import prices_of
from tilewright.sequence.forward.demo import SETTINGS
from tilewright.sequence.forward.report.files import write_report
from tilewright.sequence.forward.settings import DENSITY, VOLATILITY
from tilewright.sequence.forward.walk import NET, walk_forward

pytestmark = pytest.mark.slow
GAIN, ERROR = 0.015, 0.223
"""Nats a stock-day over the EWMA with its tails; squared error of five days' log volatility."""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """By target, what was found, and in words."""
    found = {}
    for kind, settings in SETTINGS.items():
        job = walk_forward(prices_of(None, True), settings, tmp_path_factory.mktemp(kind))
        found[kind] = job, write_report(job)
    return found


def test_the_density_of_the_next_day(jobs):
    """Rounded as the trials' figure is; and the location is worth nothing, which is said."""
    job, said = jobs[DENSITY]
    scores = [(one.models, one.log_score) for one in job.scored()]
    gains = np.concatenate([each[m.index("EWMA")] - each[m.index(NET)] for m, each in scores])
    assert round(float(gains.mean()), 3) >= GAIN
    assert any("worth nothing" in text for text in said.findings)


def test_the_volatility_of_the_next_five(jobs):
    """The best rival is the strong HAR, and the error of the difference to it is said."""
    job, said = jobs[VOLATILITY]
    apart = np.concatenate([one.mean[0] - one.outcome for one in job.scored()])
    assert float(np.mean(apart.astype(np.float64) ** 2)) <= ERROR
    assert said.best == "HAR 20"
    assert "HAR 20" in said.headline
    assert any("±" in text and "HAR 20" in text for text in said.findings)


def test_controls_came_out_as_they_must(jobs):
    assert [said.sound for _, said in jobs.values()] == [True, True]
