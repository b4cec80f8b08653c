"""Figures by kind of fraud and by week, on alerts that can be counted, and errors that can be
drawn."""

import numpy as np
import pytest

from tests.sequence.cards.test_alerts import ROWS, by_hand
from tests.sequence.cards.worlds import small
from tilewright.sequence.cards.figures import Judged, Mean, figures
from tilewright.sequence.cards.split import weeks


def test_two_days_by_hand():
    """See `test_alerts.py`: of each kind one card is found, and one is not, or not at once."""
    given, score = by_hand()
    week = Judged.of(given, np.arange(len(ROWS)), score, 2, 0.5)
    all_, one, two = (figures([week], kind) for kind in range(3))
    assert all_.cards.value == 0.5
    assert all_.ceiling == 1.0
    assert (all_.found.value, one.found.value, two.found.value) == (2 / 4, 1 / 2, 1 / 2)
    assert one.cards.value == two.cards.value == 0.25
    assert one.ceiling == two.ceiling == 0.5
    assert (one.saved.value, two.saved.value) == (30, 35)
    assert all_.saved.value == one.saved.value + two.saved.value
    assert one.share_saved == 60 / 150
    assert all_.share_saved == 130 / 250


@pytest.fixture(scope="module")
def judged():
    """Three weeks, as one who nearly knows would answer them."""
    given, random = small(), np.random.default_rng(0)
    return [
        Judged.of(
            given, w.judged, random.normal(size=len(w.judged)) + 3 * given.fraud[w.judged], 6, 0.01
        )
        for w in weeks(given, 45, 3, train=14)
    ]


def test_weeks_are_parts_of_the_whole(judged):
    whole, parts = figures(judged, 0), [figures([week], 0) for week in judged]
    for name in ("precision", "recall", "cards", "saved"):
        mean = np.mean([getattr(part, name).value for part in parts])
        np.testing.assert_allclose(getattr(whole, name).value, mean)
        assert 0 < getattr(whole, name).error < getattr(parts[0], name).error * 3
    np.testing.assert_allclose(whole.ceiling, np.mean([part.ceiling for part in parts]))


def test_kinds_are_parts_of_the_whole(judged):
    whole, parts = figures(judged, 0), [figures(judged, kind) for kind in (1, 2, 3)]
    np.testing.assert_allclose(whole.saved.value, sum(part.saved.value for part in parts))
    assert whole.cards.value <= sum(part.cards.value for part in parts) + 1e-12
    assert max(part.cards.value for part in parts) <= whole.cards.value
    for part in parts:
        assert 0 <= part.cards.value <= part.ceiling <= 1


def test_the_error_of_a_share_is_what_shares_scatter_by():
    """Over 400 draws of 28 days; their scatter is known within 4 %."""
    random, values, errors = np.random.default_rng(0), [], []
    for _ in range(400):
        whole = random.poisson(20, 28)
        found = Mean.share(random.binomial(whole, 0.3), whole)
        values.append(found.value)
        errors.append(found.error)
    assert 0.85 < np.mean(errors) / np.std(values) < 1.15
    assert Mean.share(np.zeros(7), np.zeros(7)) == Mean(0.0, 0.0)
