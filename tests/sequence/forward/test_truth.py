"""Statistics of jobs on prices whose law is known: GARCH with Student-t noise, 20 stocks."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tests.sequence.forward.small import PRICES, SMALL
from tilewright.alpha.tables import Prices
from tilewright.sequence.forward.settings import ForwardSettings
from tilewright.sequence.forward.walk import walk_forward

pytestmark = pytest.mark.slow
DAYS, STOCKS, DF = 4000, 20, 6.0
A, B, MEAN_VARIANCE = 0.08, 0.90, 1.5e-4
SETTINGS = ForwardSettings(train=2900, test=800, seeds=5, controls=1, rivals="few")
KILLS = 12
PLANTED = 0.1
CODE = """
import sys
from tests.sequence.forward.small import PRICES, SMALL
from tilewright.sequence.forward.walk import walk_forward

walk_forward(PRICES, SMALL, sys.argv[1])
"""


def paths(seed: int, carried: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Returns (days, stocks), and the scale of each one's noise, known the day before.

    `carried` is the correlation of a day's noise with that of the day before, which forecasts it:
    the information coefficient of who knows the law.
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(DF, (DAYS, STOCKS)) / (DF / (DF - 2)) ** 0.5
    for day in range(1, DAYS if carried else 0):
        noise[day] = carried * noise[day - 1] + (1 - carried**2) ** 0.5 * noise[day]
    variance, found = np.full(STOCKS, MEAN_VARIANCE), []
    scales = []
    for z in noise:
        found.append(np.sqrt(variance) * z)
        scales.append(np.sqrt(variance * (DF - 2) / DF))
        variance = (1 - A - B) * MEAN_VARIANCE + (A * z**2 + B) * variance
    return np.array(found), np.array(scales)


@pytest.fixture(scope="module")
def job():
    returns, scales = paths(0)
    return walk_forward(prices_of(returns), SETTINGS), returns, scales


def prices_of(returns: np.ndarray) -> Prices:
    days = tuple(map(str, np.datetime64("2000-01-01") + np.arange(DAYS)))
    names = tuple(f"S{i}" for i in range(STOCKS))
    return Prices(days, names, 50 * np.exp(returns.cumsum(axis=0)), "GARCH-t")


def information_coefficient(found) -> tuple[float, float]:
    """Of the nets' locations with what came, in units of volatility; and its standard error: noise
    is independent from day to day and from stock to stock."""
    one = next(iter(found.scored()))
    located, came = scipy.stats.rankdata(one.mean[0]), scipy.stats.rankdata(one.outcome)
    return float(np.corrcoef(located, came)[0, 1]), len(came) ** -0.5


def test_the_head_finds_the_density(job):
    """Within 0.003 nats of the true one's log score, its df within a fifth."""
    found, returns, scales = job
    one = next(iter(found.scored()))
    day, stock = one.places.T
    unit = one.unit.astype(np.float64)
    true = -scipy.stats.t(DF).logpdf(returns[day + 1, stock] / scales[day + 1, stock])
    true += np.log(scales[day + 1, stock] / unit)
    assert np.mean(one.log_score[0] - true) < 0.003
    model = found.model(found.windows[0])
    df = model.predict_distribution(found_rows(found)).df
    assert abs(np.mean(df) / DF - 1) < 0.2


def found_rows(found):
    from tilewright.sequence.forward.panel import make_forward_panel

    panel = make_forward_panel(found.prices, "density")
    return panel.rows(found.windows[0].start, found.windows[0].start + 50)


def test_intervals_cover(job):
    """50, 80 and 95 %: within 1.5 points; days are independent, stocks are, too."""
    one = next(iter(job[0].scored()))
    for share in (0.5, 0.8, 0.95):
        inside = np.abs(one.pit[0] - 0.5) < share / 2
        assert abs(inside.mean() - share) < 0.015, share


def test_shuffled_days_gain_nothing(job):
    """Over the constant, which is right there: a gain of 3 errors comes by chance once in 700."""
    one = next(iter(job[0].scored("shuffled")))
    gain = one.log_score[0] - one.log_score[one.models.index("EWMA")]
    by_day = np.bincount(one.places[:, 0] - one.places[0, 0], gain.astype(np.float64))
    assert by_day.mean() > -3 * by_day.std() / len(by_day) ** 0.5


def test_a_planted_location_is_found():
    """A tenth of each day's noise is the day's before: four fifths of that at least."""
    small = replace(SETTINGS, seeds=2, controls=0)
    found, error = information_coefficient(walk_forward(prices_of(paths(1, PLANTED)[0]), small))
    assert 0.8 * PLANTED < found < PLANTED + 3 * error


def test_no_location_is_found_where_there_is_none(job):
    """Beyond 3 errors once in 370 runs."""
    found, error = information_coefficient(job[0])
    assert abs(found) < 3 * error


def test_killed_at_random_instants(tmp_path):
    """With SIGKILL; each is started anew in the same folder, and the last ends."""

    def files(folder: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for k in ("scored", "fits") for p in (folder / k).iterdir()}

    walk_forward(PRICES, SMALL, tmp_path / "whole")
    command = [sys.executable, "-c", CODE, str(tmp_path / "job")]
    began = time.monotonic()
    subprocess.run([*command[:-1], str(tmp_path / "timed")], check=True)
    usual, rng = time.monotonic() - began, random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command)
        time.sleep(rng.uniform(0.3, 1.1) * usual)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    assert files(tmp_path / "job") == files(tmp_path / "whole") == files(tmp_path / "timed")
