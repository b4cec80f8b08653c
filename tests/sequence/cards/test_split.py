"""Weeks: nothing is learned before it is known, and cards go as they become known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.sequence.cards.worlds import another_future, other_labels, small
from tilewright.errors import ArgumentError
from tilewright.sequence.cards.purchases import DAY
from tilewright.sequence.cards.split import weeks


def test_learned_from_what_was_known():
    given = small()
    first, second = weeks(given, 40, 2, train=14)
    for week, day in ((first, 40), (second, 47)):
        assert (week.day, week.at) == (day, day * DAY)
        wanted = (given.day >= day - 21) & (given.day < day - 7)
        np.testing.assert_array_equal(week.learned, np.flatnonzero(wanted))
        assert (given.known[week.learned] <= week.at).all()
        assert set(given.day[week.judged]) == set(range(day, day + 7))


def test_labels_later_than_the_delay_are_not_learned_from():
    late = np.where(np.arange(len(small())) % 3 == 0, 30 * DAY, 3 * DAY)
    given = small().with_delays(late)
    (week,) = weeks(given, 40, 1, train=14)
    assert (week.learned % 3 != 0).all()
    assert len(week.learned) > 1000


def test_known_cards_go_as_they_become_known():
    given = small()
    (week,) = weeks(given, 40, 1)
    there = np.zeros(len(given), bool)
    there[week.judged] = True
    inside = (given.day >= 40) & (given.day < 47)
    gone = 0
    for row in np.flatnonzero(inside)[::41]:
        own = given.fraud & (given.card == given.card[row]) & (given.day >= 40 - 14)
        known = own & (given.known <= given.day[row] * DAY)
        assert there[row] != known.any()
        gone += known.any()
    assert gone > 2
    # The first day knows less than the last.
    of_day = [np.mean(there[inside & (given.day == day)]) for day in range(40, 47)]
    assert of_day[-1] < of_day[0] < 1


def test_a_shorter_memory_lets_cards_back():
    given = small()
    many, few = (weeks(given, 40, 1, memory=memory)[0].judged for memory in (0, 20))
    assert set(few) < set(many)


def test_a_week_is_blind_to_what_comes_and_to_what_is_not_known():
    given, at = small(), 47 * DAY
    (week,) = weeks(given, 40, 1)
    for other in (another_future(given, at), other_labels(given, at)):
        (same,) = weeks(other, 40, 1)
        np.testing.assert_array_equal(week.learned, same.learned)
        np.testing.assert_array_equal(week.judged, same.judged)
        np.testing.assert_array_equal(given.fraud[week.learned], other.fraud[same.learned])


def test_what_cannot_be_split():
    given = small()
    with pytest.raises(ArgumentError, match="no 3 weeks from day 70 on: purchases cover 80 days"):
        weeks(given, 70, 3)
    honest = replace(given, kind=np.zeros_like(given.kind))
    with pytest.raises(ArgumentError, match=r"Before day 40 .* 0 of them fraud: learning needs"):
        weeks(honest, 40)
    early = replace(given, kind=np.where(given.day < 35, given.kind, 0))
    with pytest.raises(ArgumentError, match="from day 40 on there is no fraud to find"):
        weeks(early, 40, 1)
