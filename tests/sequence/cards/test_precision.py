"""Scores of rankings beside scikit-learn's, and errors beside what they are errors of."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_curve

from tilewright.sequence.cards import precision
from tilewright.sequence.cards.precision import PARTS, Ranking, parts_of


def ranking(score, fraud, groups=10_000):
    rows = np.arange(len(score))
    return Ranking(score, fraud, parts_of(rows % groups, rows * 7919 % groups, rows))


@pytest.mark.parametrize("digits", [1, 3, 16])
def test_scores_are_scikit_learns(digits):
    random = np.random.default_rng(digits)
    fraud = random.uniform(size=3000) < 0.05
    score = np.round(random.normal(size=3000) + 1.5 * fraud, digits)
    found = ranking(score, fraud)
    expected = average_precision_score(fraud, score)
    np.testing.assert_allclose(found.average_precision().value, expected, rtol=1e-12)
    wrong, right, _ = roc_curve(fraud, score, drop_intermediate=False)
    for rate in (0.001, 0.02, 0.5):
        wanted = right[wrong <= rate].max()
        np.testing.assert_allclose(found.recall(rate).value, wanted, rtol=1e-12)


def test_leaving_a_part_out_is_scoring_without_it():
    random = np.random.default_rng(0)
    fraud = random.uniform(size=2000) < 0.1
    score = random.normal(size=2000) + fraud
    card = random.integers(0, 100, 2000)
    parts = parts_of(card, card, np.arange(2000))
    found = Ranking(score, fraud, parts).average_precision()
    for part in range(0, PARTS, 7):
        kept = card % PARTS != part
        wanted = average_precision_score(fraud[kept], score[kept])
        np.testing.assert_allclose(found.without[0, part], wanted, rtol=1e-12)


def test_errors_are_those_of_cards():
    """Frauds of a card share their score: over 150 worlds the error is what values scatter by,
    where that of independent purchases is half as large. (The scatter is
    known within 6 %.)"""
    values, errors, naive = [], [], []
    for seed in range(150):
        random = np.random.default_rng(seed)
        card = np.repeat(np.arange(400), 4)
        bad = random.uniform(size=400) < 0.1
        score = (random.normal(size=400) + 1.5 * bad)[card] + 0.1 * random.normal(size=1600)
        parts = parts_of(card, random.permutation(1600), np.arange(1600))
        found = Ranking(score, bad[card], parts).average_precision()
        values.append(found.value)
        errors.append(found.error)
        spread = found.without[2] - found.without[2].mean()
        naive.append(np.sqrt((PARTS - 1) / PARTS * np.sum(spread**2)))
    assert 0.8 < np.mean(errors) / np.std(values) < 1.25
    assert np.mean(naive) < 0.65 * np.std(values)


def test_a_difference_has_its_own_error():
    random = np.random.default_rng(1)
    fraud = random.uniform(size=4000) < 0.1
    score = random.normal(size=4000) + fraud
    one = ranking(score, fraud).average_precision()
    same = ranking(score + 1e-3 * random.normal(size=4000), fraud).average_precision()
    assert (one - same).error < 0.1 * one.error
    both = precision.mean([one, same])
    assert both.value == pytest.approx((one.value + same.value) / 2)
    assert both.error == pytest.approx(one.error, rel=0.1)
