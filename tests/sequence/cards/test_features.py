"""Features against loops over the past; and that nothing later moves them."""

import numpy as np
import pytest

from tests.sequence.cards.worlds import another_future, other_labels, small
from tilewright.errors import ArgumentError
from tilewright.sequence.cards import features
from tilewright.sequence.cards.features import AGGREGATES, LAGS, NIGHT, SPANS
from tilewright.sequence.cards.purchases import DAY

NOW = 60 * DAY
ALL = (features.aggregates, features.lags, features.raw, features.shares)


def by_hand(given, row, delay=7 * DAY):
    """The fifteen, as the definition reads."""
    now, before = given.time[row], np.arange(len(given)) <= row
    card = before & (given.card == given.card[row])
    terminal = given.terminal == given.terminal[row]
    counts, means, visits, shares = [], [], [], []
    for span in SPANS:
        own = card & (given.time > now - span * DAY)
        counts.append(own.sum())
        means.append(given.amount[own].mean())
        ago = now - given.time
        old = terminal & (ago >= delay) & (ago < delay + span * DAY)
        visits.append(old.sum())
        known = old & given.fraud & (given.known <= now)
        shares.append(known.sum() / max(old.sum(), 1))
    weekday = (given.start + int(now // DAY)).astype("datetime64[D]").item().weekday()
    first = [given.amount[row], weekday >= 5, now % DAY < NIGHT]
    return [*first, *counts, *means, *visits, *shares]


@pytest.mark.parametrize("own", [False, True])
def test_aggregates_are_what_they_say(own):
    given = small()
    if own:
        delays = np.random.default_rng(0).uniform(0, 20 * DAY, len(given))
        given = given.with_delays(delays)
    found = features.aggregates(given)
    assert found.shape == (len(given), len(AGGREGATES))
    rows = np.random.default_rng(1).choice(len(given), 200, replace=False)
    frauds = np.flatnonzero(given.fraud)[::20]
    for row in (*rows, *frauds):
        np.testing.assert_allclose(found[row], by_hand(given, row), atol=1e-9)
    assert (found[frauds, -1] > 0).any()


def test_lags_are_the_last_purchases_of_the_card():
    given = small()
    found = features.lags(given)
    for row in np.random.default_rng(0).choice(len(given), 100, replace=False):
        own = np.flatnonzero(given.card[: row + 1] == given.card[row])[::-1][: LAGS + 1]
        wanted = np.full((2, LAGS), np.nan)
        wanted[0, : len(own) - 1] = given.amount[own[1:]]
        wanted[1, : len(own) - 1] = -np.diff(given.time[own])
        np.testing.assert_array_equal(found[row], wanted.ravel())
    firsts = np.unique(given.card, return_index=True)[1]
    assert np.isnan(found[firsts]).all()


def test_the_first_gap_is_a_month():
    given = small()
    firsts = np.unique(given.card, return_index=True)[1]
    np.testing.assert_allclose(features.raw(given)[firsts, 1], np.log(30 * DAY + 1))


def test_amounts_beside_the_cards_mean_so_far():
    given = small()
    mean, found, read = features.card_mean(given), features.shares(given), features.raw(given)
    for row in range(0, len(given), 997):
        own = given.amount[: row + 1][given.card[: row + 1] == given.card[row]]
        np.testing.assert_allclose(mean[row], max(own.mean(), 0.01), atol=1e-12)
        wanted = np.full(LAGS + 1, np.nan)
        wanted[: len(own)] = own[::-1][: LAGS + 1] / own.mean()
        np.testing.assert_allclose(found[row], wanted, atol=1e-9)
    np.testing.assert_array_equal(read[:, 5], np.minimum(found[:, 0], features.MOST_SHARE))
    lowest = np.maximum(found[:, 0], features.LEAST_SHARE)
    np.testing.assert_array_equal(read[:, 6], np.log(lowest))


@pytest.mark.parametrize("columns", ALL, ids=lambda f: f.__name__)
def test_another_future_moves_no_past_row(columns):
    given = small()
    past = given.time < NOW
    other = another_future(given, NOW)
    assert len(other) != len(given)
    np.testing.assert_array_equal(
        columns(given)[past], columns(other)[other.time < NOW], strict=True
    )


def test_labels_not_known_yet_move_no_row():
    given = small()
    past = given.time < NOW
    other = other_labels(given, NOW)
    assert (other.kind[past] != given.kind[past]).sum() > 100
    found, moved = features.aggregates(given), features.aggregates(other)
    np.testing.assert_array_equal(found[past], moved[past])
    assert (found[~past] != moved[~past]).any()


def test_purchases_of_one_moment_know_those_in_rows_before():
    given = small()
    time = np.floor(given.time / 43_200) * 43_200
    tied = type(given)(
        time, given.card, given.terminal, given.amount, given.kind, time + 7 * DAY,
        given.kinds, given.start,
    )  # fmt: skip
    found = features.aggregates(tied)
    for row in range(0, len(tied), 501):
        np.testing.assert_allclose(found[row], by_hand(tied, row), atol=1e-9)


def test_delay():
    with pytest.raises(ArgumentError, match="delay must be from 0 days on, not -1"):
        features.aggregates(small(), -1)
