"""A recipe of ours: frauds that only the order of a card's purchases and the gaps tell.

In: a seed and how much the order tells. Out: `Purchases`: those of `world.py`, and among them
triples of the same three amounts, two small and one large, with the same two gaps, one of minutes
and one of hours. A fraud tries the card with two small purchases within minutes, and takes the
large one hours later. Look-alikes have another order: large first; the small ones hours apart; the
large one between them. Only the large purchase of a fraud is labelled.

The large purchase is always made at a usual time of day, so that the hour tells nothing.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.cards.purchases import DAY, Purchases
from tilewright.sequence.cards.world import (
    NOON,
    SPREAD,
    Cards,
    Ledger,
    World,
    cards,
    cents,
    honest,
)

FRAUDS_A_DAY, LOOK_ALIKES_A_DAY = 12, 48
SMALL, LARGE = (0.05, 0.30), (1.60, 2.40)
"""Amounts as shares of the card's mean."""
MINUTES, HOURS = (0.0, 600.0), (3600.0, 36 * 3600.0)
"""The two gaps, in seconds."""
KINDS = ("tried, then taken",)
RATE = FRAUDS_A_DAY / (FRAUDS_A_DAY + LOOK_ALIKES_A_DAY)
"""Share of frauds among large purchases of triples: what there is to find at strength 0."""


@frozen
class Shape:
    """When the small purchases are made: so many minute gaps and hour gaps after the large one."""

    first: tuple[int, int]
    second: tuple[int, int]


FRAUD = Shape((-1, -1), (0, -1))
LARGE_FIRST = Shape((0, 1), (1, 1))
FAR_APART = Shape((-1, -1), (-1, 0))
LARGE_BETWEEN = Shape((-1, 0), (0, 1))
LOOK_ALIKES = (LARGE_FIRST, FAR_APART, LARGE_BETWEEN)


def order(seed: int = 0, cards_: int = 5_000, days: int = 183, strength: float = 1.0) -> Purchases:
    """Purchases of that many cards on that many days, about 0.12 % of them fraud.

    `strength` is the share of frauds that have an order of their own; the others have that of a
    look-alike. At 0 nothing can tell frauds from look-alikes. Raises `ArgumentError` for a
    strength outside 0 to 1, fewer than 50 cards or one day, or a seed below 0.
    """
    check_strength(strength)
    world = World(cards_, days, seed)
    random = world.random()
    who = cards(world, random)
    plain = honest(world, who, random)
    count = np.array([FRAUDS_A_DAY, LOOK_ALIKES_A_DAY]) * world.share * days
    frauds, others = np.rint(count).astype(int)
    shape = random.integers(1, 1 + len(LOOK_ALIKES), frauds + others)
    shape[:frauds][random.uniform(size=frauds) < strength] = 0
    added = _triples(world, who, shape, random)
    added.kind[:frauds] = 1
    both = [np.concatenate(pair) for pair in zip(_columns(plain), _columns(added), strict=True)]
    return Ledger(*both).purchases(KINDS, days)


def check_strength(strength: float) -> None:
    """Raises `ArgumentError` outside 0 to 1."""
    if not (isinstance(strength, (int, float)) and isfinite(strength) and 0 <= strength <= 1):
        raise ArgumentError(f"strength must be from 0 to 1, not {strength!r}.")


def _triples(world: World, who: Cards, shape: np.ndarray, random: np.random.Generator) -> Ledger:
    """The large purchases, then all first small ones, then all second."""
    count = len(shape)
    day = np.arange(count) * world.days // max(count, 1)
    random.shuffle(day)
    card = random.choice(np.flatnonzero(who.rate > 0), count)
    large = day * DAY + _usual(count, random)
    gaps = np.stack([random.uniform(*MINUTES, count), random.uniform(*HOURS, count)], axis=1)
    shapes = np.array([(s.first, s.second) for s in (FRAUD, *LOOK_ALIKES)])[shape]
    small = large[:, None] + np.einsum("nsg,ng->ns", shapes, gaps)
    size = [random.uniform(*LARGE, count), *random.uniform(*SMALL, (2, count))]
    thrice = np.tile(card, 3)
    return Ledger(
        np.concatenate([large, small[:, 0], small[:, 1]]),
        thrice,
        who.terminals(thrice, random),
        cents(np.concatenate(size) * who.mean[thrice]),
        np.zeros(3 * count, np.int8),
    )


def _usual(count: int, random: np.random.Generator) -> np.ndarray:
    """Times of day by the law of all purchases."""
    time = random.normal(NOON, SPREAD, count)
    while (outside := np.flatnonzero((time <= 0) | (time >= DAY))).size:
        time[outside] = random.normal(NOON, SPREAD, outside.size)
    return time


def _columns(ledger: Ledger) -> tuple[np.ndarray, ...]:
    return ledger.time, ledger.card, ledger.terminal, ledger.amount, ledger.kind
