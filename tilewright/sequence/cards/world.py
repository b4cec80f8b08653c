"""Honest purchases: cards and terminals on a map, each card at the terminals near it.

In: a `World` and a random generator. Out: `Ledger`, arrays that frauds are then written into.

The facts are those of the simulator of Le Borgne, Siblini, Lebichot and Bontempi, Reproducible
Machine Learning for Credit Card Fraud Detection - Practical Handbook (Université Libre de
Bruxelles, 2022), chapter 3, "Transaction data simulator", written anew here. A smaller world is a
piece of that map: as many cards and terminals on an area, and frauds as often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.cards.purchases import DAY, Purchases

FIRST_DAY = np.datetime64("2018-04-01")
CARDS, TERMINALS = 5_000, 10_000
SIDE, RADIUS = 100.0, 5.0
"""Of the map of a world of that size; how far from its home a card is used."""
MEANS = (5.0, 100.0)
MOST_A_DAY = 4.0
NOON, SPREAD = DAY / 2, 20_000.0
"""Mean and deviation of a purchase's time of day, in seconds."""
DELAY = 7.0
"""Days until a label is known."""


@frozen
class World:
    """How many cards and days, two terminals a card; the same `seed` is the same world."""

    cards: int = CARDS
    days: int = 183
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("cards", 50), ("days", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ArgumentError(
                    f"{name} must be a whole number from {least} on, not {value!r}."
                )

    def random(self) -> np.random.Generator:
        """What it is drawn by."""
        return np.random.default_rng(self.seed)

    @property
    def terminals(self) -> int:
        return self.cards * TERMINALS // CARDS

    @property
    def share(self) -> float:
        """Of the published map."""
        return self.cards / CARDS


@dataclass
class Ledger:
    """Purchases under way, in any order; frauds are written into it in place."""

    time: np.ndarray  # (purchases,)
    card: np.ndarray  # (purchases,)
    terminal: np.ndarray  # (purchases,)
    amount: np.ndarray  # (purchases,)
    kind: np.ndarray  # (purchases,)

    def purchases(self, kinds: tuple[str, ...], days: int) -> Purchases:
        """In order of time, those within so many days; amounts in cents."""
        inside = np.flatnonzero((self.time >= 0) & (self.time < days * DAY))
        order = inside[np.argsort(self.time[inside], kind="stable")]
        time = self.time[order]
        return Purchases(
            time, self.card[order], self.terminal[order], self.amount[order],
            self.kind[order], time + DELAY * DAY, kinds, FIRST_DAY,
        )  # fmt: skip


@frozen
class Cards:
    """Who the cards belong to, and where each is used."""

    mean: np.ndarray  # (cards,) amount
    rate: np.ndarray  # (cards,) purchases a day
    near: np.ndarray  # (pairs,) terminals near each card, one card after the other
    first: np.ndarray  # (cards + 1,) where each card's begin

    def terminals(self, card: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One near each of these cards."""
        count = self.first[card + 1] - self.first[card]
        return self.near[self.first[card] + random.integers(0, count)]


def cards(world: World, random: np.random.Generator) -> Cards:
    """Homes and terminals are uniform on the map. A card without a terminal near it is not used."""
    side = SIDE * np.sqrt(world.share)
    homes = random.uniform(0, side, (world.cards, 2))
    places = random.uniform(0, side, (world.terminals, 2))
    mean = random.uniform(*MEANS, world.cards)
    rate = random.uniform(0, MOST_A_DAY, world.cards)
    near = cKDTree(places).query_ball_point(homes, RADIUS, return_sorted=True)
    count = np.array([len(each) for each in near])
    first = np.concatenate([[0], np.cumsum(count)])
    flat = np.concatenate([np.asarray(each, np.int64) for each in near])
    return Cards(mean, np.where(count > 0, rate, 0.0), flat, first)


def honest(world: World, who: Cards, random: np.random.Generator) -> Ledger:
    """Every card's purchases, a Poisson number a day."""
    numbers = random.poisson(who.rate[:, None], (world.cards, world.days))
    card, day = (np.repeat(index.ravel(), numbers.ravel()) for index in np.indices(numbers.shape))
    time = random.normal(NOON, SPREAD, len(card))
    inside = (time > 0) & (time < DAY)
    card, day, time = card[inside], day[inside], time[inside]
    mean = who.mean[card]
    amount = random.normal(mean, mean / 2)
    again = random.uniform(0, 2 * mean)
    amount = cents(np.where(amount < 0, again, amount))
    terminal = who.terminals(card, random)
    return Ledger(day * DAY + time, card, terminal, amount, np.zeros(len(card), np.int8))


def cents(amount: np.ndarray) -> np.ndarray:
    """Rounded, at least one."""
    return np.rint(np.maximum(amount, 0.01) * 100) / 100


def about(mean: float, random: np.random.Generator) -> int:
    """A whole number next to `mean`, which is its mean."""
    return int(mean + random.uniform())
