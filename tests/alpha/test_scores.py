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
    CRPS,
    RANK_IC,
    compared,
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
    assert found.cells[NULL][CRPS].difference == 0 == found.cells[NULL][CRPS].z


def test_pairs():
    found = score([result()])
    pair = compared(found, NET, NORMAL, CRPS)
    assert pair.difference == pytest.approx(pair.value - found.cells[NORMAL][CRPS].value)


def test_coverage_counts_central_intervals():
    pit = np.tile(np.linspace(0.001, 0.999, 63, dtype=np.float32), (len(MODELS), 1))
    assert score([replace(result(), pit=pit)]).cells[NET][COVER_50].value == pytest.approx(
        0.5, abs=0.02
    )


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 20))
    for one, other, found in zip(a, b, rank_correlation(a, b), strict=True):
        assert found == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert rank_correlation(np.zeros((1, 20)), b[:1]) == 0


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


def test_one_day_has_no_error():
    assert newey_west(np.array([1.0])) == 0
