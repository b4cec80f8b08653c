"""Card-precision@k on a day that can be counted by hand."""

from typing import Any

import numpy as np
import pytest

from tests.sequence.cards.worlds import small
from tilewright.errors import ArgumentError
from tilewright.sequence.cards.alerts import alerts, check_k
from tilewright.sequence.cards.purchases import DAY, Purchases
from tilewright.sequence.cards.split import weeks

#        day card amount kind score
ROWS = [(0, 0, 10.0, 1, 0.9),
        (0, 1, 20.0, 0, 0.8),
        (0, 2, 30.0, 2, 0.1),
        (0, 3, 40.0, 0, 0.2),
        (1, 0, 50.0, 1, 0.9),
        (1, 0, 60.0, 0, 0.9),
        (1, 2, 70.0, 2, 0.7),
        (1, 1, 80.0, 0, 0.3),
        (1, 3, 90.0, 1, 0.1)]  # fmt: skip


def by_hand():
    day, card, amount, kind, score = (np.array(column) for column in zip(*ROWS, strict=True))
    time = day * DAY + np.arange(len(ROWS))
    start = np.datetime64("2024-01-01")
    given = Purchases(time, card, card, amount, kind, time + DAY, ("one", "two"), start)
    return given, score


def test_alerts_blocks_and_savings():
    given, score = by_hand()
    found = alerts(given, np.arange(len(ROWS)), score, 2)
    # Day 0: cards 0 and 1 are alerted; 0 is compromised, blocked, and its 10 + 50 are saved.
    # Day 1: cards 2 and 1 are alerted; 2 is compromised; 0 is not seen any more.
    np.testing.assert_array_equal(found.caught, [1, 1])
    np.testing.assert_array_equal(found.open, [2, 2])
    np.testing.assert_array_equal(found.precision, [0.5, 0.5])
    np.testing.assert_array_equal(found.ceiling, [1, 1])
    np.testing.assert_array_equal(found.saved, [[60, 0], [0, 70]])
    np.testing.assert_array_equal(found.lost, [10 + 50 + 90, 30 + 70])
    np.testing.assert_array_equal(found.found, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(found.there, [[1, 1], [1, 1]])


def test_the_ceiling_is_what_there_is_to_find():
    given, score = by_hand()
    found = alerts(given, np.arange(4), score[:4], 4)
    np.testing.assert_array_equal(found.precision, found.ceiling)
    np.testing.assert_array_equal(found.ceiling, [0.5])


def test_who_knows_all_reaches_the_ceiling():
    given = small()
    (week,) = weeks(given, 40, 1)
    found = alerts(given, week.judged, given.fraud[week.judged].astype(float), 10)
    np.testing.assert_array_equal(found.precision, found.ceiling)
    np.testing.assert_allclose(found.saved.sum(axis=0), found.lost)


def test_k():
    given, score = by_hand()
    with pytest.raises(ArgumentError, match="k is 5, but on day 0 only 4 cards are used"):
        alerts(given, np.arange(len(ROWS)), score, 5)
    wrong: list[Any] = [0, -1, 1.5]
    for k in wrong:
        with pytest.raises(ArgumentError, match="k must be a whole number above 0"):
            alerts(given, np.arange(len(ROWS)), score, k)


def test_k_is_checked_before_any_model_is_asked():
    given, _ = by_hand()
    rows = np.arange(len(ROWS))
    check_k(given, rows, 4)
    with pytest.raises(ArgumentError, match="k is 5, but on day 0 only 4 cards"):
        check_k(given, rows, 5)
    with pytest.raises(ArgumentError, match="k is 4, but on day 1 only 3 cards"):
        check_k(given, rows[:-1], 4)
