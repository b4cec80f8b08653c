"""A small world that tests share, and changes to it."""

from dataclasses import replace
from functools import cache

import numpy as np

from tilewright.sequence.cards.order import order
from tilewright.sequence.cards.published import published


@cache
def small():
    """300 cards, 80 days, three kinds of fraud."""
    return published(1, 300, 80)


@cache
def small_order():
    return order(1, 300, 80)


def another_future(given, at, seed=0):
    """Until `at` the same; after it fewer purchases, and other amounts, cards, places, frauds."""
    random = np.random.default_rng(seed)
    late = given.time >= at
    kept = given.rows(~late | (random.uniform(size=len(given)) < 0.7))
    late = kept.time >= at
    count = int(late.sum())
    amount, card, terminal, kind = (
        column.copy() for column in (kept.amount, kept.card, kept.terminal, kept.kind)
    )
    amount[late] = np.rint(random.uniform(1, 900, count) * 100) / 100
    card[late] = random.permutation(card[late])
    terminal[late] = random.permutation(terminal[late])
    kind[late] = random.integers(0, len(given.kinds) + 1, count)
    return replace(kept, amount=amount, card=card, terminal=terminal, kind=kind)


def other_labels(given, at, seed=0):
    """The same purchases; labels that are not known at `at` are others."""
    random = np.random.default_rng(seed)
    kind = np.where(
        given.known > at, random.integers(0, len(given.kinds) + 1, len(given)), given.kind
    )
    return replace(given, kind=kind.astype(np.int8))
