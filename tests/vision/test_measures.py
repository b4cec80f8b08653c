"""Scores, against what is known of them."""

import numpy as np
import pytest

from tilewright.vision.measures import brier, hits, log_loss, mean, reliability, temperature
from tilewright.vision.predicted import softmax

SHARES = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
CAME = np.array([0, 0, 1, 1])


def test_by_hand():
    assert hits(SHARES, CAME).tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(log_loss(SHARES, CAME)[:3], -np.log([0.7, 0.2, 0.5]))
    assert np.isfinite(log_loss(SHARES, CAME)).all()
    np.testing.assert_allclose(brier(SHARES, CAME), [0.18, 1.28, 0.5, 2.0])


def test_scikit_learn_agrees():
    from sklearn.metrics import log_loss as theirs

    rng = np.random.default_rng(0)
    shares, came = rng.dirichlet(np.ones(3), 50), rng.integers(0, 3, 50)
    assert log_loss(shares, came).mean() == pytest.approx(theirs(came, shares, labels=[0, 1, 2]))


def test_errors_cover():
    """False alarms of a mean's interval: 5 % of 2,000 tries, within 4 standard errors."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    misses = 0
    for _ in range(2000):
        values = rng.normal(size=40)[groups] + 0.1 * rng.normal(size=200)
        misses += mean(values, groups).effect != 0
    assert 0.03 < misses / 2000 < 0.07
    alone = mean(values)
    assert alone.error < 0.6 * mean(values, groups).error


def test_a_single_group_knows_no_error():
    assert mean(np.ones(3), np.zeros(3)).error == float("inf")
    assert mean(np.ones(3), np.zeros(3)).effect == 0


def test_reliability_of_the_honest_and_of_the_boastful():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5000, 3)) * 2
    came = np.array([rng.choice(3, p=share) for share in softmax(logits)])
    honest, boastful = reliability(softmax(logits), came), reliability(softmax(3 * logits), came)
    assert honest.error < 0.03
    assert boastful.error > 0.08
    assert honest.images.sum() == 5000
    assert temperature(3 * logits, came) == pytest.approx(3, rel=0.1)
    assert temperature(logits, came) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("count", [4, 40])
def test_a_few_right_answers_make_nobody_certain(count):
    """Such a net is as sure, on average, as the rule of succession is."""
    logits = np.tile([2.0, 0.0], (count, 1))
    cool = temperature(logits, np.zeros(count, int))
    sure = softmax(logits / cool)[0, 0]
    assert sure == pytest.approx((count + 1) / (count + 2), rel=1e-3)
