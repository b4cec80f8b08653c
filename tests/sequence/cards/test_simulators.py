"""Both recipes: their laws, their totals, and that a seed is a world."""

import numpy as np
import pytest

from tests.sequence.cards.worlds import small, small_order
from tilewright.errors import ArgumentError
from tilewright.sequence.cards import order as ordered
from tilewright.sequence.cards import published as recipe
from tilewright.sequence.cards.order import order
from tilewright.sequence.cards.published import published
from tilewright.sequence.cards.purchases import COLUMNS, DAY

PUBLISHED = {"purchases": 1_754_155, recipe.LARGE: 978, recipe.TERMINAL: 9_099, recipe.CARD: 4_604}
"""Of the authors' own draw."""


@pytest.mark.slow
def test_totals_are_those_of_the_book():
    """The mean of three draws, whose own spread is 1 to 2 % (frauds) and 0.7 % (purchases)."""
    draws = [published(seed) for seed in range(3)]
    assert abs(np.mean([len(p) for p in draws]) / PUBLISHED["purchases"] - 1) < 0.05
    counts = np.mean([np.bincount(p.kind, minlength=4) for p in draws], axis=0)
    for kind in (recipe.LARGE, recipe.TERMINAL, recipe.CARD):
        assert abs(counts[kind] / PUBLISHED[kind] - 1) < 0.05, (kind, counts[kind])


@pytest.mark.parametrize("make", [published, order])
def test_a_seed_is_a_world(make):
    first, again, other = make(3, 60, 20), make(3, 60, 20), make(4, 60, 20)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert len(first) != len(other) or (first.time != other.time).any()


def test_large_amounts_are_fraud():
    given = small()
    assert given.fraud[given.amount > recipe.LIMIT].all()
    assert (given.amount[given.kind == recipe.LARGE] > recipe.LIMIT).all()


def test_compromised_terminals_have_nothing_but_frauds_for_four_weeks():
    given = small()
    hit = np.flatnonzero(given.kind == recipe.TERMINAL)
    for terminal in np.unique(given.terminal[hit])[:20]:
        here = given.terminal == terminal
        span = given.time[hit][given.terminal[hit] == terminal]
        inside = here & (given.time >= span.min()) & (given.time <= span.max())
        if span.max() - span.min() < recipe.TERMINAL_DAYS * DAY:  # compromised once
            assert given.fraud[inside].all()


@pytest.fixture(scope="module")
def larger():
    return published(0, 1_000, 60)


def test_a_compromised_card_pays_five_times_its_mean_a_third_of_the_time(larger):
    stolen = larger.kind == recipe.CARD
    hit, all_ = 0, 0
    for card in np.unique(larger.card[stolen]):
        own = larger.card == card
        first, last = np.sort(larger.time[own & stolen])[[0, -1]]
        between = own & (larger.time > first) & (larger.time < last)
        if last - first < recipe.CARD_DAYS * DAY:  # compromised once
            hit, all_ = hit + stolen[between].sum(), all_ + between.sum()
    assert abs(hit / all_ - 1 / recipe.CARD_SHARE) < 4 * np.sqrt(2 / 9 / all_)
    assert all_ > 300
    means = larger.amount[stolen].mean() / larger.amount[larger.kind == 0].mean()
    assert 4 < means < 6


def test_a_smaller_world_is_as_dense(larger):
    """As many purchases a card and a terminal, and as much fraud."""
    given = larger
    assert abs(len(given) / (1_000 * 60 * 2 * 0.97) - 1) < 0.06
    assert 0.004 < given.fraud.mean() < 0.012


def test_frauds_are_tried_first_and_taken_hours_later():
    given, sound = small_order(), []
    for row in np.flatnonzero(given.fraud & (given.day > 2)):
        mine = np.flatnonzero(given.card == given.card[row])
        ago = given.time[row] - given.time[mine]
        near = mine[(ago >= ordered.HOURS[0]) & (ago <= ordered.HOURS[1] + ordered.MINUTES[1])]
        tiny = near[given.amount[near] < 0.4 * np.median(given.amount[mine])]
        sound.append((np.diff(given.time[tiny]) <= ordered.MINUTES[1]).any())
    assert np.mean(sound) > 0.9  # the median is not the mean that amounts are shares of


def test_at_strength_0_frauds_are_drawn_as_look_alikes_are():
    """Shapes of frauds and look-alikes: of each kind as many, within 4 standard errors."""
    given = order(0, 1_000, 100, strength=0.0)
    rows = np.flatnonzero(given.fraud)
    second = []
    for row in rows:
        own = np.flatnonzero((given.card == given.card[row]) & (given.time < given.time[row]))
        second.append(np.any(given.time[row] - given.time[own] <= ordered.MINUTES[1]))
    # Of the three look-alikes two have a small purchase minutes before the large one.
    share = np.mean(second)
    assert abs(share - 2 / 3) < 4 * np.sqrt(2 / 9 / len(rows))


@pytest.mark.parametrize("strength", [-0.1, 1.5, np.nan, "high"])
def test_strength_is_a_share(strength):
    with pytest.raises(ArgumentError, match="strength must be from 0 to 1"):
        order(0, 60, 5, strength)


def test_sizes():
    with pytest.raises(ArgumentError, match="cards must be a whole number from 50 on, not 10"):
        published(0, 10)
    with pytest.raises(ArgumentError, match="days must be a whole number from 1 on, not 0"):
        order(0, 60, 0)
    with pytest.raises(ArgumentError, match="seed must be a whole number from 0 on, not -1"):
        order(-1, 60, 5)
