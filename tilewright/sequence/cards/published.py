"""The published recipe: three kinds of fraud among the purchases of `world.py`.

In: a seed. Out: `Purchases`. At full size about 1.75 million of them, 0.84 % fraud; the authors'
own draw has 978, 9,099 and 4,604 of the three kinds (chapter 3 of the book named in `world.py`).
Where kinds meet, the later one is the label.
"""

from __future__ import annotations

import numpy as np

from tilewright.sequence.cards.purchases import DAY, Purchases
from tilewright.sequence.cards.world import Ledger, World, about, cards, cents, honest

LARGE, TERMINAL, CARD = 1, 2, 3
KINDS = ("large amount", "terminal compromised", "card compromised")
LIMIT = 220.0
"""All that costs more is fraud."""
TERMINALS_A_DAY, TERMINAL_DAYS = 2, 28
CARDS_A_DAY, CARD_DAYS, CARD_SHARE, CARD_FACTOR = 3, 14, 3, 5.0
"""Of a compromised card one purchase in three is fraud, of five times the amount."""


def published(seed: int = 0, cards_: int = 5_000, days: int = 183) -> Purchases:
    """Purchases of that many cards on that many days.

    Raises `ArgumentError` for fewer than 50 cards or one day, or a seed below 0.
    """
    world = World(cards_, days, seed)
    random = world.random()
    ledger = honest(world, cards(world, random), random)
    ledger.kind[ledger.amount > LIMIT] = LARGE
    _terminals(world, ledger, random)
    _cards(world, ledger, random)
    return ledger.purchases(KINDS, days)


def _terminals(world: World, ledger: Ledger, random: np.random.Generator) -> None:
    """Each day some are compromised, and for weeks all that is paid there is fraud."""
    by_terminal = np.argsort(ledger.terminal, kind="stable")
    begin = np.searchsorted(ledger.terminal[by_terminal], np.arange(world.terminals + 1))
    for day in range(world.days):
        count = about(TERMINALS_A_DAY * world.share, random)
        for terminal in random.choice(world.terminals, count, replace=False):
            rows = by_terminal[begin[terminal] : begin[terminal + 1]]
            since = ledger.time[rows] / DAY - day
            ledger.kind[rows[(since >= 0) & (since < TERMINAL_DAYS)]] = TERMINAL


def _cards(world: World, ledger: Ledger, random: np.random.Generator) -> None:
    """Each day the numbers of some get known to others, who spend more."""
    by_card = np.argsort(ledger.card, kind="stable")
    begin = np.searchsorted(ledger.card[by_card], np.arange(world.cards + 1))
    for day in range(world.days):
        count = about(CARDS_A_DAY * world.share, random)
        for card in random.choice(world.cards, count, replace=False):
            rows = by_card[begin[card] : begin[card + 1]]
            since = ledger.time[rows] / DAY - day
            rows = rows[(since >= 0) & (since < CARD_DAYS)]
            stolen = random.choice(rows, len(rows) // CARD_SHARE, replace=False)
            ledger.amount[stolen] = cents(CARD_FACTOR * ledger.amount[stolen])
            ledger.kind[stolen] = CARD
