"""Scores by day and their standard errors."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from tests.alpha.market import result
from tilewright.alpha.baselines import NORMAL, NULL
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import (
    COVER_50,
    COVER_90,
    CRPS,
    LEAST_DAYS,
    RANK_IC,
    Cell,
    compared,
    critical,
    newey_west,
    rank_correlation,
    score,
)
from tilewright.alpha.windows import TEST


def test_days_are_the_unit_and_come_in_order():
    new, old = result(index=0, test=525), result(index=1, test=504)
    found = score([new, old])
    assert list(found.days) == list(range(504, 546))
    by_hand = new.crps[0].astype(float).reshape(TEST, -1).mean(axis=1)
    np.testing.assert_allclose(found.by_day[CRPS][0, TEST:], by_hand)
    cell = found.cells[NET][CRPS]
    assert cell.difference == pytest.approx(cell.value - found.cells[NULL][CRPS].value)
    assert found.cells[NULL][CRPS].difference == 0 == found.cells[NULL][CRPS].effect


def test_pairs():
    found = score([result()])
    pair = compared(found, NET, NORMAL, CRPS)
    assert pair.difference == pytest.approx(pair.value - found.cells[NORMAL][CRPS].value)


def test_coverage_counts_central_intervals():
    pit = np.tile(np.linspace(0.001, 0.999, 63, dtype=np.float32), (len(MODELS), 1))
    cells = score([replace(result(), pit=pit)]).cells[NET]
    assert cells[COVER_50].value == pytest.approx(0.5, abs=0.02)
    assert cells[COVER_90].value == pytest.approx(0.9, abs=0.03)


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 20))
    for one, other, found in zip(a, b, rank_correlation(a, b), strict=True):
        assert found == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert rank_correlation(np.zeros((1, 20)), b[:1]) == 0


def test_each_forecast_meets_its_own_day():
    made = result()
    right = replace(made, mean=np.tile(made.outcome, (len(MODELS), 1)))
    np.testing.assert_allclose(score([right]).by_day[RANK_IC], 1)


def test_a_constant_forecast_has_no_rank_correlation():
    mean = result().mean.copy()
    mean[MODELS.index(NULL)] = 0
    assert score([replace(result(), mean=mean)]).cells[NULL][RANK_IC].value == 0


def test_standard_error_of_independent_days():
    # the estimate itself has a relative deviation of about sqrt(4/3 * 21 / 4000) / 2 = 4 %
    values = np.random.default_rng(0).normal(size=4000)
    assert newey_west(values) == pytest.approx(1 / 4000**0.5, rel=0.16)


def test_standard_error_of_related_days_is_larger():
    # an autoregression of 0.6: variance of the mean is 1 / 0.4^2 of that of its shocks
    shocks = np.random.default_rng(1).normal(size=4000)
    values = np.zeros(4000)
    for i in range(1, 4000):
        values[i] = 0.6 * values[i - 1] + shocks[i]
    assert newey_west(values) == pytest.approx(2.5 / 4000**0.5, rel=0.2)


def test_errors_are_weighted_sums_of_autocovariances():
    values = np.random.default_rng(2).normal(size=40).cumsum()
    centred, total = values - values.mean(), 0.0
    for i in range(40):
        for j in range(40):
            total += max(0.0, 1 - abs(i - j) / 6) * centred[i] * centred[j]
    assert newey_west(values, lags=5) == pytest.approx(np.sqrt(total) / 40)


@pytest.mark.parametrize("windows", [1, 4, 8, 60])
@pytest.mark.parametrize("kind", ["independent", "heavy tails", "related"])
def test_nothing_is_taken_for_something_as_often_as_said(windows, kind):
    """2.5 % a side; 3,000 series, so a standard error of 0.3 %: five of them are allowed.

    Days that are related by an autoregression of 0.2 may have half as many again.
    """
    rng = np.random.default_rng(0)
    days, repeats = windows * TEST, 3000
    drawn = rng.standard_t(3, (repeats, days)) if kind == "heavy tails" else None
    values = rng.normal(size=(repeats, days)) if drawn is None else drawn
    if kind == "related":
        for day in range(1, days):
            values[:, day] += 0.2 * values[:, day - 1]
    ratio = np.array([row.mean() / newey_west(row) for row in values])
    beyond = critical(days)
    above, below = (ratio > beyond).mean(), (ratio < -beyond).mean()
    most = 0.052 if kind == "related" else 0.04
    assert 0.01 < above < most
    assert 0.01 < below < most


def test_two_standard_errors_would_not_do():
    rng = np.random.default_rng(0)
    ratio = [(row := rng.normal(size=TEST)).mean() / newey_west(row) for _ in range(2000)]
    assert np.mean(np.array(ratio) > 2) > 0.12


def test_what_counts_as_an_effect():
    error, days = 0.01, 10 * TEST
    least = critical(days) * error
    assert [Cell(1.0, d, error, days).effect for d in (-1.1 * least, 0.9 * least, 1.1 * least)] == [
        *(-1, 0, 1)
    ]
    assert Cell(1.0, 1.0, error, days).least == least
    assert Cell(1.0, 9.0, error, LEAST_DAYS - 1).effect == 0  # too few days for any
    assert Cell(1.0, 9.0, error, LEAST_DAYS).effect == 1
    assert Cell(1.0, 0.0, 0.0, days).effect == 0


def test_one_day_has_no_error():
    assert newey_west(np.array([1.0])) == 0
